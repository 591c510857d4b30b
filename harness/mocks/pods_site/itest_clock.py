"""Sleeps of asyncio that follow the virtual clock, and say until when; the preloaded library does it for `time.sleep`.

`sitecustomize` asks for this module where VIRTUAL_CLOCK is set. An event loop waits by the monotonic clock, which a
jump does not move, so a trigger's sleep of an hour would take an hour. Standard library only, Python 3.9 and newer.
"""

from __future__ import annotations

import sys
import threading
import time

from itest_imports import after_import  # type: ignore[import-not-found]  # beside this file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

LONG = 1.0
"""Shorter sleeps, in seconds, are left alone."""
LOOK = 0.01
"""How soon, in seconds, a long sleep notices a jump."""
JUMP = 0.01
"""By more seconds than these the clock moves where it jumps; less is how a clock is kept right."""


class Announcer:
    """Tells who sleeps until when, by the library that is preloaded into this process; without it, tells nobody."""

    def __init__(self) -> None:
        import ctypes

        library: Any = ctypes.CDLL(None)
        try:
            self._begin, self._end = library.virtual_clock_sleep_begins, library.virtual_clock_sleep_ends
            self._begin.argtypes = [ctypes.c_int64, ctypes.c_char_p]
            self._end.argtypes = [ctypes.c_int, ctypes.c_int64]
        except AttributeError:
            self._begin, self._end = (lambda _until, _name: -1), (lambda _place, _until: None)

    def begin(self, until: float, name: str) -> int:
        """The sleeper's place, which `end` frees."""
        return int(self._begin(int(until * 1e9), f"trigger {name}".encode()))

    def end(self, place: int, until: float) -> None:
        """Free the place, unless another has it by now; `until` is what `begin` was told."""
        self._end(place, int(until * 1e9))


class Jumps:
    """Wakes those who sleep in one event loop when the clock jumps: one look for all of them, and none for nobody."""

    def __init__(self, loop: Any) -> None:
        self.loop = loop
        self._asleep: set[Any] = set()
        self._looking = False
        self._ahead = 0.0

    async def sleep_until(self, moment: float) -> None:
        """Return when the clock shows `moment`, in seconds since the epoch."""
        while True:
            if not self._looking:
                self._looking = True
                self._ahead = time.time() - time.monotonic()
                self.loop.call_later(LOOK, self._look)
            left = moment - time.time()
            if left <= 0:
                return
            await self._jump_or(left)

    async def _jump_or(self, seconds: float) -> None:
        woken = self.loop.create_future()
        self._asleep.add(woken)
        timer = self.loop.call_later(seconds, self._wake, woken)
        try:
            await woken
        finally:
            timer.cancel()
            self._asleep.discard(woken)

    def _look(self) -> None:
        if not self._asleep:
            self._looking = False
            return
        ahead = time.time() - time.monotonic()
        if abs(ahead - self._ahead) > JUMP:
            self._ahead = ahead
            for woken in self._asleep:
                self._wake(woken)
        self.loop.call_later(LOOK, self._look)

    @staticmethod
    def _wake(woken: Any) -> None:
        if not woken.done():
            woken.set_result(None)


def follow_the_clock(tasks: Any) -> None:
    """Replace `asyncio.tasks.sleep`, before anybody has taken it from there."""
    original = tasks.sleep
    made: list[Announcer] = []
    # A thread has one loop at a time, and may have one after another.
    here = threading.local()

    async def sleep(delay: float, result: Any = None) -> Any:
        if not delay >= LONG:
            return await original(delay, result)
        until = time.time() + delay
        loop = tasks.events.get_running_loop()
        jumps = getattr(here, "jumps", None)
        if jumps is None or jumps.loop is not loop:
            jumps = here.jumps = Jumps(loop)
        name = name_of_trigger() or tasks.current_task().get_name()
        # So are triggers called by Airflow's triggerer; others who sleep do not hold the clock up.
        if not name.endswith(")") or " (ID " not in name:
            await jumps.sleep_until(until)
            return result
        if not made:
            made.append(Announcer())
        place = made[0].begin(until, name)
        try:
            await jumps.sleep_until(until)
        finally:
            made[0].end(place, until)
        return result

    tasks.sleep = sleep


def name_of_trigger() -> str:
    """What Airflow 3 would call the current asyncio task, where Airflow 2 runs a trigger in it; "" elsewhere."""
    kept: Any = sys.modules.get("airflow.utils.log.trigger_handler")
    if not hasattr(kept, "ctx_trigger_id"):
        return ""
    waiting, number = kept.ctx_task_instance.get(None), kept.ctx_trigger_id.get(None)
    if waiting is None or number is None:
        return ""
    key = (waiting.dag_id, waiting.run_id, waiting.task_id, waiting.map_index, waiting.try_number)
    return f"{'/'.join(map(str, key))} (ID {number})"


def start() -> None:
    """Have long sleeps follow the virtual clock in every event loop of this process."""
    after_import("asyncio.tasks", follow_the_clock)
