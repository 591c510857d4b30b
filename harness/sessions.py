"""The stacks of one test session: one that tests share, and a small pool of private ones, all owned by one process.

With pytest-xdist that process is the controller, and its workers reach it through `harness.hub`. Stacks come up when
the first test asks. Private ones are handed out pristine, one test at a time, and sleep in between.
"""

from __future__ import annotations

import os
import threading
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Protocol

from harness import audit, prepare, records, report, reset, statement_log, warm
from harness.environment import Environment
from harness.prepare import Prepared
from harness.progress import stderr_console
from harness.watcher import Events

RESERVE_MIB = 3072
"""Memory that the pool leaves to everything else on the machine."""


class Stacks(Protocol):
    """What a test process needs of the session's stacks; stacks are named, and attached to by `records`."""

    def shared(self) -> str:
        """The stack that tests share."""

    def lease(self, holder: str, clock: bool = False, topology: str = "") -> str:
        """A private, pristine stack; waits until one is free.

        With `clock`, one with a virtual clock; with `topology`, one of that instead of the session's.
        """

    def give_back(self, stack: str) -> None:
        """End a lease."""

    def events(self, stack: str) -> Events: ...


@dataclass(eq=False)
class _Private:
    """A place in the pool; its stack comes up when it is first handed out."""

    number: int
    prepared: Prepared
    holder: str = ""
    environment: Environment | None = None
    revision: str = ""

    def folder(self, session: Path) -> Path:
        """Where its logs and its history go."""
        options = self.prepared.options
        return session / f"private-{options.topology}-{'clock-' if options.clock else ''}{self.number}"


