"""What every backend offers to the rest of the harness."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from harness.topology import Service

Report = Callable[[str, str], None]
"""Called with (service or step, what just happened to it) while services start: ``starting``, ``created`` (of a
container), then ``ready``, ``completed`` or ``started``."""


class StartError(RuntimeError):
    """A service did not come up; the message has its state, its health and its last log lines."""


@dataclass(frozen=True, slots=True)
class Executed:
    """A finished command: its exit code and its output, stdout and stderr together."""

    exit_code: int
    output: str


@dataclass(frozen=True, slots=True)
class State:
    """A container's state: ``running``, ``exited``, ``paused``, ``missing``, …; its health; its exit code."""

    status: str
    health: str = ""
    exit_code: int | None = None

    def __str__(self) -> str:
        code = f" (exit code {self.exit_code})" if self.status == "exited" else ""
        return f"{self.status}{code}" + (f", {self.health}" if self.health else "")


@dataclass(frozen=True, slots=True)
class Usage:
    """CPU seconds since a container's start, and bytes of memory that it holds now, its page cache left out."""

    cpu_seconds: float
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class Step:
    """What the driver itself does during a boot: once the services `after` are ready; `before` wait for it."""

    name: str
    action: Callable[[], object]
    after: frozenset[str]
    before: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Process:
    """A process by its `title`, and that of its `parent`: command and arguments, or what it calls itself since. A fork
    has its parent's until it runs another program."""

    title: str
    parent: str


class Runtime(Protocol):
    """One stack's containers, by service name."""

    @property
    def stack(self) -> str: ...

    def start(self, services: Iterable[Service], report: Report, steps: Sequence[Step] = ()) -> None:
        """Start `services`, and take the driver's `steps`, in dependency order; wait until each is ready.

        What does not wait for another runs side by side. Raises `StartError`, and what a step raises.
        """

    def address(self, service: str, port: int) -> tuple[str, int]:
        """Host and port at which the driver reaches a forwarded port of `service`; raises `KeyError`."""

    def exec(self, service: str, command: list[str]) -> Executed: ...

    def read_file(self, service: str, path: str) -> bytes:
        """A file's content, without starting a process in the container; raises `FileNotFoundError`."""

    def logs(self, service: str, tail: int | None = None) -> str: ...

    def signal(self, service: str, signal: str) -> None:
        """Send a signal, such as ``SIGUSR1``, to the main process of `service`."""

    def kill(self, service: str) -> None: ...

    def stop(self, service: str) -> None: ...

    def restart(self, service: str) -> None:
        """Start a service that has ended again, as it was, and wait until its healthcheck passes.

        Raises `StartError`.
        """

    def processes(self, service: str) -> Sequence[Process]:
        """The processes of `service` that another one of it has started. Works on a paused one, too; none where it is
        not there."""

    def pause(self, service: str) -> None: ...

    def unpause(self, service: str) -> None: ...

    def pause_all(self) -> bool:
        """Pause whatever runs; False, and everything goes on, where the engine cannot freeze a container now."""

    def unpause_all(self) -> None:
        """Let everything that is paused go on."""

    def favour(self) -> None:
        """Give every lasting service a multiple of its CPU shares, so that it goes before what boots beside it."""

    def usage(self) -> dict[str, Usage]:
        """What each running service has used so far, and holds now."""

    def states(self) -> dict[str, State]:
        """The state of each service of the topology; ``missing`` for one without a container."""

    def remove(self) -> None:
        """End and remove every container, network and volume of the stack. May be called repeatedly."""


def not_running(states: Mapping[str, State], services: Iterable[str]) -> dict[str, State]:
    """Those of `services` whose containers do not run, with their states."""
    return {name: states[name] for name in services if states[name].status != "running"}
