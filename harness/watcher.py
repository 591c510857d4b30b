"""One reader of a stack's state for everybody who waits for it: tests get events, the database gets one query a tick.

Waiting costs the same for one test and for two hundred: the watcher asks for all their runs, tasks and DAGs at
once, and only while somebody waits. The metadata database is asked rather than Airflow's API, whose every answer
costs the API server more CPU than a tick costs the database.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, LiteralString, Protocol

import psycopg

from harness.lines.tables import Tables
from harness.waits import Deadline

TICK = 0.05
"""Seconds between two looks. A look at a hundred runs takes the database about 2 ms."""

PATIENCE = 20
"""Failed looks in a row (a second's worth) after which those who wait are told; a restarting database is shorter."""

TERMINAL = frozenset({"success", "failed"})
"""States in which a DAG run has ended."""

RunKey = tuple[str, str]
TaskKey = tuple[str, str, str, int]


class Rows(Protocol):
    """Asks the metadata database, as `Database.rows` does."""

    def __call__(self, query: LiteralString, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]: ...


class Events(Protocol):
    """What a test waits on: the `Watcher` itself, or a hub's client in another process that asks it."""

    def run_ended(self, dag_id: str, run_id: str, timeout: float) -> str | None: ...

    def task_reached(
        self, dag_id: str, run_id: str, task_id: str, map_index: int, states: Sequence[str], timeout: float
    ) -> str | None: ...

    def dag_parsed(self, dag_id: str, after: str | None, timeout: float) -> bool: ...


class WatchError(RuntimeError):
    """The database could not be asked any more; the message has its words."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What one look saw of all that is waited for. A run, task or DAG that does not exist is missing."""

    runs: dict[RunKey, str]
    tasks: dict[TaskKey, str | None]
    dags: dict[str, datetime]
    """DAG id to when it was last parsed."""
    beating: frozenset[str]
    """Job types with a heartbeat younger than their components' start (see `Interest.since`)."""
    parsed: bool
    """Whether the DAG processor has delivered anything yet: a DAG, or an import error."""


@dataclass(frozen=True, slots=True)
class Interest:
    """What one waiter has to know to decide: runs, runs with all their tasks, DAGs, or the stack's readiness."""

    runs: frozenset[RunKey] = frozenset()
    tasks_of: frozenset[RunKey] = frozenset()
    dags: frozenset[str] = frozenset()
    since: datetime | None = None


@dataclass(eq=False, slots=True)
class _Waiter:
    interest: Interest
    satisfied: Callable[[Snapshot], bool]
    done: threading.Event = field(default_factory=threading.Event)
    snapshot: Snapshot | None = None
    failure: str = ""


class Watcher:
    """Reads state as long as somebody waits. Thread-safe."""

    def __init__(self, rows: Rows, tables: Tables, tick: float = TICK) -> None:
        self._rows = rows
        self._tables = tables
        self._tick = tick
        self._lock = threading.Condition()
        self._waiters: list[_Waiter] = []
        self._closed = False
        self._failed = 0
        self._thread = threading.Thread(target=self._watch, name="watcher", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop; whoever still waits is told so."""
        with self._lock:
            self._closed = True
            self._lock.notify_all()
        self._thread.join()

    def wait(
        self, interest: Interest, satisfied: Callable[[Snapshot], bool], timeout: float
    ) -> Snapshot | None:
        """Wait until a look at what `interest` names satisfies; None when none did within `timeout` seconds.

        Raises `WatchError` when the database cannot be asked any more.
        """
        waiter = _Waiter(interest, satisfied)
        with self._lock:
            self._waiters.append(waiter)
            self._lock.notify_all()
        try:
            waiter.done.wait(timeout)
        finally:
            with self._lock:
                if waiter in self._waiters:
                    self._waiters.remove(waiter)
        if waiter.failure:
            raise WatchError(waiter.failure)
        return waiter.snapshot

    # ---- what tests wait for

    def run_ended(self, dag_id: str, run_id: str, timeout: float) -> str | None:
        """The state a run ended with; None when it had not ended after `timeout` seconds."""
        key = (dag_id, run_id)
        seen = self.wait(Interest(runs=frozenset({key})), lambda s: s.runs.get(key) in TERMINAL, timeout)
        return seen.runs[key] if seen else None

    def task_reached(
        self, dag_id: str, run_id: str, task_id: str, map_index: int, states: Sequence[str], timeout: float
    ) -> str | None:
        """The one of `states` that a task instance is in; None when it was in none of them for `timeout` seconds."""
        key = (dag_id, run_id, task_id, map_index)
        interest = Interest(tasks_of=frozenset({(dag_id, run_id)}))
        seen = self.wait(interest, lambda s: s.tasks.get(key) in states, timeout)
        return seen.tasks[key] if seen else None

    def dag_parsed(self, dag_id: str, after: str | None, timeout: float) -> bool:
        """Whether a DAG is there (and was parsed after that ISO 8601 time, if given) within `timeout` seconds."""
        moment = datetime.fromisoformat(after) if after else datetime.min.replace(tzinfo=UTC)
        interest = Interest(dags=frozenset({dag_id}))
        earliest = datetime.min.replace(tzinfo=UTC)
        return self.wait(interest, lambda s: s.dags.get(dag_id, earliest) > moment, timeout) is not None

    def ready(self, since: datetime, timeout: float) -> bool:
        """Whether all components have beaten after `since`, and a first DAG file was parsed, within `timeout`."""
        wanted = self._tables.heartbeats
        seen = self.wait(Interest(since=since), lambda s: s.beating >= wanted and s.parsed, timeout)
        return seen is not None

    # ---- the thread

    def _watch(self) -> None:
        while True:
            with self._lock:
                while not self._waiters and not self._closed:
                    self._lock.wait()
                if self._closed:
                    self._tell_all("the watcher was closed")
                    return
                waiters = list(self._waiters)
            started = Deadline.after(self._tick)
            self._look(waiters)
            with self._lock:
                if not self._closed:
                    self._lock.wait_for(lambda: self._closed, started.left)

    def _look(self, waiters: list[_Waiter]) -> None:
        try:
            snapshot = look(self._rows, self._tables, [w.interest for w in waiters])
        except psycopg.Error as error:
            self._failed += 1
            if self._failed >= PATIENCE:
                with self._lock:
                    self._tell_all(f"the metadata database cannot be asked: {error}")
            return
        self._failed = 0
        for waiter in waiters:
            if waiter.satisfied(snapshot):
                waiter.snapshot = snapshot
                with self._lock:
                    if waiter in self._waiters:
                        self._waiters.remove(waiter)
                waiter.done.set()

    def _tell_all(self, failure: str) -> None:
        for waiter in self._waiters:
            waiter.failure = failure
            waiter.done.set()
        self._waiters.clear()


def look(rows: Rows, tables: Tables, interests: Sequence[Interest]) -> Snapshot:
    """Read all that `interests` name, in at most one query a table."""
    tasks_of = frozenset[RunKey]().union(*(i.tasks_of for i in interests))
    runs = tasks_of.union(*(i.runs for i in interests))
    dags = frozenset[str]().union(*(i.dags for i in interests))
    since = min((i.since for i in interests if i.since), default=None)
    return Snapshot(
        runs=_runs(rows, runs) if runs else {},
        tasks=_tasks(rows, tasks_of) if tasks_of else {},
        dags=_dags(rows, tables, dags) if dags else {},
        beating=_beating(rows, since) if since else frozenset(),
        parsed=_parsed(rows) if since else False,
    )


def _runs(rows: Rows, wanted: frozenset[RunKey]) -> dict[RunKey, str]:
    run_ids = sorted({run_id for _, run_id in wanted})
    found = rows("SELECT dag_id, run_id, state FROM dag_run WHERE run_id = ANY(%s)", [run_ids])
    return {(dag, run): state for dag, run, state in found if (dag, run) in wanted}


def _tasks(rows: Rows, wanted: frozenset[RunKey]) -> dict[TaskKey, str | None]:
    run_ids = sorted({run_id for _, run_id in wanted})
    found = rows(
        "SELECT dag_id, run_id, task_id, map_index, state FROM task_instance WHERE run_id = ANY(%s)",
        [run_ids],
    )
    return {(dag, run, task, index): state for dag, run, task, index, state in found if (dag, run) in wanted}


def _dags(rows: Rows, tables: Tables, wanted: frozenset[str]) -> dict[str, datetime]:
    found = rows(tables.parsed_dags, [sorted(wanted)])
    return {dag: parsed for dag, parsed in found if parsed is not None}


def _beating(rows: Rows, since: datetime) -> frozenset[str]:
    found = rows("SELECT job_type FROM job WHERE state = 'running' AND latest_heartbeat > %s", [since])
    return frozenset(job_type for (job_type,) in found)


def _parsed(rows: Rows) -> bool:
    return bool(rows("SELECT 1 FROM dag UNION ALL SELECT 1 FROM import_error LIMIT 1"))
