"""The bells of a virtual clock: whoever skips time rings one when a round of scheduler or triggerer is waited for.

Between two rings that component has nothing to do that anybody waits for. So while its bell is being rung it waits for
it, for a second at most, instead of making round after round beside the tasks. `harness/containers/clock` keeps the
file; `itest_pace` waits. Standard library only, Python 3.9 and newer.
"""

from __future__ import annotations

import mmap
import os
import struct
import time
from pathlib import Path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

FOLDER = "VIRTUAL_CLOCK"
"""Variable with the folder of the clock's files."""
COUNT = struct.Struct("=q")
PLACES = ("scheduler", "triggerer")
"""Whose bells are in the file, in this order."""
STEP = 0.005
"""Seconds between two looks at whether it has rung: as late as that is a ring heard."""
ATTENDED = 5.0
"""For so many seconds after a ring, the next one is waited for."""
PATIENCE = 1.0
"""Seconds that a ring is waited for at most."""


class Bell:
    """One of the bells, whose rings are counted at `place` in `file`; each instance remembers which it has heard."""

    def __init__(self, file: str, place: int) -> None:
        with Path(file).open("rb") as opened:
            self._rings = mmap.mmap(opened.fileno(), COUNT.size * len(PLACES), access=mmap.ACCESS_READ)
        self._place = COUNT.size * place
        self._heard = self._count()
        self._last = float("-inf")

    def _count(self) -> int:
        return int(COUNT.unpack_from(self._rings, self._place)[0])

    def heard(self) -> bool:
        """Whether it has rung since the last time that this was true."""
        count = self._count()
        if count == self._heard:
            return False
        self._heard, self._last = count, time.monotonic()
        return True

    def pause(self, usual: float) -> float:
        """How long to wait for a ring, where one would wait for `usual` seconds without a bell."""
        return PATIENCE if time.monotonic() - self._last < ATTENDED else usual

    def wait(self, usual: float, sleep: Callable[[float], None]) -> None:
        """Return when it rings; at once where it did since the last time. `sleep` sleeps for some seconds."""
        ends = time.monotonic() + self.pause(usual)
        while not self.heard():
            left = ends - time.monotonic()
            if left <= 0:
                return
            sleep(min(STEP, left))


def of_this_stack(component: str) -> Bell | None:
    """The bell for `component` of the virtual clock that this process lives by; None in real time."""
    folder = os.environ.get(FOLDER)
    if not folder:
        return None
    try:
        return Bell(f"{folder}/bells", PLACES.index(component))
    except (OSError, ValueError):
        return None
