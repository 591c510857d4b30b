"""An in-memory backend: containers that are only states. For tests of what stands on `Runtime`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from harness.runtime.base import Executed, Process, Report, State, Step, Usage
from harness.topology import Service


class FakeRuntime:
    """Starts services in the order given, without any engine. `answer` plays the commands run by `exec`."""

    def __init__(
        self,
        stack: str = "fake",
        answer: Callable[[str, list[str]], Executed] = lambda service, command: Executed(0, ""),
    ) -> None:
        self._stack = stack
        self._answer = answer
        self._states: dict[str, State] = {}
        self.signals: list[tuple[str, str]] = []
        self.favoured = False
        self.forked: list[int] = []
        """How many forks `processes` tells of, call by call; none after that."""
        self.frozen: list[str] = []
        """The calls of `pause` and `unpause`, whatever the service."""

    @property
    def stack(self) -> str:
        return self._stack

    def start(self, services: Iterable[Service], report: Report, steps: Sequence[Step] = ()) -> None:
        for service in services:
            report(service.name, "starting")
            self._states[service.name] = (
                State("exited", exit_code=0) if service.one_shot else State("running")
            )
            report(service.name, "completed" if service.one_shot else "ready")
        for step in steps:
            step.action()

    def address(self, service: str, port: int) -> tuple[str, int]:
        return "127.0.0.1", port

    def exec(self, service: str, command: list[str]) -> Executed:
        return self._answer(service, command)

    def read_file(self, service: str, path: str) -> bytes:
        done = self._answer(service, ["cat", path])
        if done.exit_code != 0:
            raise FileNotFoundError(path)
        return done.output.encode()

    def logs(self, service: str, tail: int | None = None) -> str:
        return ""

    def signal(self, service: str, signal: str) -> None:
        self.signals.append((service, signal))

    def kill(self, service: str) -> None:
        self._states[service] = State("exited", exit_code=137)

    def stop(self, service: str) -> None:
        self._states[service] = State("exited", exit_code=0)

    def restart(self, service: str) -> None:
        self._states[service] = State("running")

    def processes(self, service: str) -> Sequence[Process]:
        return [Process("airflow", "airflow")] * (self.forked.pop(0) if self.forked else 0)

    def pause(self, service: str) -> None:
        self.frozen.append("pause")
        self._states[service] = State("paused")

    def unpause(self, service: str) -> None:
        self.frozen.append("unpause")
        self._states[service] = State("running")

    def pause_all(self) -> bool:
        self._turn("running", "paused")
        return True

    def unpause_all(self) -> None:
        self._turn("paused", "running")

    def _turn(self, before: str, after: str) -> None:
        self._states |= {s: State(after) for s, state in self._states.items() if state.status == before}

    def favour(self) -> None:
        self.favoured = True

    def usage(self) -> dict[str, Usage]:
        return {}

    def states(self) -> dict[str, State]:
        return dict(self._states)

    def remove(self) -> None:
        self._states.clear()
