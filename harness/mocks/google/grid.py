"""A spreadsheet's tabs and cells, and what a cell shows for what was entered.

Entering text as a user would (USER_ENTERED) recognises numbers, booleans, ISO dates and times of day; what else
Google recognises (percent, currency, other date formats) stays text here. Formulas are refused.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from harness.mocks.google.a1 import Span

MIN_ROWS, MIN_COLUMNS = 1000, 26
_EPOCH = date(1899, 12, 30)
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)")
_TIME = re.compile(r"(\d{1,2}):([0-5]\d)(?::([0-5]\d))?")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")

Scalar = str | int | float | bool


class FormulaError(ValueError):
    """A formula was entered; this grid computes none."""


@dataclass(frozen=True, slots=True)
class Cell:
    """`value` as UNFORMATTED_VALUE gives it, `shown` as FORMATTED_VALUE does; `moment`: a date or time."""

    value: Scalar
    shown: str
    moment: bool = False


def raw(value: Scalar) -> Cell:
    """The cell for a value stored as it is."""
    if isinstance(value, bool):
        return Cell(value, "TRUE" if value else "FALSE")
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return Cell(value, str(value))


def typed(value: Scalar) -> Cell:
    """The cell for a value typed in by a person. Raises FormulaError."""
    if not isinstance(value, str):
        return raw(value)
    text = value.strip()
    if text.startswith("="):
        raise FormulaError(text)
    if text.startswith("'"):
        return Cell(text[1:], text[1:])
    if text.upper() in ("TRUE", "FALSE"):
        return raw(text.upper() == "TRUE")
    if _NUMBER.fullmatch(text):
        return raw(float(text) if "." in text else int(text))
    return _moment(text) or Cell(value, value)


def _moment(text: str) -> Cell | None:
    """A date or time of day as a serial number of days; it keeps showing what was typed."""
    clock = _TIME.fullmatch(text)
    if clock:
        hours, minutes, seconds = (int(part or 0) for part in clock.groups())
        return Cell((hours * 3600 + minutes * 60 + seconds) / 86400, text, moment=True)
    if _DATE.fullmatch(text):
        try:
            return Cell((date.fromisoformat(text) - _EPOCH).days, text, moment=True)
        except ValueError:
            return None
    return None


@dataclass(slots=True)
class Tab:
    """One sheet of a spreadsheet. Cells that hold nothing are absent from `cells`, keyed (row, column)."""

    title: str
    sheet_id: int
    rows: int = MIN_ROWS
    columns: int = MIN_COLUMNS
    cells: dict[tuple[int, int], Cell] = field(default_factory=dict)

    def bounds(self, span: Span) -> tuple[int, int, int, int]:
        """`span` closed and clipped to the grid: (top, left, bottom, right), ends exclusive."""
        bottom = self.rows if span.bottom is None else min(span.bottom, self.rows)
        right = self.columns if span.right is None else min(span.right, self.columns)
        return span.top, span.left, bottom, right

    def put(self, row: int, column: int, cell: Cell | None) -> None:
        """Set or clear one cell; the grid grows to hold it."""
        if cell is None or cell.shown == "":
            self.cells.pop((row, column), None)
            return
        self.cells[(row, column)] = cell
        self.rows = max(self.rows, row + 1)
        self.columns = max(self.columns, column + 1)

    def block(self, bounds: tuple[int, int, int, int]) -> list[list[Cell | None]]:
        """The cells of closed `bounds` row by row, without empty ends of rows and without empty last rows."""
        top, left, bottom, right = bounds
        inside = [(r, c) for r, c in self.cells if top <= r < bottom and left <= c < right]
        last = max((r for r, _ in inside), default=top - 1)
        rows = []
        for row in range(top, last + 1):
            end = max((c for r, c in inside if r == row), default=left - 1)
            rows.append([self.cells.get((row, column)) for column in range(left, end + 1)])
        return rows

    def table_at(self, bounds: tuple[int, int, int, int]) -> tuple[int, int, int, int] | None:
        """The table that `append` adds to: filled cells of `bounds`, grown to all that touch them."""
        top, left, bottom, right = bounds
        inside = [(r, c) for r, c in self.cells if top <= r < bottom and left <= c < right]
        if not inside:
            return None
        table = _around(inside)
        while True:
            top, left, bottom, right = table
            touching = [(r, c) for r, c in self.cells if top - 1 <= r <= bottom and left - 1 <= c <= right]
            grown = _around(touching)
            if grown == table:
                return table
            table = grown

    def clear(self, bounds: tuple[int, int, int, int]) -> None:
        """Empty the cells of closed `bounds`."""
        top, left, bottom, right = bounds
        for row, column in [(r, c) for r, c in self.cells if top <= r < bottom and left <= c < right]:
            del self.cells[(row, column)]

    def insert_rows(self, at: int, count: int) -> None:
        """Move everything from row `at` down by `count` rows."""
        self.cells = {(r + count if r >= at else r, c): cell for (r, c), cell in self.cells.items()}
        self.rows += count


def _around(places: Sequence[tuple[int, int]]) -> tuple[int, int, int, int]:
    rows, columns = [r for r, _ in places], [c for _, c in places]
    return min(rows), min(columns), max(rows) + 1, max(columns) + 1


@dataclass(slots=True)
class Spreadsheet:
    """Tabs in their order."""

    spreadsheet_id: str
    tabs: list[Tab] = field(default_factory=list)
    title: str = ""

    @property
    def shown_title(self) -> str:
        """Its title; one that a test made by its id alone has that."""
        return self.title or self.spreadsheet_id

    def titles(self) -> list[str]:
        """The tabs' names in order; the first is the one that a range without a name means."""
        return [tab.title for tab in self.tabs]

    def tab(self, title: str) -> Tab:
        """The tab named `title`. Raises KeyError."""
        for tab in self.tabs:
            if tab.title == title:
                return tab
        raise KeyError(title)

    def replace(self, title: str, rows: Sequence[Sequence[Any]]) -> None:
        """Make the tab hold exactly `rows`, typed in as by a person. Raises FormulaError."""
        index = self.titles().index(title) if title in self.titles() else len(self.tabs)
        tab = Tab(title, sheet_id=self.tabs[index].sheet_id if index < len(self.tabs) else index)
        for row, column, value in _numbered(rows):
            tab.put(row, column, None if value is None else typed(value))
        self.tabs[index : index + 1] = [tab]


def _numbered(rows: Sequence[Sequence[Any]]) -> Iterator[tuple[int, int, Any]]:
    for row, values in enumerate(rows):
        for column, value in enumerate(values):
            yield row, column, value
