"""A boot as data: which service was in which phase when, how busy the cores were, and what they waited for.

Renders as a table and as a Chrome trace (Perfetto and chrome://tracing load it). All times are seconds since the
profile began.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rich.markup import escape as escape_markup
from rich.table import Table

BUSY_ENOUGH = 0.85
"""Below this fraction a core has nothing to do, and whoever is waited for decides how long the boot takes."""

WAITS = frozenset({"wait", "boot", "complete"})
"""Phases in which somebody waits for the service itself; in the others, for the engine or for the driver."""

TOP_REASONS = 6
NOBODY = "nothing that was measured"


@dataclass(frozen=True, slots=True)
class Span:
    """`name` was in `phase` from `start` to `end`; None while it still is."""

    name: str
    phase: str
    start: float
    end: float | None = None


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened at once; `name` is the service it belongs to, "" for none."""

    what: str
    at: float
    name: str = ""


@dataclass(frozen=True, slots=True)
class Sample:
    """The fraction of all cores that was busy, 0 to 1, in the `seconds` before `at`."""

    at: float
    seconds: float
    busy: float


@dataclass(frozen=True, slots=True)
class Timeline:
    """A profile at one moment. `cpu` has the CPU seconds of containers, `total` is the time so far."""

    spans: tuple[Span, ...]
    marks: tuple[Mark, ...]
    samples: tuple[Sample, ...]
    cpu: dict[str, float]
    cores: int
    total: float

    def services(self) -> tuple[str, ...]:
        """Every name, in the order in which they began; those of which only the CPU time is known are last."""
        begun = [span.name for span in sorted(self.spans, key=lambda span: span.start)]
        marked = [mark.name for mark in self.marks if mark.name]
        return tuple(dict.fromkeys([*begun, *marked, *self.cpu]))

    def end_of(self, span: Span) -> float:
        """The end of `span`; of one that is still open, the profile's."""
        return self.total if span.end is None else span.end

    def ready_at(self, name: str) -> float | None:
        """When the last phase of `name` ended; None when one has not, or there was none."""
        ends = [span.end for span in self.spans if span.name == name]
        known = [end for end in ends if end is not None]
        return max(known) if known and len(known) == len(ends) else None

    def busy(self) -> float | None:
        """The fraction of all cores that was busy, over all samples; None when there are none."""
        seconds = sum(sample.seconds for sample in self.samples)
        return sum(s.busy * s.seconds for s in self.samples) / seconds if seconds else None

    def idle(self) -> float:
        """Core-seconds that no process used, over all samples."""
        return sum(self._idle_in(sample) for sample in self.samples)

    def _idle_in(self, sample: Sample) -> float:
        return (1 - sample.busy) * sample.seconds * self.cores

    def reasons(self) -> dict[str, float]:
        """What was waited for while a core was idle: who, and idle core-seconds, the most first.

        Those of one sample are shared by all that were waited for, in proportion to how long within it; so what
        alone holds a boot up stands out, and the sum is what was idle in samples that were not busy enough.
        """
        found: dict[str, float] = {}
        for sample in self.samples:
            if sample.busy < BUSY_ENOUGH:
                waited = self._waited_in(sample)
                for name, seconds in waited.items():
                    share = self._idle_in(sample) * seconds / sum(waited.values())
                    found[name] = found.get(name, 0.0) + share
        return dict(sorted(found.items(), key=lambda item: -item[1]))

    def _waited_in(self, sample: Sample) -> dict[str, float]:
        """Who was waited for, and for how much of `sample`; when nobody, whose other phases were under way."""
        waits: dict[str, float] = {}
        others: dict[str, float] = {}
        for span in self.spans:
            overlap = min(self.end_of(span), sample.at) - max(span.start, sample.at - sample.seconds)
            if overlap > 0:
                kind, name = (
                    (waits, span.name) if span.phase in WAITS else (others, f"{span.name} ({span.phase})")
                )
                kind[name] = kind.get(name, 0.0) + overlap
        return waits or others or {NOBODY: 1.0}

    # ---- the table

    def table(self) -> Table:
        """One row a service, then what the whole took and what was waited for while cores were idle."""
        table = Table(title="Where the boot's time went", title_justify="left")
        table.add_column("service", overflow="fold")
        for column in ("started at", "created in", "ready at", "CPU"):
            table.add_column(column, justify="right", no_wrap=True)
        for name in self.services():
            mine = [span for span in self.spans if span.name == name]
            created = [self.end_of(span) - span.start for span in mine if span.phase == "create"]
            table.add_row(
                escape_markup(name),
                _seconds(min((span.start for span in mine), default=None)),
                _seconds(sum(created) if created else None),
                _seconds(self.ready_at(name)),
                _seconds(self.cpu.get(name)),
            )
        table.add_section()
        used = _seconds(sum(self.cpu.values()) if self.cpu else None)
        table.add_row("[bold]total[/bold]", "", "", _seconds(self.total), used)
        self._add_cores(table)
        return table

    def _add_cores(self, table: Table) -> None:
        busy = self.busy()
        if busy is None:
            table.add_row("cores busy", "", "", "not measured", "")
            return
        table.add_row(f"{self.cores} cores busy", "", "", f"{busy:.0%}", "")
        table.add_row(f"{self.cores} cores idle", "", "", "", _seconds(self.idle()))
        reasons = self.reasons()
        for name, seconds in list(reasons.items())[:TOP_REASONS]:
            table.add_row(f"  waiting for {escape_markup(name)}", "", "", "", _seconds(seconds), style="dim")
        rest = sum(list(reasons.values())[TOP_REASONS:])
        if rest:
            table.add_row(f"  {len(reasons) - TOP_REASONS} others", "", "", "", _seconds(rest), style="dim")

    # ---- Chrome's trace-event format

    def to_trace(self) -> dict[str, Any]:
        """The trace-event format: a track a service, a counter for the cores, and the marks as instants."""
        tracks = {name: number for number, name in enumerate(self.services(), start=1)}
        cpu = {name: round(seconds, 3) for name, seconds in self.cpu.items()}
        return {
            "traceEvents": [
                _event("M", 0, name="process_name", args={"name": "boot"}),
                *(_event("M", n, name="thread_name", args={"name": name}) for name, n in tracks.items()),
                *(_event("M", n, name="thread_sort_index", args={"sort_index": n}) for n in tracks.values()),
                *(self._complete(span, tracks[span.name]) for span in self.spans),
                *(_instant(mark, tracks.get(mark.name, 0)) for mark in self.marks),
                *self._counters(),
            ],
            "displayTimeUnit": "ms",
            "otherData": {"cores": self.cores, "total_s": round(self.total, 3), "cpu_s": cpu},
        }

    def _complete(self, span: Span, track: int) -> dict[str, Any]:
        return _event(
            "X",
            track,
            name=span.phase,
            cat="boot",
            ts=_micro(span.start),
            dur=_micro(self.end_of(span) - span.start),
            args={"service": span.name, "open": span.end is None},
        )

    def _counters(self) -> Iterator[dict[str, Any]]:
        # A counter holds from its event on, and a sample is about the time before it.
        for sample in self.samples:
            yield _counter(sample.at - sample.seconds, sample.busy)
        if self.samples:
            yield _counter(self.samples[-1].at, self.samples[-1].busy)


def _seconds(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f} s"  # noqa: RUF001 - a dash for what there is none of


def _micro(seconds: float) -> int:
    return round(seconds * 1_000_000)


def _event(kind: str, track: int, **fields: object) -> dict[str, Any]:
    return {"ph": kind, "pid": 1, "tid": track, **fields}


def _instant(mark: Mark, track: int) -> dict[str, Any]:
    scope = "t" if mark.name else "g"  # the track, or all of them
    return _event("i", track, name=mark.what, cat="boot", ts=_micro(mark.at), s=scope)


def _counter(at: float, busy: float) -> dict[str, Any]:
    return _event("C", 0, name="cores", ts=_micro(at), args={"busy %": round(busy * 100, 1)})
