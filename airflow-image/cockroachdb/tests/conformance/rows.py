"""What a row of the conformance table is, and how one is run."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import Any, Literal

import psycopg2

PAGES = "https://www.cockroachlabs.com/docs/stable/"


@dataclass(frozen=True)
class Outcome:
    """What comes of a row's last statement: rows, an error, or neither of interest."""

    kind: Literal["ok", "rows", "error", "unknown"]
    rows: tuple[tuple[Any, ...], ...] = ()
    code: str = ""
    prefix: str = ""

    def allows(self, seen: Outcome) -> bool:
        """Whether `seen` is what this outcome, from the documentation, says."""
        if self.kind == "unknown":
            return True
        if self.kind == "error":
            right_code = not self.code or seen.code == self.code
            return seen.kind == "error" and right_code and seen.prefix.startswith(self.prefix)
        return seen.kind != "error" and (self.kind == "ok" or seen.rows == self.rows)


OK = Outcome("ok")
UNKNOWN = Outcome("unknown")
"""The documentation does not say, or nobody here could find it: what happens is written down, not judged."""


def gives(*rows: Any) -> Outcome:
    """These rows; a value that is no tuple is a row of its own."""
    return Outcome("rows", tuple(row if isinstance(row, tuple) else (row,) for row in rows))


def fails(code: str = "", prefix: str = "") -> Outcome:
    """An error: of this SQLSTATE, with a message that begins like this, as far as they are documented."""
    return Outcome("error", code=code, prefix=prefix)


@dataclass(frozen=True)
class Row:
    """Statements, the outcome of the last one, and the page that says so.

    Statements run one by one, outside of a transaction unless they begin one; those that begin with ``b: `` on a second
    connection. `differs` says why the stand-in is known to do otherwise: then it has to, so that the list stays true.
    """

    name: str
    statements: tuple[str, ...]
    outcome: Outcome
    page: str
    differs: str = ""

    @property
    def url(self) -> str:
        return PAGES + self.page


def row(name: str, *statements: str, then: Outcome, page: str, differs: str = "") -> Row:
    """A row; see `Row`."""
    return Row(name, statements, then, page, differs)


def run(row: Row, connect: Callable[[], Any]) -> Outcome:
    """Run a row's statements on fresh connections. Only the last may fail."""
    with ExitStack() as opened:
        connections: dict[str, Any] = {}

        def execute(statement: str) -> Outcome:
            session, separator, text = statement.partition("b: ")
            key, sql = ("b", text) if separator and not session else ("a", statement)
            if key not in connections:
                connections[key] = opened.enter_context(closing(connect()))
                connections[key].autocommit = True
            with connections[key].cursor() as cursor:
                cursor.execute(sql)
                found = tuple(cursor.fetchall()) if cursor.description else ()
            return Outcome("rows", found)

        *before, last = row.statements
        for statement in before:
            execute(statement)
        try:
            return execute(last)
        except psycopg2.Error as error:
            return Outcome("error", code=error.pgcode or "", prefix=str(error).strip())
