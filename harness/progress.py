"""Progress of long work: a live display on a terminal, plain lines elsewhere."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.progress import TaskID as RichTask

DETAIL_WIDTH = 80


def stderr_console() -> Console:
    """Where progress goes; lines are not folded, so that a log keeps one line an event."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


@dataclass
class Step:
    """One piece of work on display; `say` tells how far it is."""

    title: str
    _tracker: Tracker
    _task: RichTask | None
    _said: str = ""

    def say(self, detail: str) -> None:
        if detail != self._said:
            self._said = detail
            self._tracker.update(self, detail)


@dataclass
class Tracker:
    """Shows steps that may run side by side. Thread-safe. `done` of `total` is counted on finished steps."""

    title: str
    total: int
    console: Console = field(default_factory=stderr_console)
    done: int = 0
    _progress: Progress | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __enter__(self) -> Tracker:
        self.console.print(f"[bold]{self.title}[/bold]")
        if self.console.is_terminal:
            self._progress = Progress(
                SpinnerColumn(),
                TextColumn("{task.description}"),
                TimeElapsedColumn(),
                TextColumn("[dim]{task.fields[detail]}"),
                console=self.console,
                transient=True,
            )
            self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._progress:
            self._progress.stop()

    @contextmanager
    def step(self, title: str) -> Iterator[Step]:
        """Show one step while the body runs; its time, or that it failed, is printed at its end."""
        began = time.monotonic()
        task = self._progress.add_task(title, total=None, detail="") if self._progress else None
        outcome = "[red]failed"
        try:
            yield Step(title, self, task)
            outcome = "[green]done"
        finally:
            if self._progress and task is not None:
                self._progress.remove_task(task)
            with self._lock:
                self.done += 1
                count = f"[{self.done}/{self.total}]"
            took = time.monotonic() - began
            self.console.print(f"  [dim]{count}[/dim] {title} {outcome}[/] [dim]{took:.1f} s[/dim]")

    def update(self, step: Step, detail: str) -> None:
        if self._progress and step._task is not None:
            self._progress.update(step._task, detail=detail[:DETAIL_WIDTH])
        elif not self._progress:
            self.console.print(f"  {step.title}: {detail[:DETAIL_WIDTH]}", style="dim", markup=False)


class BootDisplay:
    """Shows services coming up: a live list of those still starting, and a line for each that is there."""

    def __init__(self, title: str, total: int, console: Console | None = None) -> None:
        self._tracker = Tracker(title, total, console or stderr_console())
        self._open: dict[str, ExitStack] = {}
        self._began = time.monotonic()

    def __enter__(self) -> BootDisplay:
        self._tracker.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        for stack in self._open.values():
            stack.__exit__(kind, error, None)
        self._tracker.__exit__()
        took = time.monotonic() - self._began
        self._tracker.console.print(f"{'Failed' if error else 'Ready'} after {took:.1f} s")

    def report(self, service: str, what: str) -> None:
        """Take what the runtime reports: ``starting`` opens a step, anything else ends it."""
        if what == "starting":
            stack = ExitStack()
            stack.enter_context(self._tracker.step(service))
            self._open[service] = stack
        else:
            self._open.pop(service).close()
