"""How a specimen's runs ended, as far as it can be compared with others'. Pure data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

ENDED = frozenset({"success", "failed"})


@dataclass(frozen=True, slots=True)
class TaskEnd:
    """A task instance: its state, and how many tries it took."""

    state: str | None
    tries: int


@dataclass(frozen=True, slots=True)
class RunEnd:
    """A run. Tasks are ``id`` or ``id[map index]``; XComs ``task/key``; `silent` tasks' logs cannot be read.

    `effects` are the side effects as the ledger has them, without what differs from run to run.
    """

    state: str
    tasks: Mapping[str, TaskEnd]
    xcoms: Mapping[str, Any]
    effects: tuple[str, ...] = ()
    silent: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """All runs of a specimen, in the order in which they were made; `problem` says why they could not be looked at."""

    runs: tuple[RunEnd, ...]
    problem: str = ""

    @property
    def summary(self) -> str:
        """The states of its runs in a word or two, and the tries where there was more than one."""
        states = ", ".join(dict.fromkeys(run.state for run in self.runs)) or "no run"
        tries = max((t.tries for run in self.runs for t in run.tasks.values()), default=0)
        return f"{states}, {tries} tries" if tries > 1 else states