@dataclass(eq=False)
class Session:
    """Starts, hands out and ends a session's stacks. Thread-safe."""

    prepared: Prepared
    folder: Path
    fresh: bool = False
    audited: audit.Verdict | None = None
    """After the end: what the statements that the stand-ins were sent came to; None on CockroachDB."""
    _open: ExitStack = field(default_factory=ExitStack)
    _environments: dict[str, Environment] = field(default_factory=dict)
    _earlier: dict[str, report.Tally] = field(default_factory=dict)
    _shared_lock: threading.Lock = field(default_factory=threading.Lock)
    _shared: Environment | None = None
    _failure: BaseException | None = None
    _booting: threading.Lock = field(default_factory=threading.Lock)
    """A boot keeps every core busy: two at once would both take twice as long, and tests start later."""
    _pool: threading.Condition = field(default_factory=threading.Condition)
    _places: dict[tuple[bool, str], list[_Private]] = field(default_factory=dict)
    """Places in the pool, by what was asked for: a virtual clock, and a topology."""
    _deciding: threading.Lock = field(default_factory=threading.Lock)

    # ---- shared

    def shared(self) -> str:
        """Boots it, or takes a warm one, for the first who asks; raises what that raises, to everybody."""
        with self._shared_lock:
            if self._failure is not None:
                raise self._failure
            if self._shared is None:
                try:
                    self._shared = self._obtain()
                except BaseException as error:
                    self._failure = error
                    raise
            return self._shared.stack

    def _obtain(self) -> Environment:
        held = None if self.fresh else self._open.enter_context(warm.held(self.prepared, self.folder))
        if held is not None:
            stderr_console().print(
                f"attached to the warm stack {held.environment.stack}, up for {held.record.age / 60:.0f} min "
                "(--fresh starts another)"
            )
            self._environments[held.environment.stack] = held.environment
            return held.environment
        return self._start(self.prepared, self.folder)

    def _start(self, prepared: Prepared, folder: Path) -> Environment:
        with records.new_stack() as (stack, settings), self._booting:
            for running in list(self._environments.values()):
                running.runtime.favour()
            env = Environment.start(prepared, folder, stack=stack, settings=settings)
        self._open.callback(self._end, env, folder)
        self._environments[stack] = env
        return env

    def _end(self, env: Environment, folder: Path) -> None:
        """Remove a stack; nothing happens when that was done before, as to one that was replaced."""
        if self._environments.pop(env.stack, None) is None:
            return
        try:
            env.wake()
            env.stop(folder)
        finally:
            records.forget(env.stack)

    def events(self, stack: str) -> Events:
        """The watcher of a stack that was handed out; raises `KeyError`."""
        return self._environments[stack].watcher

    # ---- private

    def lease(self, holder: str, clock: bool = False, topology: str = "") -> str:
        place = self._take_place(holder, self._places_for(clock, topology))
        try:
            return self._ready(place).stack
        except BaseException:
            self._free(place)
            raise

    def give_back(self, stack: str) -> None:
        for place in self._all_places():
            if place.environment is not None and place.environment.stack == stack:
                try:
                    place.environment.pause()
                finally:
                    self._free(place)

    def give_back_all(self, holder: str) -> None:
        """End the leases of a holder who is gone."""
        for place in self._all_places():
            if place.holder == holder:
                self._free(place)

    def _all_places(self) -> list[_Private]:
        return [place for places in self._places.values() for place in places]

    @cached_property
    def _size(self) -> int:
        """How many of all places can be handed out at the same time."""
        return pool_size(self.prepared.topology.memory)

    def _places_for(self, clock: bool, topology: str) -> list[_Private]:
        """The places of such stacks, whose images may have to be built first, once.

        Not while the pool is locked: others could not give back meanwhile.
        """
        with self._deciding:
            if (clock, topology) not in self._places:
                prepared = prepare.varied(self.prepared, clock, topology)
                places = [_Private(n, prepared) for n in range(1, self._size + 1)]
                with self._pool:
                    self._places[clock, topology] = places
            return self._places[clock, topology]

    def _take_place(self, holder: str, places: list[_Private]) -> _Private:
        with self._pool:
            free: list[_Private] = []

            def find() -> bool:
                # All kinds together: what is not handed out sleeps, and it is those awake that need the cores.
                if sum(1 for p in self._all_places() if p.holder) >= self._size:
                    return False
                # One that is up comes before one that would have to boot.
                free[:] = sorted((p for p in places if not p.holder), key=lambda p: p.environment is None)
                return bool(free)

            self._pool.wait_for(find)
            free[0].holder = holder
            return free[0]

    def _free(self, place: _Private) -> None:
        with self._pool:
            place.holder = ""
            self._pool.notify_all()

    def _ready(self, place: _Private) -> Environment:
        """The place's stack, awake and pristine; one that cannot be reset is replaced."""
        if place.environment is not None:
            try:
                self._make_pristine(place.environment, place.revision)
            except reset.ResetError as error:
                stderr_console().print(f"private stack {place.environment.stack} is replaced: {error}")
                self._end(place.environment, place.folder(self.folder))
                place.environment = None
        if place.environment is None:
            env = self._start(place.prepared, place.folder(self.folder))
            env.take_pristine()
            place.environment, place.revision = env, env.content.revision
        return place.environment

    def _make_pristine(self, env: Environment, revision: str) -> None:
        env.wake()
        if not reset.can_reset(self.prepared.database):
            raise reset.ResetError(f"{self.prepared.database_name} cannot be reset yet")
        self._earlier[env.stack] = self._earlier.get(env.stack, report.Tally()) + report.tally(env)
        env.reset(revision)

    # ---- the end

    def finish(self) -> list[report.Report]:
        """Say what every stack ran, save it, and end what was started; a warm stack is reset and put to sleep."""
        reports = []
        try:
            for stack, env in self._environments.items():
                env.wake()
                reports.append(report.make(env, self._earlier.get(stack, report.Tally())))
                if self.prepared.database == "stand-in":
                    statement_log.save(statement_log.statements(env.database), self.folder, stack)
            report.save(reports, self.folder)
            if sent := statement_log.load(self.folder):
                self.audited = audit.judge(sent, audit.reviewed())
        finally:
            self._open.close()
        return reports


def pool_size(stack_mib: int) -> int:
    """How many private stacks the machine carries beside the shared one: one for two cores, if memory allows."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        available = next(int(line.split()[1]) // 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):
        available = RESERVE_MIB + stack_mib
    by_memory = (available - RESERVE_MIB) // stack_mib
    return max(1, min(by_memory, (os.cpu_count() or 2) // 2))
