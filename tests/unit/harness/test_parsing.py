"""Waiting for DAG files, and freezing the DAG processor between two of them."""

from __future__ import annotations

import pytest

from harness import parsing
from harness.lines.parsing import DAG_PROCESSOR_POD as PARSER
from harness.lines.parsing import INSIDE_SCHEDULER
from harness.runtime.base import Process
from harness.runtime.fake import FakeRuntime
from harness.waits import WaitTimeout


@pytest.fixture
def _quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parsing, "LOOKS", 2)


@pytest.mark.usefixtures("_quick_looks")
def test_it_waits_until_nothing_is_missing() -> None:
    answers = [{"a.py", "b.py"}, {"b.py"}, set[str]()]
    assert parsing.await_parsed(lambda: answers.pop(0), lambda: True, timeout=5) == set()
    assert answers == []


@pytest.mark.usefixtures("_quick_looks")
def test_a_file_without_a_dag_is_waited_for_only_while_something_is_parsed() -> None:
    forks = [True, False, True, False, False]
    assert parsing.await_parsed(lambda: {"none.py"}, lambda: forks.pop(0), timeout=5) == {"none.py"}
    assert forks == []


def test_what_is_missing_is_named() -> None:
    with pytest.raises(WaitTimeout, match=r"missing: a\.py, b\.py"):
        parsing.await_parsed(lambda: {"b.py", "a.py"}, lambda: True, timeout=0)


@pytest.fixture
def runtime() -> FakeRuntime:
    """One whose DAG processor runs."""
    made = FakeRuntime()
    made.restart(PARSER.service)
    return made


def test_the_dag_processor_is_frozen_between_two_parses(runtime: FakeRuntime) -> None:
    runtime.forked = [1, 1, 0, 1, 0, 0]
    parsing.freeze_between_parses(runtime, PARSER)
    assert runtime.forked == []
    assert runtime.frozen == ["pause", "unpause", "pause"]


def test_a_file_that_hangs_keeps_nobody_from_freezing_all(
    runtime: FakeRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parsing, "FREEZE_WITHIN", 0)
    runtime.forked = [1] * 100
    parsing.freeze_between_parses(runtime, PARSER)
    assert runtime.states()[PARSER.service].status == "running"


def test_a_dag_processor_that_was_ended_is_left_alone(runtime: FakeRuntime) -> None:
    runtime.kill(PARSER.service)
    parsing.freeze_between_parses(runtime, PARSER)
    assert runtime.frozen == []


MANAGER = "airflow scheduler -- DagFileProcessorManager"


@pytest.mark.parametrize(
    ("title", "parent", "parses"),
    [
        ("airflow scheduler - DagFileProcessor /opt/airflow/content/dags/a.py", MANAGER, True),
        (MANAGER, MANAGER, True),
        (MANAGER, "airflow scheduler", False),
        # Airflow sends many tasks at once by forks of the scheduler.
        ("airflow scheduler", "airflow scheduler", False),
    ],
)
def test_a_scheduler_parses_in_children_of_its_manager(title: str, parent: str, parses: bool) -> None:
    class Listing(FakeRuntime):
        def processes(self, service: str) -> list[Process]:
            assert service == "scheduler"
            return [Process(title, parent)]

    assert parsing.is_parsing(Listing(), INSIDE_SCHEDULER) is parses
