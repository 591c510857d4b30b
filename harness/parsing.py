"""What Airflow's DAG processor has parsed, and whether it is parsing now."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection
from datetime import UTC, datetime

from harness.database import Database
from harness.runtime.base import Runtime, State
from harness.services.airflow3 import DAG_PROCESSOR
from harness.waits import WaitTimeout, eventually

LONG_AGO = datetime.min.replace(tzinfo=UTC)
LOOKS = 12
"""After so many looks in a row, a quarter of a second apart, at which nothing is being parsed, nothing waits to be: the
DAG processor starts what is due once a second."""
FREEZE_WITHIN = 30
"""Seconds in which a moment between two parses comes, unless a file hangs."""


def unparsed(database: Database, files: Collection[str], since: datetime = LONG_AGO) -> set[str]:
    """Which of `files` (paths below ``dags``) have neither a DAG that was parsed after `since`, nor an import error."""
    parsed = database.rows("SELECT relative_fileloc FROM dag WHERE last_parsed_time > %s", [since])
    failed = database.rows("SELECT filename FROM import_error")
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


def is_parsing(runtime: Runtime) -> bool:
    """Whether the DAG processor is in the middle of a file: it forks for each."""
    return runtime.forks(DAG_PROCESSOR) > 0


def freeze_between_parses(runtime: Runtime) -> None:
    """Pause the DAG processor while it parses nothing; one that does not run, since a test ended it, is left alone.

    Airflow kills a parse that has taken too long, by a clock that goes on while the processor is frozen, and counts
    the file as broken: its DAGs would be gone until it is parsed again. A file that hangs is that anyway, so none is
    waited for longer than `FREEZE_WITHIN`.
    """

    if runtime.states().get(DAG_PROCESSOR, State("missing")).status != "running":
        return

    def look() -> bool:
        if is_parsing(runtime):
            return False
        runtime.pause(DAG_PROCESSOR)
        # One may have begun meanwhile.
        if not is_parsing(runtime):
            return True
        runtime.unpause(DAG_PROCESSOR)
        return False

    # Where that moment does not come, it is frozen with all the others.
    with contextlib.suppress(WaitTimeout):
        eventually(look, "a moment between two parses", FREEZE_WITHIN, interval=0.1)
