"""Retry errors of the database (SQLSTATE 40001) as a test wants them, and how many there were. The stand-in only."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from psycopg import sql

from harness.database import Database
from harness.services.database import FAILURES_SETTING


@dataclass(frozen=True, slots=True)
class Counts:
    """Writing transactions that came to COMMIT since the database started, and those that were made to fail there."""

    commits: int
    failed: int


def counts(database: Database) -> Counts:
    """Read the counters of the stand-in."""
    [(commits, failed)] = database.rows("SELECT itest.commits(), itest.failed_commits()")
    return Counts(commits, failed)


@contextmanager
def failing_commits(database: Database, percent: float) -> Iterator[None]:
    """Let so many percent of everybody's writing COMMITs fail, and then what the stack was started with again."""
    _configure(database, sql.SQL("ALTER SYSTEM SET {} = {}"), percent)
    try:
        yield
    finally:
        _configure(database, sql.SQL("ALTER SYSTEM RESET {}"))


def _configure(database: Database, statement: sql.SQL, *values: float) -> None:
    setting = sql.Identifier(*FAILURES_SETTING.split("."))
    database.run(statement.format(setting, *map(sql.Literal, values)))
    database.rows("SELECT pg_reload_conf()")
