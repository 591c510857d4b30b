"""Which task instances a scheduler evaluates, for tasks of the same shape as Airflow's."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness.mocks import pods_site


@dataclass
class Task:
    """What the module reads of an operator; a group is what it is in, and a mapped one has what expands it."""

    task_id: str
    upstream_task_ids: set[str] = field(default_factory=set)
    trigger_rule: str = "all_success"
    is_setup: bool = False
    is_teardown: bool = False
    group: Any = None
    dag: Any = None

    def get_closest_mapped_task_group(self) -> Any:
        return self.group


@dataclass
class Expanded:
    """A mapped group."""

    by: Sequence[Task]

    def iter_mapped_dependencies(self) -> Iterator[Task]:
        return iter(self.by)


@dataclass
class Mapped(Task):
    """A mapped task."""

    by: Sequence[Task] = ()

    def iter_mapped_dependencies(self) -> Iterator[Task]:
        return iter(self.by)


@dataclass
class Instance:
    task: Task
    state: str | None = None
    map_index: int = -1

    @property
    def task_id(self) -> str:
        return self.task.task_id


@pytest.fixture
def ready(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module as the pods import it."""
    monkeypatch.syspath_prepend(str(Path(pods_site.__file__).parent))
    yield importlib.import_module("itest_ready")
    for name in ("itest_ready", "itest_imports"):
        sys.modules.pop(name, None)


def of_one_dag(*tasks: Task) -> list[Instance]:
    """An instance of each of the tasks, which are those of one DAG."""
    dag = SimpleNamespace(task_dict={task.task_id: task for task in tasks})
    for task in tasks:
        task.dag = dag
    return [Instance(task) for task in tasks]


def names(instances: Iterable[Instance]) -> list[str]:
    return [instance.task_id for instance in instances]


def asked(ready: Any, pending: Sequence[Instance], ended: Sequence[Instance] = ()) -> list[str]:
    """The tasks of the instances that are evaluated."""
    return names(ready.reachable(pending, ended))


def test_nothing_is_left_out_of_nothing(ready: Any) -> None:
    assert asked(ready, []) == []
    assert asked(ready, [], of_one_dag(Task("ended"))) == []


def test_a_task_that_nothing_is_before_is_evaluated_and_one_that_waits_for_it_is_not(ready: Any) -> None:
    assert asked(ready, of_one_dag(Task("first"), Task("second", {"first"}), Task("third", {"second"}))) == [
        "first"
    ]


def test_a_task_that_runs_always_is_evaluated(ready: Any) -> None:
    waiting = [Task("first"), Task("always", {"first"}, "always"), Task("done", {"first"}, "all_done")]
    assert asked(ready, of_one_dag(*waiting)) == ["first", "always"]


def test_a_task_is_evaluated_once_one_of_those_before_it_has_ended(ready: Any) -> None:
    ended, *pending = of_one_dag(Task("ended"), Task("other"), Task("join", {"ended", "other"}))
    assert asked(ready, pending, [ended]) == ["other", "join"]


def test_a_task_is_evaluated_whose_mapped_upstream_has_ended_in_part(ready: Any) -> None:
    first, join = of_one_dag(Task("first"), Task("join", {"first"}))
    assert asked(ready, [Instance(first.task), join], [first]) == ["first", "join"]


def test_a_task_whose_upstream_runs_is_left_out(ready: Any) -> None:
    _, *pending = of_one_dag(Task("running"), Task("next", {"running"}), Task("after", {"next"}))
    assert asked(ready, pending) == []


def test_a_task_is_evaluated_whose_upstream_runs_if_another_one_has_ended_badly(ready: Any) -> None:
    _, bad, *pending = of_one_dag(Task("running"), Task("bad"), Task("join", {"running", "bad"}))
    assert asked(ready, pending, [Instance(bad.task, "failed")]) == ["join"]
    assert asked(ready, pending, [Instance(bad.task, "success")]) == []


def test_in_a_mapped_group_a_task_is_left_out_until_one_before_it_has_ended_for_an_index(ready: Any) -> None:
    lengths = Task("lengths")
    group = Expanded([lengths])
    ended, first, last = of_one_dag(
        lengths, Task("first", {"lengths"}, group=group), Task("last", {"first", "lengths"}, group=group)
    )
    ended.state = "success"
    assert asked(ready, [last], [ended]) == ["last"], "it is expanded early"
    first.map_index = last.map_index = 0
    assert asked(ready, [last], [ended]) == []
    first.state = "success"
    assert asked(ready, [last], [ended, first]) == ["last"]
    assert asked(ready, [Instance(first.task, map_index=1), last], [ended, first]) == ["first", "last"]


def test_a_task_that_something_waits_before_is_left_out_though_something_else_runs(ready: Any) -> None:
    _, *pending = of_one_dag(Task("running"), Task("waiting"), Task("join", {"running", "waiting"}))
    assert asked(ready, pending) == ["waiting"]


def test_what_is_in_a_mapped_group_is_evaluated_once_that_is_expanded(ready: Any) -> None:
    lengths = Task("lengths")
    group = Expanded([lengths])
    inner, last = Task("inner", {"lengths"}, group=group), Task("last", {"inner"}, group=group)
    ended, *pending = of_one_dag(lengths, inner, last, Task("out", {"last"}))
    assert asked(ready, [ended, *pending]) == ["lengths"]
    assert asked(ready, pending, [ended]) == ["inner", "last"]


