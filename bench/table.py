"""A result for people: on the terminal, and as Markdown to commit."""

from __future__ import annotations

from rich.markup import escape
from rich.table import Table

from bench.stats import Result, Series

COLUMNS = ("measure", "median", "spread", "min\N{EN DASH}max", "n", "bound by")
NUMBERS = frozenset(COLUMNS[1:5])


def table(result: Result) -> Table:
    """One row a measure, in the order of the result; the machine and the revision are in the caption."""
    made = Table(
        title="Measured",
        title_justify="left",
        caption=escape("\n".join(origin(result))),
        caption_justify="left",
    )
    for column in COLUMNS:
        number = column in NUMBERS
        made.add_column(column, justify="right" if number else "left", no_wrap=number, overflow="fold")
    for series in result.measures:
        made.add_row(*map(escape, cells(series)))
    return made


def markdown(result: Result) -> str:
    """The same as Markdown: what it was measured on, then the table."""
    lines = [
        *(f"* {_escaped(line)}" for line in origin(result)),
        "",
        _row(COLUMNS),
        _row(tuple("--:" if column in NUMBERS else "---" for column in COLUMNS)),
        *(_row(tuple(map(_escaped, cells(series)))) for series in result.measures),
    ]
    return "\n".join(lines) + "\n"


def origin(result: Result) -> list[str]:
    """On what, of which revision and when a result was measured."""
    facts = [f"{name.replace('_', ' ')}: {value}" for name, value in result.facts.items()]
    return [f"machine: {result.machine}", f"revision: {result.revision}, {result.at}", *facts]


def cells(series: Series) -> tuple[str, ...]:
    """A measure's row, in the order of `COLUMNS`."""
    span = f"{number(series.min)}\N{EN DASH}{number(series.max)}" if series.n > 1 else ""
    spread = f"±{series.spread:.0%}" if series.n > 1 else ""
    median = f"{number(series.median)} {series.unit}"
    return series.name, median, spread, span, str(series.n), series.bound_by


def number(value: float) -> str:
    """Three significant digits, and never fewer than the whole part has: 0.0123, 1.23, 17.1, 1234."""
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:#.3g}".rstrip(".") if value else "0"


def _row(texts: tuple[str, ...]) -> str:
    return f"| {' | '.join(texts)} |"


def _escaped(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())
