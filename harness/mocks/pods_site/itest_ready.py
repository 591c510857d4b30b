"""A scheduler that evaluates the dependencies of those task instances alone that something has ended before.

In each of its rounds Airflow evaluates all task instances of a run that have no state yet, and asks the database about
each that is in a mapped task group. Of a run with 30 batches that is several hundred queries a round, for batches that
are days away. A task instance of whose upstream tasks none has ended, and one is yet to begin, is neither ready nor
does its state change, whatever its trigger rule. `sitecustomize` asks for this module where ITEST_DEPENDENCIES is
`reachable`; what that changes is in `harness/services/speed.py`. Standard library only, Python 3.9 and newer.
"""

from __future__ import annotations

from itest_imports import after_import  # type: ignore[import-not-found]  # beside this file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

RUNS = "airflow.models.dagrun"


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


def reachable(pending: Sequence[Any], finished: Sequence[Any]) -> Sequence[Any]:
    """Those of the `pending` task instances whose dependencies may be met, or may change their state.

    Setups are waited for across tasks in between, and a teardown looks at all that is before it: where a DAG has any,
    nothing is left out.
    """
    if not pending or any(
        task.is_setup or task.is_teardown for task in pending[0].task.dag.task_dict.values()
    ):
        return pending
    ended, waiting = {ti.task_id for ti in finished}, {ti.task_id for ti in pending}
    return [ti for ti in pending if not is_out_of_reach(ti.task, ended, waiting)]


def is_out_of_reach(task: Any, ended: set[str], waiting: set[str]) -> bool:
    """Whether nothing that `task` depends on has ended, and something that it does is yet to begin."""
    before = task.upstream_task_ids
    return (
        not before.isdisjoint(waiting)
        and before.isdisjoint(ended)
        and task.trigger_rule != "always"
        and not any(other.task_id in ended for other in expanding(task))
    )


def expanding(task: Any) -> Iterator[Any]:
    """The tasks by whose results `task`, or the group that it is in, is expanded: it is skipped when they are."""
    group = task.get_closest_mapped_task_group()
    for mapped in (task, group):
        if hasattr(mapped, "iter_mapped_dependencies"):
            yield from mapped.iter_mapped_dependencies()
