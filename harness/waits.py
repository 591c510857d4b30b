"""Deadlines and polling: the only place in the project that sleeps."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


class WaitTimeout(TimeoutError):
    """What was waited for did not come; the message says what, how long, and the last state seen."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment on the monotonic clock, `seconds` after it was made with `after`."""

    moment: float
    seconds: float

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        return cls(time.monotonic() + seconds, seconds)

    @property
    def left(self) -> float:
        """Seconds left, never negative."""
        return max(0.0, self.moment - time.monotonic())

    @property
    def passed(self) -> bool:
        return self.left == 0.0


def eventually(
    look: Callable[[], T | None],
    what: str,
    timeout: float,
    interval: float = 0.25,
    describe: Callable[[], str] = lambda: "",
) -> T:
    """Call `look` every `interval` seconds until what it returns is true (None, False and empty are not).

    Raises `WaitTimeout` after `timeout` seconds with `what` and with `describe()`, which is only then called.
    Errors that `look` raises are not caught.
    """
    __tracebackhide__ = True
    deadline = Deadline.after(timeout)
    while True:
        seen = look()
        if seen:
            return seen
        if deadline.passed:
            details = describe()
            raise WaitTimeout(
                f"waited {timeout:.0f} s for {what}, in vain" + (f"\n{details}" if details else "")
            )
        time.sleep(min(interval, deadline.left))
