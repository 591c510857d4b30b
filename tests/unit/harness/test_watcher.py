"""One watcher tells everybody who waits, with one query a table and none while nobody does."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from harness.lines.tables import AIRFLOW_3
from harness.waits import eventually
from harness.watcher import PATIENCE, Rows, Watcher, WatchError

T0 = datetime(2026, 11, 24, tzinfo=UTC)
T1 = datetime(2026, 11, 25, tzinfo=UTC)


class Tables:
    """Plays the metadata database; counts the queries by table."""

    def __init__(self) -> None:
        self.runs: dict[tuple[str, str], str] = {}
        self.tasks: list[tuple[str, str, str, int, str | None]] = []
        self.dags: dict[str, datetime] = {}
        self.jobs: list[str] = []
        self.parsed = False
        self.queries: list[str] = []
        self.broken = 0

    def __call__(self, query: Any, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        self.queries.append(query)
        if self.broken:
            self.broken -= 1
            raise psycopg.OperationalError("gone")
        if "FROM dag_run" in query:
            return [(*key, state) for key, state in self.runs.items() if key[1] in parameters[0]]
        if "FROM task_instance" in query:
            return [row for row in self.tasks if row[1] in parameters[0]]
        if "last_parsed_time" in query:
            return [(dag, at) for dag, at in self.dags.items() if dag in parameters[0]]
        if "FROM job" in query:
            return [(job,) for job in self.jobs]
        return [(1,)] if self.parsed else []


@pytest.fixture
def tables() -> Tables:
    return Tables()


@pytest.fixture
def watcher(tables: Tables) -> Iterator[Watcher]:
    rows: Rows = tables
    made = Watcher(rows, AIRFLOW_3, tick=0.005)
    yield made
    made.close()


def later(action: Callable[[], object]) -> None:
    threading.Timer(0.05, action).start()


def test_a_run_that_ends_is_told_with_its_state(watcher: Watcher, tables: Tables) -> None:
    tables.runs = {("d", "r"): "running", ("other", "r"): "success"}
    assert watcher.run_ended("d", "r", 0.05) is None
    later(lambda: tables.runs.update({("d", "r"): "failed"}))
    assert watcher.run_ended("d", "r", 10) == "failed"


def test_two_hundred_who_wait_cost_one_query_a_look(watcher: Watcher, tables: Tables) -> None:
    tables.runs = {("d", str(n)): "running" for n in range(200)}
    with ThreadPoolExecutor(max_workers=200) as pool:
        waiting = [pool.submit(watcher.run_ended, "d", str(n), 30) for n in range(200)]
        eventually(lambda: len(watcher._waiters) == 200, "all to wait", 10, 0.01)
        tables.queries.clear()
        looks = len(tables.queries)
        eventually(lambda: len(tables.queries) >= looks + 3, "some looks", 10, 0.01)
        assert set(tables.queries) == {"SELECT dag_id, run_id, state FROM dag_run WHERE run_id = ANY(%s)"}, (
            "nobody waits for anything else"
        )
        tables.runs = dict.fromkeys(tables.runs, "success")
        assert [future.result() for future in waiting] == ["success"] * 200


def test_nothing_is_asked_while_nobody_waits(watcher: Watcher, tables: Tables) -> None:
    tables.runs = {("d", "r"): "success"}
    watcher.run_ended("d", "r", 10)
    asked = len(tables.queries)
    assert not threading.Event().wait(0.05)
    assert len(tables.queries) <= asked + 1, "at most the look that was under way"


def test_a_task_instance_is_told_apart_by_its_map_index(watcher: Watcher, tables: Tables) -> None:
    tables.tasks = [("d", "r", "t", 0, "success"), ("d", "r", "t", 1, None)]
    assert watcher.task_reached("d", "r", "t", 1, ["success"], 0.05) is None
    assert watcher.task_reached("d", "r", "t", 0, ["failed", "success"], 10) == "success"


def test_a_dag_counts_once_it_was_parsed_after_the_given_time(watcher: Watcher, tables: Tables) -> None:
    tables.dags = {"d": T0}
    assert watcher.dag_parsed("d", None, 10)
    assert not watcher.dag_parsed("d", T0.isoformat(), 0.05)
    later(lambda: tables.dags.update(d=T1))
    assert watcher.dag_parsed("d", T0.isoformat(), 10)
    assert not watcher.dag_parsed("unknown", None, 0.05)


def test_a_mirror_is_ready_when_all_have_beaten_and_something_was_parsed(
    watcher: Watcher, tables: Tables
) -> None:
    tables.jobs = sorted(AIRFLOW_3.heartbeats)[1:]
    tables.parsed = True
    assert not watcher.ready(T0, 0.05), "one component has not beaten"
    tables.jobs, tables.parsed = sorted(AIRFLOW_3.heartbeats), False
    assert not watcher.ready(T0, 0.05), "nothing was parsed"
    tables.parsed = True
    assert watcher.ready(T0, 10)


def test_a_database_that_is_away_for_a_moment_is_no_fault(watcher: Watcher, tables: Tables) -> None:
    tables.runs = {("d", "r"): "success"}
    tables.broken = PATIENCE - 1
    assert watcher.run_ended("d", "r", 10) == "success"


def test_a_database_that_stays_away_is_told_to_those_who_wait(watcher: Watcher, tables: Tables) -> None:
    tables.broken = 10_000
    with pytest.raises(WatchError, match="cannot be asked: gone"):
        watcher.run_ended("d", "r", 10)


def test_closing_ends_every_wait(tables: Tables) -> None:
    watcher = Watcher(tables, AIRFLOW_3, tick=0.005)
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(watcher.run_ended, "d", "r", 30)
        eventually(lambda: watcher._waiters, "somebody to wait", 10, 0.01)
        watcher.close()
        with pytest.raises(WatchError, match="closed"):
            waiting.result(timeout=10)