def test_a_mapped_task_is_evaluated_once_one_that_expands_it_has_ended(ready: Any) -> None:
    lengths, others = Task("lengths"), Task("others")
    ended, *pending = of_one_dag(
        lengths, others, Task("first"), Mapped("mapped", {"first"}, by=(others, lengths))
    )
    assert asked(ready, [ended, *pending]) == ["lengths", "others", "first"]
    assert asked(ready, pending, [ended]) == ["others", "first", "mapped"]


@pytest.mark.parametrize("state", ["skipped", "upstream_failed"])
def test_a_group_is_evaluated_in_the_round_in_which_what_expands_it_is_skipped(
    ready: Any, state: str
) -> None:
    lengths = Task("lengths", {"ended"})
    group = Expanded([lengths])
    ended, *pending = of_one_dag(
        Task("ended"),
        Task("before", {"first"}, group=group),
        lengths,
        Task("first", {"lengths"}, group=group),
        Task("last", {"first"}, group=group),
    )
    evaluated = []
    for instance in ready.reachable(pending, [ended]):
        evaluated.append(instance.task_id)
        if instance.task is lengths:
            instance.state = state
    assert evaluated == ["lengths", "first", "last"]


@pytest.mark.parametrize("kind", ["is_setup", "is_teardown"])
def test_of_a_dag_with_setups_or_teardowns_nothing_is_left_out(ready: Any, kind: str) -> None:
    special = Task("special")
    setattr(special, kind, True)
    _, *pending = of_one_dag(special, Task("first"), Task("second", {"first"}))
    assert asked(ready, pending) == ["first", "second"]


def test_a_dag_run_gets_fewer_to_evaluate_and_what_it_finds_is_kept(ready: Any) -> None:
    seen: list[Any] = []

    class DagRun:
        def _get_ready_tis(self, schedulable_tis: Any, finished_tis: Any, session: Any) -> Any:
            seen.append([self, "ready", names(schedulable_tis), finished_tis, session])
            return ["ready"], True, False

        def _are_premature_tis(self, unfinished_tis: Any, finished_tis: Any, session: Any) -> Any:
            seen.append([self, "premature", names(unfinished_tis), finished_tis, session])
            return False, True

    ready.change(SimpleNamespace(DagRun=DagRun))
    run, pending, ended = (
        DagRun(),
        of_one_dag(Task("first"), Task("second", {"first"})),
        [Instance(Task("x"))],
    )
    # As Airflow calls them.
    assert run._get_ready_tis(pending, ended, session="session") == (["ready"], True, False)
    assert run._are_premature_tis(pending, ended, "session") == (False, True)
    assert seen == [[run, which, ["first"], ended, "session"] for which in ("ready", "premature")]


@pytest.mark.parametrize("rule", ["all_success", "none_failed"])
def test_a_task_that_waits_for_all_is_left_out_while_one_is_to_begin_and_the_others_succeeded(
    ready: Any, rule: str
) -> None:
    ended, *pending = of_one_dag(Task("ended"), Task("other"), Task("join", {"ended", "other"}, rule))
    ended.state = "success"
    assert asked(ready, pending, [ended]) == ["other"]


@pytest.mark.parametrize("state", ["failed", "skipped", "upstream_failed", "removed"])
def test_it_is_evaluated_once_one_has_ended_otherwise(ready: Any, state: str) -> None:
    ended, *pending = of_one_dag(Task("ended"), Task("other"), Task("join", {"ended", "other"}))
    succeeded, ended.state = Instance(ended.task, "success"), state
    assert asked(ready, pending, [succeeded, ended, succeeded]) == ["other", "join"]


@pytest.mark.parametrize(
    ("state", "found"),
    [("skipped", ["other"]), ("failed", ["other", "join"]), ("removed", ["other", "join"])],
)
def test_one_that_is_skipped_decides_nothing_for_a_task_that_bears_that(
    ready: Any, state: str, found: list[str]
) -> None:
    ended, *pending = of_one_dag(
        Task("ended"), Task("other"), Task("join", {"ended", "other"}, "none_failed")
    )
    assert asked(ready, pending, [Instance(ended.task, state)]) == found


@pytest.mark.parametrize("rule", ["one_success", "all_done", "none_failed_min_one_success", "all_skipped"])
def test_a_task_of_another_trigger_rule_is_evaluated_once_one_has_succeeded(ready: Any, rule: str) -> None:
    ended, *pending = of_one_dag(Task("ended"), Task("other"), Task("join", {"ended", "other"}, rule))
    ended.state = "success"
    assert asked(ready, pending, [ended]) == ["other", "join"]


def test_in_a_mapped_group_an_instance_may_be_ready_while_that_of_another_index_is_to_begin(
    ready: Any,
) -> None:
    group = Expanded([Task("lengths")])
    first = Task("first", group=group)
    ended, *pending = of_one_dag(first, Task("second", {"first"}, group=group))
    ended.state = "success"
    assert asked(ready, [Instance(first), *pending], [ended]) == ["first", "second"]
