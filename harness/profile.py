"""Where a boot's time went: which service was in which phase when, and whether the cores had work meanwhile.

`Profile` collects while things happen; `Timeline` is what it collected, and renders as a table, as a Chrome
trace (Perfetto and chrome://tracing load it) and as an SVG picture. All times are seconds since the profile began.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from html import escape as escape_html
from pathlib import Path
from typing import Any

from rich.markup import escape as escape_markup
from rich.table import Table

SAMPLE_EVERY = 0.2
BUSY_ENOUGH = 0.85
"""Below this fraction a core has nothing to do, and whoever is waited for decides how long the boot takes."""

WAITS = frozenset({"wait", "boot", "complete"})
"""Phases in which somebody waits for the service itself; in the others, for the engine or for the driver."""

TRACE_FILE = "boot-timeline.json"
PICTURE_FILE = "boot-timeline.svg"
TOP_REASONS = 6
NOBODY = "nothing that was measured"


# ---- the machine's cores


@dataclass(frozen=True, slots=True)
class Ticks:
    """The kernel's counters since its boot, over all `cores`."""

    busy: int
    total: int
    cores: int


def read_ticks(path: Path = Path("/proc/stat")) -> Ticks | None:
    """The counters now; None on a host that has none. Time that a hypervisor took away counts as busy."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return None
    counts = [int(n) for n in lines[0].split()[1:9]]  # the ninth and tenth are part of the first two
    idle = counts[3] + counts[4]
    cores = sum(1 for line in lines[1:] if line.startswith("cpu"))
    return Ticks(sum(counts) - idle, sum(counts), cores)


# ---- what is collected


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


class Profile:
    """Collects spans, marks, and CPU use. Thread-safe. As a context manager it samples the cores meanwhile."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        read: Callable[[], Ticks | None] = read_ticks,
        every: float = SAMPLE_EVERY,
    ) -> None:
        self._clock = clock
        self._read = read
        self._every = every
        self._zero = clock()
        self._ended: float | None = None
        self._lock = threading.Lock()
        self._spans: list[Span] = []
        self._marks: list[Mark] = []
        self._samples: list[Sample] = []
        self._cpu: dict[str, float] = {}
        self._cores = os.cpu_count() or 1
        self._stop = threading.Event()
        self._sampler: threading.Thread | None = None

    def __enter__(self) -> Profile:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def now(self) -> float:
        """Seconds since the profile began."""
        return self._clock() - self._zero

    # ---- phases and marks

    @contextmanager
    def span(self, name: str, phase: str) -> Iterator[None]:
        """`name` is in `phase` while the body runs, also when it fails."""
        self.begin(name, phase)
        try:
            yield
        finally:
            self.end(name, phase)

    def begin(self, name: str, phase: str) -> None:
        """`name` enters `phase` now."""
        with self._lock:
            self._spans.append(Span(name, phase, self.now()))

    def end(self, name: str, phase: str) -> None:
        """`name` leaves `phase`, which it entered last; raises `KeyError` when it is not in it."""
        with self._lock:
            for index in reversed(range(len(self._spans))):
                span = self._spans[index]
                if (span.name, span.phase, span.end) == (name, phase, None):
                    self._spans[index] = replace(span, end=self.now())
                    return
        raise KeyError(f"{name} is not in the phase {phase}")

    def mark(self, what: str, name: str = "") -> None:
        """`what` happens now, to the service `name` if given."""
        with self._lock:
            self._marks.append(Mark(what, self.now(), name))

    # ---- CPU

    def cpu(self, name: str, seconds: float) -> None:
        """The container of `name` has used so many CPU seconds in all; a later call replaces the figure."""
        with self._lock:
            self._cpu[name] = seconds

    def start(self) -> None:
        """Sample the cores until `stop`; where the host tells nothing of them, there will be no samples."""
        first = self._read()
        if first is None or self._sampler is not None:
            return
        self._cores = first.cores or self._cores
        self._sampler = threading.Thread(
            target=self._sample, args=(first, self.now()), name="profile-cpu", daemon=True
        )
        self._sampler.start()

    def stop(self) -> None:
        """End the sampling and the profile: its total is the time until the first call."""
        if self._ended is None:
            self._ended = self.now()
        self._stop.set()
        if self._sampler is not None:
            self._sampler.join()

    def _sample(self, before: Ticks, since: float) -> None:
        stopped = False
        while not stopped:
            # An event, not a sleep: `stop` need not wait for the interval, and the last piece is sampled too.
            stopped = self._stop.wait(self._every)
            ticks, at = self._read(), self.now()
            if ticks is None or ticks.total <= before.total:
                continue
            busy = (ticks.busy - before.busy) / (ticks.total - before.total)
            with self._lock:
                self._samples.append(Sample(at, at - since, min(max(busy, 0.0), 1.0)))
            before, since = ticks, at

    # ---- results

    def timeline(self) -> Timeline:
        """What was collected so far."""
        with self._lock:
            return Timeline(
                tuple(self._spans),
                tuple(self._marks),
                tuple(self._samples),
                dict(self._cpu),
                self._cores,
                self.now() if self._ended is None else self._ended,
            )

    def table(self) -> Table:
        """See `Timeline.table`."""
        return self.timeline().table()

    def to_trace(self) -> dict[str, Any]:
        """See `Timeline.to_trace`."""
        return self.timeline().to_trace()

    def to_svg(self, title: str = "Boot") -> str:
        """See `Timeline.to_svg`."""
        return self.timeline().to_svg(title)

    def save(self, folder: Path) -> None:
        """Write the trace and the picture to `folder`; a reader never sees half a file."""
        timeline = self.timeline()
        folder.mkdir(parents=True, exist_ok=True)
        _write(folder / TRACE_FILE, json.dumps(timeline.to_trace()) + "\n")
        _write(folder / PICTURE_FILE, timeline.to_svg())


