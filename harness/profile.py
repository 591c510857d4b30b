"""Where a boot's time went, collected while it happens: phases of services, moments, and samples of the cores.

`Profile.timeline` is what was collected (`harness.timeline`). All times are seconds since the profile began.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.table import Table

from harness.picture import to_svg
from harness.timeline import Mark, Sample, Span, Timeline

SAMPLE_EVERY = 0.2
TRACE_FILE = "boot-timeline.json"
PICTURE_FILE = "boot-timeline.svg"


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
        """See `harness.picture`."""
        return to_svg(self.timeline(), title)

    def save(self, folder: Path) -> None:
        """Write the trace and the picture to `folder`; a reader never sees half a file."""
        timeline = self.timeline()
        folder.mkdir(parents=True, exist_ok=True)
        _write(folder / TRACE_FILE, json.dumps(timeline.to_trace()) + "\n")
        _write(folder / PICTURE_FILE, to_svg(timeline))


def _write(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
