"""What Airflow has parsed of the DAG files, and whether it is parsing now."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection
from datetime import UTC, datetime

from harness.database import Database
from harness.lines.parsing import Parser
from harness.lines.tables import Tables
from harness.runtime.base import Runtime, State
from harness.waits import WaitTimeout, eventually

LONG_AGO = datetime.min.replace(tzinfo=UTC)
LOOKS = 12
"""After so many looks in a row, a quarter of a second apart, at which nothing is being parsed, nothing waits to be: the
DAG processor starts what is due once a second."""
FREEZE_WITHIN = 30
"""Seconds in which a moment between two parses comes, unless a file hangs."""


def unparsed(
    database: Database, tables: Tables, files: Collection[str], since: datetime = LONG_AGO
) -> set[str]:
    """Which of `files` (paths below ``dags``) have neither a DAG that was parsed after `since`, nor an import error."""
    parsed = database.rows(tables.parsed_files, [since])
    failed = database.rows(tables.broken_files)
    return set(files) - {name for (name,) in (*parsed, *failed)}


def await_parsed(missing: Callable[[], set[str]], is_parsing: Callable[[], bool], timeout: float) -> set[str]:
    """Wait until nothing is `missing`; returns what still is when nothing is being parsed any more.

    A file that defines no DAG leaves no trace in the database. Raises `WaitTimeout`, which names the files.
    """
    quiet = 0
    left: set[str] = set()

    def look() -> bool:
        nonlocal quiet, left
        left = missing()
        quiet = 0 if not left or is_parsing() else quiet + 1
        return not left or quiet >= LOOKS

    eventually(
        look, "DAG files to be parsed", timeout, describe=lambda: "missing: " + ", ".join(sorted(left))
    )
    return left


def is_parsing(runtime: Runtime, parser: Parser) -> bool:
    """Whether `parser` is in the middle of a file."""
    return any(parser.is_parse(p.title, p.parent) for p in runtime.processes(parser.service))


def freeze_between_parses(runtime: Runtime, parser: Parser) -> None:
    """Pause the `parser` while it parses nothing; one that does not run, since a test ended it, is left alone.

    Airflow kills a parse that has taken too long, by a clock that goes on while the processor is frozen, and counts
    the file as broken: its DAGs would be gone until it is parsed again. A file that hangs is that anyway, so none is
    waited for longer than `FREEZE_WITHIN`.
    """

    if runtime.states().get(parser.service, State("missing")).status != "running":
        return

    def look() -> bool:
        if is_parsing(runtime, parser):
            return False
        runtime.pause(parser.service)
        # One may have begun meanwhile.
        if not is_parsing(runtime, parser):
            return True
        runtime.unpause(parser.service)
        return False

    # Where that moment does not come, it is frozen with all the others.
    with contextlib.suppress(WaitTimeout):
        eventually(look, "a moment between two parses", FREEZE_WITHIN, interval=0.1)
