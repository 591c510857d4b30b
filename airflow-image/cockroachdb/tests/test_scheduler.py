"""A conflict ends a round of the scheduler and takes back what the round had queued. Nothing here connects."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from airflow_cockroachdb.fixes import scheduler
from sqlalchemy.exc import OperationalError
from support import apply_fixes, driver_error

Round = Callable[[Any, Any], int]


def error(code: str) -> OperationalError:
    return OperationalError("", {}, driver_error(code))


class Session:
    """Counts what the scheduler does with it."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.commits = 0
        self.rollbacks = 0

    def commit(self) -> None:
        if self.errors:
            raise self.errors.pop(0)
        self.commits += 1

    def rollback(self) -> None:
        self.rollbacks += 1


def executor(**queued: str) -> Any:
    return SimpleNamespace(queued_tasks=dict(queued), queued_callbacks={}, event_buffer={})


def patched(**methods: Any) -> Any:
    """A scheduler with these methods of Airflow's, and the fixes."""
    module = ModuleType("airflow.jobs.scheduler_job_runner")
    stubs = {
        "_do_scheduling": lambda self, session: 0,
        "_critical_section_enqueue_task_instances": lambda self, session: 0,
        "_process_executor_events": lambda self, executor, session: 0,
    }
    module.__dict__["SchedulerJobRunner"] = type("SchedulerJobRunner", (), stubs | methods)
    apply_fixes(module)
    return module.__dict__["SchedulerJobRunner"]()


def queue_then_fail(code: str) -> Round:
    def do(self: Any, session: Any) -> int:
        self.executors[0].queued_tasks["new"] = "workload"
        raise error(code)

    return do


@pytest.mark.proves("scheduling-round")
@pytest.mark.parametrize("code", ["40001", "40P01"])
def test_a_lost_round_dispatches_nothing_and_the_scheduler_lives(code: str) -> None:
    runner = patched(_do_scheduling=queue_then_fail(code))
    runner.executors = [executor(old="earlier")]
    session = Session()
    assert runner._do_scheduling(session) == 0
    assert session.rollbacks == 1
    assert runner.executors[0].queued_tasks == {"old": "earlier"}


@pytest.mark.proves("critical-section")
def test_a_lost_critical_section_dispatches_nothing() -> None:
    runner = patched(_critical_section_enqueue_task_instances=queue_then_fail("40001"))
    runner.executors = [executor(old="earlier")]
    with pytest.raises(OperationalError):
        runner._critical_section_enqueue_task_instances(Session())
    assert runner.executors[0].queued_tasks == {"old": "earlier"}


def test_another_error_still_ends_the_scheduler() -> None:
    runner = patched(_do_scheduling=queue_then_fail("57P01"))
    runner.executors = [executor()]
    with pytest.raises(OperationalError):
        runner._do_scheduling(Session())


def take_events(self: Any, executor: Any, session: Any) -> int:
    taken, executor.event_buffer = executor.event_buffer, {}
    return len(taken)


@pytest.mark.proves("executor-events")
def test_what_an_executor_told_is_not_lost_with_the_transaction() -> None:
    runner = patched(_process_executor_events=take_events)
    mine = executor()
    mine.event_buffer = {"task": "success"}
    session = Session(error("40001"), error("40001"))
    assert runner._process_executor_events(executor=mine, session=session) == 1
    assert (session.commits, session.rollbacks) == (1, 2)
    assert mine.event_buffer == {}


def test_events_of_a_scheduler_that_cannot_go_on_end_in_the_error() -> None:
    runner = patched(_process_executor_events=take_events)
    session = Session(*(error("40001") for _ in range(scheduler.EVENT_ATTEMPTS)))
    with pytest.raises(OperationalError):
        runner._process_executor_events(executor=executor(), session=session)


class Timers:
    """Airflow's, which call an action at once."""

    def call_regular_interval(
        self, delay: float, action: Any, arguments: Any = (), kwargs: Any = None
    ) -> None:
        action(*arguments, **(kwargs or {}))


def timed(action: Any) -> None:
    """Do an action of the scheduler's as its timers do, with the fixes."""
    module = ModuleType("airflow.utils.event_scheduler")
    module.__dict__["EventScheduler"] = type("EventScheduler", (Timers,), dict(vars(Timers)))
    apply_fixes(module)
    module.__dict__["EventScheduler"]().call_regular_interval(15.0, action, ("orphans",))


@pytest.mark.proves("timed-actions")
def test_a_conflict_ends_a_timed_action_until_its_next_time() -> None:
    seen = []

    def adopt(what: str) -> None:
        seen.append(what)
        raise error("40001")

    timed(adopt)
    assert seen == ["orphans"]


def test_another_error_of_a_timed_action_still_ends_the_scheduler() -> None:
    def adopt(what: str) -> None:
        raise error("57P01")

    with pytest.raises(OperationalError):
        timed(adopt)