def _write(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


# ---- what it tells


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

    def to_svg(self, title: str = "Boot") -> str:
        """A picture that needs nothing else: a lane a service, below them how busy the cores were."""
        return _Picture(self, title).render()


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


# ---- the picture

COLOURS = {
    "create": "#8a94a3",
    "wait": "#3f74ad",
    "boot": "#3f74ad",
    "complete": "#2f8f6b",
    "push": "#c2571a",
}
MORE_COLOURS = ("#7c5aa6", "#b03a5b", "#8a6d1d", "#1f8a99", "#6b5a4e", "#5a7d2a")
"""For phases that have no colour of their own, in the order in which they come."""

INK, FAINT, GRID, STRIPE, BUSY = "#1f2937", "#6b7280", "#e3e6ea", "#f6f7f9", "#d9822b"
FONT = "system-ui, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif"
LEFT, PLOT, RIGHT = 190, 900, 90
TOP, LANE, BAR, CHART, GAP = 64, 22, 14, 84, 34
LETTER = 6.2
"""About the width of a letter of the small font, to know whether a text fits."""


@dataclass(frozen=True, slots=True)
class _Picture:
    """Draws one timeline; positions are pixels."""

    line: Timeline
    title: str

    @property
    def lanes(self) -> tuple[str, ...]:
        return self.line.services()

    @property
    def bottom(self) -> int:
        """Where the lanes end."""
        return TOP + LANE * len(self.lanes)

    @property
    def floor(self) -> int:
        """Where the chart of the cores ends, and the time axis is."""
        gap = GAP if self.line.samples or any(not mark.name for mark in self.line.marks) else 6
        return self.bottom + gap + (CHART if self.line.samples else 0)

    def x(self, at: float) -> float:
        return round(LEFT + PLOT * at / (self.line.total or 1), 1)

    def colours(self) -> dict[str, str]:
        """Phase to colour, of the phases that there are."""
        phases = list(dict.fromkeys(span.phase for span in self.line.spans))
        others = [phase for phase in phases if phase not in COLOURS]
        return {
            phase: COLOURS.get(phase)
            or MORE_COLOURS[(others.index(phase) if phase in others else 0) % len(MORE_COLOURS)]
            for phase in phases
        }

    def render(self) -> str:
        width, height = LEFT + PLOT + RIGHT, self.floor + 50
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}"'
            f' viewBox="0 0 {width} {height}" font-family="{FONT}" font-size="11">',
            f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
            _text(16, 26, f"{self.title}: {self.line.total:.1f} s", size=16, weight="600"),
            *self._legend(),
            *self._stripes(),
            *self._grid(),
            *self._chart(),
            *self._moments(),
            *self._bars(),
            *self._diamonds(),
            _text(16, height - 12, self._summary(), fill=FAINT),
            "</svg>",
        ]
        return "\n".join(parts) + "\n"

    def _legend(self) -> Iterator[str]:
        at = float(LEFT)
        for phase, colour in self.colours().items():
            yield f'<rect x="{at:.0f}" y="40" width="12" height="12" rx="2" fill="{colour}"/>'
            yield _text(at + 17, 50, phase)
            at += 17 + LETTER * len(phase) + 22
        if self.line.cpu:
            yield _text(LEFT + PLOT + RIGHT - 16, 50, "CPU", fill=FAINT, anchor="end")

    def _stripes(self) -> Iterator[str]:
        for number, name in enumerate(self.lanes):
            y = TOP + LANE * number
            if number % 2 == 0:
                yield f'<rect x="0" y="{y}" width="{LEFT + PLOT + RIGHT}" height="{LANE}" fill="{STRIPE}"/>'
            yield _text(LEFT - 10, y + 15, _shortened(name, 27), anchor="end")
            if name in self.line.cpu:
                yield _text(
                    LEFT + PLOT + RIGHT - 16, y + 15, f"{self.line.cpu[name]:.1f} s", FAINT, anchor="end"
                )

    def _grid(self) -> Iterator[str]:
        step = _step(self.line.total)
        for number in range(int(self.line.total / step + 1e-9) + 1):
            x = self.x(number * step)
            yield f'<line x1="{x}" y1="{TOP}" x2="{x}" y2="{self.floor + 4}" stroke="{GRID}"/>'
            yield _text(x, self.floor + 17, f"{number * step:g} s", FAINT, anchor="middle")

    def _bars(self) -> Iterator[str]:
        colours = self.colours()
        for span in self.line.spans:
            y = TOP + LANE * self.lanes.index(span.name) + (LANE - BAR) / 2
            start, end = self.x(span.start), self.x(self.line.end_of(span))
            wide = max(round(end - start, 1), 1.5)
            seconds = self.line.end_of(span) - span.start
            # A phase that never ended is pale and dashed.
            unended = f' fill-opacity="0.35" stroke="{colours[span.phase]}" stroke-dasharray="4 3"'
            yield (
                f'<rect x="{start}" y="{y:g}" width="{wide}" height="{BAR}" rx="2"'
                f' fill="{colours[span.phase]}"{unended if span.end is None else ""}>'
                f"<title>{_escape(f'{span.name}: {span.phase}, {span.start:.2f} s + {seconds:.2f} s')}"
                f"{' (never ended)' if span.end is None else ''}</title></rect>"
            )
            label = f"{seconds:.1f} s" + (", unended" if span.end is None else "")
            if wide > LETTER * len(label) + 8:
                fill = "#ffffff" if span.end is not None else INK
                yield _text(start + wide / 2, y + 11, label, fill, size=10, anchor="middle")

    def _moments(self) -> Iterator[str]:
        """Marks of the whole: a line through all lanes; neighbours' texts are on different heights."""
        for number, mark in enumerate(sorted(_of(self.line.marks, ""), key=lambda mark: mark.at)):
            x = self.x(mark.at)
            ends = f'y1="{TOP - 4}" x2="{x}" y2="{self.floor}"'
            yield f'<line x1="{x}" {ends} stroke="{FAINT}" stroke-dasharray="2 3"/>'
            leftward = x > LEFT + PLOT * 0.85
            anchor = "end" if leftward else "start"
            y = self.bottom + 12 + 13 * (number % 2)
            yield _text(x - 4 if leftward else x + 4, y, mark.what, size=10, anchor=anchor)

    def _diamonds(self) -> Iterator[str]:
        """A service's own marks: a diamond in its lane, and in words behind its last bar, or before its first."""
        for number, name in enumerate(self.lanes):
            marks = _of(self.line.marks, name)
            y = TOP + LANE * number + LANE / 2
            for mark in marks:
                yield f'<path d="M{self.x(mark.at)} {y - 6:g}l5 6l-5 6l-5 -6z" fill="{INK}" stroke="#ffffff"/>'
            said = ", ".join(f"{mark.what} {mark.at:.1f} s" for mark in marks)
            if said:
                spans = [span for span in self.line.spans if span.name == name]
                edges = [mark.at for mark in marks] + [span.start for span in spans]
                behind = self.x(max(edges + [self.line.end_of(span) for span in spans])) + 8
                fits = behind + LETTER * len(said) < LEFT + PLOT
                x = behind if fits else self.x(min(edges)) - 8
                yield _text(x, y + 4, f"◆ {said}", FAINT, size=10, anchor="start" if fits else "end")

    def _chart(self) -> Iterator[str]:
        if not self.line.samples:
            return
        high = self.floor - CHART
        points = []
        for sample in self.line.samples:
            y = round(self.floor - CHART * sample.busy, 1)
            points += [f"{self.x(sample.at - sample.seconds)},{y}", f"{self.x(sample.at)},{y}"]
        first = self.x(self.line.samples[0].at - self.line.samples[0].seconds)
        last = self.x(self.line.samples[-1].at)
        around = f"{first},{self.floor} {' '.join(points)} {last},{self.floor}"
        yield f'<rect x="{LEFT}" y="{high}" width="{PLOT}" height="{CHART}" fill="{STRIPE}"/>'
        yield f'<polygon points="{around}" fill="{BUSY}" fill-opacity="0.3"/>'
        yield f'<polyline points="{" ".join(points)}" fill="none" stroke="{BUSY}" stroke-width="1.2"/>'
        yield _text(LEFT - 40, self.floor - CHART / 2 + 4, f"{self.line.cores} cores busy", anchor="end")
        for percent in (0, 50, 100):
            y = self.floor - CHART * percent / 100
            yield f'<line x1="{LEFT}" y1="{y:g}" x2="{LEFT + PLOT}" y2="{y:g}" stroke="{GRID}"/>'
            yield _text(LEFT - 8, y + 4, f"{percent} %", FAINT, size=10, anchor="end")

    def _summary(self) -> str:
        busy = self.line.busy()
        if busy is None:
            return "How busy the cores were was not measured."
        head = f"Cores busy {busy:.0%}, idle for {self.line.idle():.1f} core-seconds"
        reasons = [
            f"{name} {seconds:.1f}" for name, seconds in list(self.line.reasons().items())[:TOP_REASONS]
        ]
        return f"{head}; waiting meanwhile for: {', '.join(reasons)}" if reasons else head


def _text(
    x: float, y: float, text: str, fill: str = INK, *, size: int = 11, anchor: str = "start", weight: str = ""
) -> str:
    more = f' font-weight="{weight}"' if weight else ""
    return (
        f'<text x="{x:g}" y="{y:g}" fill="{fill}" font-size="{size}" text-anchor="{anchor}"{more}>'
        f"{_escape(text)}</text>"
    )


def _of(marks: tuple[Mark, ...], name: str) -> list[Mark]:
    return [mark for mark in marks if mark.name == name]


def _escape(text: str) -> str:
    """`text` as XML text; control characters, which XML cannot hold at all, become question marks."""
    return escape_html("".join(c if c.isprintable() or c == " " else "?" for c in text))


def _shortened(text: str, letters: int) -> str:
    return text if len(text) <= letters else text[: letters - 1] + "…"


def _step(total: float) -> float:
    """A round distance between the marks of an axis, such that there are about ten."""
    power = 10.0**-3
    while True:
        for factor in (1, 2, 5):
            if total / (factor * power) <= 12:
                return factor * power
        power *= 10
