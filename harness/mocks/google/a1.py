"""A1 notation as the Sheets API reads and writes it.

A sheet's name needs single quotes unless it is a plain word (Sheets API overview, "A1 notation"): a tab
named 2026-11-16 is `'2026-11-16'!A1:D`. Whether Google also reads such a name bare is not documented,
so it is an error here.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

_CORNER = re.compile(r"(?P<column>[A-Za-z]{1,3})?(?P<row>[1-9]\d*)?")
_WORD = re.compile(r"[^\W\d]\w*")


class RangeError(ValueError):
    """The text is no range of this spreadsheet; the message is Google's."""

    def __init__(self, text: str) -> None:
        super().__init__(f"Unable to parse range: {text}")


@dataclass(frozen=True, slots=True)
class Span:
    """Cells from (top, left) to before (bottom, right), zero-based; None is open-ended."""

    top: int = 0
    left: int = 0
    bottom: int | None = None
    right: int | None = None


@dataclass(frozen=True, slots=True)
class Area:
    """A span within the tab named `title`."""

    title: str
    span: Span


def column_number(letters: str) -> int:
    """Zero-based: "A" is 0, "AA" is 26."""
    number = 0
    for letter in letters.upper():
        number = number * 26 + ord(letter) - ord("A") + 1
    return number - 1


def column_letters(number: int) -> str:
    """The inverse of `column_number`."""
    letters = ""
    number += 1
    while number:
        number, rest = divmod(number - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters


def parse(text: str, titles: Sequence[str]) -> Area:
    """Read `text` against the tabs that exist, in their order. Raises RangeError."""
    prefix, bang, cells = text.rpartition("!")
    if bang:
        title, span = _title(prefix, text), _span(cells)
    else:
        span = None if cells.startswith("'") else _span(cells)
        title = titles[0] if span is not None and titles else _title(cells, text)
        span = span or Span()
    if span is None or title not in titles:
        raise RangeError(text)
    return Area(title, span)


def _title(text: str, whole: str) -> str:
    if len(text) > 2 and text[0] == text[-1] == "'":
        return text[1:-1].replace("''", "'")
    if _WORD.fullmatch(text):
        return text
    raise RangeError(whole)


def _span(text: str) -> Span | None:
    first, colon, second = text.partition(":")
    start, end = _corner(first), _corner(second if colon else first)
    if start is None or end is None:
        return None
    if not colon and None in start:
        return None
    rows = _interval(start[0], end[0])
    columns = _interval(start[1], end[1])
    if rows is None or columns is None:
        return None
    return Span(rows[0], columns[0], rows[1], columns[1])


def _corner(text: str) -> tuple[int | None, int | None] | None:
    """(row, column), zero-based, None where not given; None when `text` is no corner."""
    match = _CORNER.fullmatch(text)
    if not text or match is None:
        return None
    row, column = match["row"], match["column"]
    return (int(row) - 1 if row else None, column_number(column) if column else None)


def _interval(start: int | None, end: int | None) -> tuple[int, int | None] | None:
    """Start and exclusive end; None when only the end is given, which is no range."""
    if end is None:
        return (start or 0, None)
    if start is None:
        return None
    return (min(start, end), max(start, end) + 1)


def quoted(title: str) -> str:
    """A tab's name as Google writes it in ranges."""
    if _WORD.fullmatch(title) and _span(title) is None:
        return title
    return "'" + title.replace("'", "''") + "'"


def written(title: str, top: int, left: int, bottom: int, right: int) -> str:
    """A closed range (ends exclusive) as Google writes it: one cell without a colon."""
    start = f"{column_letters(left)}{top + 1}"
    end = f"{column_letters(right - 1)}{bottom}"
    return f"{quoted(title)}!{start if start == end else f'{start}:{end}'}"
