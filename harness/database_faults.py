"""Faults of the database of a running stack: retry errors (SQLSTATE 40001), slowness, restarts. The stand-in only.

Each heals what it broke, whatever happens in between.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from psycopg import sql

from harness.database import Database
from harness.environment import Environment
from harness.services.database import FAILURES_SETTING, NAME


@dataclass(frozen=True, slots=True)
class Counts:
    """Since the database started: writing transactions that came to COMMIT, those that were made to fail there,
    statements that were made to fail, and statements that were delayed."""

    commits: int
    failed: int
    failed_statements: int
    slow_statements: int


def counts(database: Database) -> Counts:
    """Read the counters of the stand-in."""
    [row] = database.rows(
        "SELECT itest.commits(), itest.failed_commits(), itest.failed_statements(), itest.slow_statements()"
    )
    return Counts(*row)


@contextmanager
def failing_commits(database: Database, percent: float) -> Iterator[None]:
    """Let so many percent of everybody's writing COMMITs fail, and then what the stack was started with again."""
    with _settings(database, {FAILURES_SETTING: percent}):
        yield


@contextmanager
def failing_statements(database: Database, percent: float) -> Iterator[None]:
    """Let so many percent of everybody's writing statements in transactions fail with 40001."""
    with _settings(database, {"itest.statement_failures": percent}):
        yield


@contextmanager
def slow_statements(database: Database, seconds: float, percent: float = 100) -> Iterator[None]:
    """Delay so many percent of everybody's statements; the harness's own are never delayed."""
    with _settings(database, {"itest.slow_percent": percent, "itest.slow_statements": round(seconds * 1000)}):
        yield


@contextmanager
def down(env: Environment) -> Iterator[None]:
    """Stop the database as an operator does: sessions are ended, what was committed stays. Then start it again.

    Returns once it answers. Counters begin anew. (A kill would lose what the stand-in has not written yet, as it
    runs without synchronous commits: no fault that CockroachDB has.)
    """
    env.history.record("database_stopped", stack=env.stack)
    env.runtime.stop(NAME)
    try:
        yield
    finally:
        env.runtime.restart(NAME)
        env.history.record("database_started", stack=env.stack)


@contextmanager
def _settings(database: Database, values: Mapping[str, float]) -> Iterator[None]:
    try:
        for name, value in values.items():
            _configure(database, sql.SQL("ALTER SYSTEM SET {} = {}"), name, value)
        yield
    finally:
        for name in values:
            _configure(database, sql.SQL("ALTER SYSTEM RESET {}"), name)


def _configure(database: Database, statement: sql.SQL, name: str, *values: float) -> None:
    setting = sql.Identifier(*name.split("."))
    database.run(statement.format(setting, *map(sql.Literal, values)))
    database.rows("SELECT pg_reload_conf()")
