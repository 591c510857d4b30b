"""A timeline as an SVG picture that needs nothing else: a lane a service, below them how busy the cores were."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape as escape_html

from harness.timeline import TOP_REASONS, Mark, Timeline

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


def to_svg(timeline: Timeline, title: str = "Boot") -> str:
    """The picture of `timeline`."""
    return _Picture(timeline, title).render()
