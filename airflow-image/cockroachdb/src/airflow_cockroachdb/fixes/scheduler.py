"""A conflict ends a round or a timed action of the scheduler, not the scheduler; nothing of a lost round is dispatched.

The scheduler hands workloads to its executors before it commits that they are queued, and takes events from them
before it commits what they mean. When the transaction is lost, so must be the workloads, and the events must not.
"""

from __future__ import annotations

import contextlib
import functools
import logging
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from sqlalchemy.exc import DBAPIError

from airflow_cockroachdb.fix import Fix, function, member
from airflow_cockroachdb.fixes.isolation import is_conflict

log = logging.getLogger(__name__)

QUEUES = ("queued_tasks", "queued_callbacks", "queued_connection_tests")
"""An executor's workloads by key that it has not sent yet; Airflow 3.2 has the first two."""

EVENT_ATTEMPTS = 5


@contextlib.contextmanager
def nothing_queued_on_conflict(executors: list[Any]) -> Iterator[None]:
    """Take back what was queued inside when that ends in a conflict; the error goes on."""
    queues = [getattr(executor, name) for executor in executors for name in QUEUES if hasattr(executor, name)]
    before = [set(queue) for queue in queues]
    try:
        yield
    except DBAPIError as error:
        if is_conflict(error):
            for queue, earlier in zip(queues, before, strict=True):
                for key in set(queue) - earlier:
                    del queue[key]
        raise


def _critical_section(module: ModuleType) -> None:
    runner = member(module, "SchedulerJobRunner")
    original = function(runner, "_critical_section_enqueue_task_instances", "self", "session")

    @functools.wraps(original)
    def enqueue(self: Any, session: Any) -> Any:
        with nothing_queued_on_conflict(self.executors):
            return original(self, session)

    runner._critical_section_enqueue_task_instances = enqueue


def _round(module: ModuleType) -> None:
    runner = member(module, "SchedulerJobRunner")
    original = function(runner, "_do_scheduling", "self", "session")

    @functools.wraps(original)
    def do_scheduling(self: Any, session: Any) -> int:
        try:
            with nothing_queued_on_conflict(self.executors):
                return int(original(self, session))
        except DBAPIError as error:
            if not is_conflict(error):
                raise
            log.warning("A conflict ended this scheduling round; the next one does its work: %s", error.orig)
            session.rollback()
            return 0

    runner._do_scheduling = do_scheduling


def _events(module: ModuleType) -> None:
    runner = member(module, "SchedulerJobRunner")
    original = function(runner, "_process_executor_events", "self", "executor", "session")

    @functools.wraps(original)
    def process_executor_events(self: Any, executor: Any, session: Any) -> int:
        for attempt in range(1, EVENT_ATTEMPTS + 1):
            events = dict(executor.event_buffer)
            try:
                processed = int(original(self, executor=executor, session=session))
                session.commit()
                return processed
            except DBAPIError as error:
                if not is_conflict(error) or attempt == EVENT_ATTEMPTS:
                    raise
                session.rollback()
                executor.event_buffer = events | executor.event_buffer
        raise AssertionError("the last attempt returns or raises")

    runner._process_executor_events = process_executor_events


def _timed_actions(module: ModuleType) -> None:
    timers = member(module, "EventScheduler")
    original = function(timers, "call_regular_interval", "self", "delay", "action")

    @functools.wraps(original)
    def call_regular_interval(self: Any, delay: float, action: Any, *arguments: Any, **keywords: Any) -> None:
        @functools.wraps(action)
        def until_next_time(*given: Any, **named: Any) -> None:
            try:
                action(*given, **named)
            except DBAPIError as error:
                if not is_conflict(error):
                    raise
                log.warning("A conflict ended %s; it does its work next time: %s", action, error.orig)

        original(self, delay, until_next_time, *arguments, **keywords)

    timers.call_regular_interval = call_regular_interval


def _fix(name: str, why: str, apply: Any, module: str = "airflow.jobs.scheduler_job_runner") -> Fix:
    return Fix(name, module, ">=3.2,<3.4", why, apply)


FIXES = (
    _fix("critical-section", "tasks of a round that was rolled back are sent to workers", _critical_section),
    _fix("scheduling-round", "a conflict at COMMIT ends the scheduler", _round),
    _fix("executor-events", "a conflict ends the scheduler, and what executors told it is lost", _events),
    _fix(
        "timed-actions",
        "a conflict in what the scheduler does now and then ends the scheduler",
        _timed_actions,
        "airflow.utils.event_scheduler",
    ),
)
