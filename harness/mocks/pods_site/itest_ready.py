"""A scheduler that evaluates the dependencies of those task instances alone that may be ready.

In each of its rounds Airflow evaluates all task instances of a run that have no state yet, and asks the database about
each that is in a mapped task group. Of a run with 30 batches that is several hundred queries a round, for batches that
are days away. A task instance that waits for one that has not ended is not ready, and its state does not change
either, if nothing that it depends on has ended in a way that decides (for most trigger rules, at all).
`sitecustomize` asks for this module where ITEST_DEPENDENCIES is `reachable`; what that changes is in
`harness/services/speed.py`. Standard library only, Python 3.9 and newer.
"""

from __future__ import annotations

from itest_imports import after_import  # type: ignore[import-not-found]  # beside this file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
    from typing import Any

RUNS = "airflow.models.dagrun"
ENDED_BY_EVALUATION = ("skipped", "upstream_failed", "removed")
HARMLESS = {"all_success": {"success"}, "none_failed": {"success", "skipped"}}
"""Trigger rules that wait for all upstream tasks, and the ends of one by which their outcome is not decided."""


def evaluate_reachable() -> None:
    """Have DAG runs evaluate fewer task instances, once their module is imported."""
    after_import(RUNS, change)


def change(module: Any) -> None:
    """Change `module`, which is `airflow.models.dagrun` of 2.11 or later."""
    runs = module.DagRun
    ready, premature = runs._get_ready_tis, runs._are_premature_tis

    def get_ready_tis(run: Any, schedulable_tis: Any, finished_tis: Any, session: Any) -> Any:
        return ready(run, reachable(schedulable_tis, finished_tis), finished_tis, session=session)

    def are_premature_tis(run: Any, unfinished_tis: Any, finished_tis: Any, session: Any) -> Any:
        return premature(run, reachable(unfinished_tis, finished_tis), finished_tis, session=session)

    runs._get_ready_tis, runs._are_premature_tis = get_ready_tis, are_premature_tis


def reachable(pending: Sequence[Any], finished: Sequence[Any]) -> Iterable[Any]:
    """Those of the `pending` task instances whose dependencies may be met, or may change their state.

    Setups are waited for across tasks in between, and a teardown looks at all that is before it: where a DAG has any,
    nothing is left out.
    """
    if not pending or any(
        task.is_setup or task.is_teardown for task in pending[0].task.dag.task_dict.values()
    ):
        return pending
    ended: dict[str, set[str]] = {}
    for ti in finished:
        ended.setdefault(ti.task_id, set()).add(ti.state)
    return in_turn(pending, ended, {ti.task_id for ti in pending})


def in_turn(pending: Sequence[Any], ended: dict[str, set[str]], waiting: Container[str]) -> Iterator[Any]:
    """Those within reach, each decided on when it is its turn: whoever asks for the next has evaluated the last one.

    By that a task may have been skipped, and in the same round Airflow skips those that it would have expanded.
    """
    for ti in pending:
        if not is_out_of_reach(ti, ended, waiting):
            yield ti
            if ti.state in ENDED_BY_EVALUATION:
                ended.setdefault(ti.task_id, set()).add(ti.state)


def is_out_of_reach(ti: Any, ended: Mapping[str, set[str]], waiting: Container[str]) -> bool:
    """Whether `ti` depends on a task that has not ended, and on none whose end could make it ready, or end it.

    Nor is it one that Airflow may expand before that.

    `ended` has the tasks of which instances have ended, and their states; `waiting` those of which instances are yet to
    begin.
    """
    task, before = ti.task, ti.task.upstream_task_ids
    # That one may be yet to begin, or running, or deferred.
    for_none = any(other not in ended for other in before)
    if not for_none and not any(other in waiting for other in before):
        return False
    if any(other in ended for other in before):
        # Within a mapped group an instance waits for those of its own index alone, which may be those that have ended.
        # One that has no index yet gets it once what expands the group has ended.
        in_group = task.get_closest_mapped_task_group() is not None
        return (
            task.trigger_rule in HARMLESS
            and (not in_group or (for_none and ti.map_index >= 0))
            and all(ended.get(other, set()) <= HARMLESS[task.trigger_rule] for other in before)
        )
    return task.trigger_rule != "always" and not any(other.task_id in ended for other in expanding(task))


def expanding(task: Any) -> Iterator[Any]:
    """The tasks by whose results `task`, or the group that it is in, is expanded: it is skipped when they are."""
    group = task.get_closest_mapped_task_group()
    for mapped in (task, group):
        if hasattr(mapped, "iter_mapped_dependencies"):
            yield from mapped.iter_mapped_dependencies()
