"""Compare two results of one session: `python -m bench.compare BEFORE AFTER [--fail-above 1.25]`.

Values of different machines say nothing about a change of the code, so those are refused.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bench.stats import Machine, Result, ResultError, Series
from bench.table import number

NOISE = 0.05
"""A smaller difference is none, however little the values spread: nobody measures often enough to tell."""

Verdict = Literal["faster", "slower", "same within noise"]
STYLES: dict[Verdict, str] = {"faster": "green", "slower": "red", "same within noise": "dim"}


@dataclass(frozen=True, slots=True)
class Comparison:
    """One measure in both results."""

    before: Series
    after: Series

    def __post_init__(self) -> None:
        if self.before.unit != self.after.unit:
            units = f"{self.before.unit!r} before and {self.after.unit!r} after"
            raise ResultError(f"{self.before.name} is measured in {units}")

    @property
    def ratio(self) -> float:
        """The median after by the median before."""
        if self.before.median == self.after.median:
            return 1.0
        return self.after.median / self.before.median if self.before.median else float("inf")

    @property
    def worse(self) -> float:
        """How many times worse it became: the ratio, or its inverse for a rate, of which more is better."""
        if not self.before.unit.endswith("/s"):
            return self.ratio
        return 1 / self.ratio if self.ratio else float("inf")

    @property
    def noise(self) -> float:
        """The difference that the values' own spread explains: both medians at the far ends of theirs."""
        return max(NOISE, self.before.spread + self.after.spread)

    @property
    def verdict(self) -> Verdict:
        if 1 / (1 + self.noise) <= self.worse <= 1 + self.noise:
            return "same within noise"
        return "slower" if self.worse > 1 else "faster"


def compare(before: Result, after: Result, *, force: bool = False) -> list[Comparison]:
    """The measures that are in both, in the order of `before`.

    Raises `ResultError` when the machines differ, unless with `force`, and when units do.
    """
    if before.machine != after.machine and not force:
        raise ResultError(
            f"measured on different machines ({differences(before.machine, after.machine)}): no verdict."
            " Measure both revisions on one; --force shows the ratios all the same."
        )
    found = after.by_name()
    return [Comparison(series, found[series.name]) for series in before.measures if series.name in found]


def differences(before: Machine, after: Machine) -> str:
    """In what two machines differ."""
    ours, theirs = asdict(before), asdict(after)
    return ", ".join(
        f"{name}: {ours[name]} and {theirs[name]}" for name in ours if ours[name] != theirs[name]
    )


def missing(before: Result, after: Result) -> tuple[list[str], list[str]]:
    """Names of measures that are only in `before`, and only in `after`."""
    ours, theirs = before.by_name(), after.by_name()
    return [name for name in ours if name not in theirs], [name for name in theirs if name not in ours]


def table(before: Result, after: Result, found: Sequence[Comparison]) -> Table:
    """One row a measure, with the verdict; then those that only one of the results has."""
    made = Table(title=f"{before.revision} → {after.revision}", title_justify="left")
    made.add_column("measure", overflow="fold")
    for column in ("before", "after", "ratio", "noise"):
        made.add_column(column, justify="right", no_wrap=True)
    made.add_column("verdict")
    for one in found:
        made.add_row(
            escape(one.before.name),
            _median(one.before),
            _median(one.after),
            f"{one.ratio:.2f}",
            f"±{one.noise:.0%}",
            f"[{STYLES[one.verdict]}]{one.verdict}[/]",
        )
    only_before, only_after = missing(before, after)
    for name in only_before:
        made.add_row(escape(name), _median(before.by_name()[name]), "", "", "", "only before")
    for name in only_after:
        made.add_row(escape(name), "", _median(after.by_name()[name]), "", "", "only after")
    return made


def _median(series: Series) -> str:
    return escape(f"{number(series.median)} {series.unit}")


def regressions(before: Result, after: Result, found: Sequence[Comparison], above: float) -> list[str]:
    """Why a limit is not kept: measures slower by more than `above` times, beyond noise, and measures that are gone.

    One that is gone counts, as otherwise what crashes in its measurement would pass.
    """
    slower = [
        f"{one.before.name} is {one.worse:.2f} times what it was; the limit is {above:g}"
        for one in found
        if one.verdict == "slower" and one.worse > above
    ]
    return slower + [f"{name} was measured before and is not any more" for name in missing(before, after)[0]]


def main(arguments: Sequence[str] | None = None) -> int:
    """0; 1 when the limit of ``--fail-above`` is not kept; 2 when there is nothing to compare."""
    parser = argparse.ArgumentParser(prog="python -m bench.compare", description="Compare two results.")
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument(
        "--fail-above",
        type=_limit,
        metavar="R",
        help="exit 1 when a measure became more than R times slower, or is gone",
    )
    parser.add_argument("--force", action="store_true", help="compare results of different machines")
    options = parser.parse_args(arguments)
    try:
        before, after = Result.load(options.before), Result.load(options.after)
        found = compare(before, after, force=options.force)
    except ResultError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    if before.machine != after.machine:
        where = differences(before.machine, after.machine)
        print(f"bench: the machines differ ({where}); the ratios are no verdict on the code", file=sys.stderr)
    Console().print(table(before, after, found))
    failed = regressions(before, after, found, options.fail_above) if options.fail_above else []
    for line in failed:
        print(f"bench: {line}", file=sys.stderr)
    return 1 if failed else 0


def _limit(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 1 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a ratio of at least 1, such as 1.25")
    return value


if __name__ == "__main__":
    sys.exit(main())
