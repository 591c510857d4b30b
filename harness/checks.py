"""Checks over side effects: exactly once, at least once, never, in this order. Pure, each verdict with its reason.

They take a ledger, be it `env.mocks.ledger()` of a running stack or `saved(history)` of one that is gone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from fnmatch import fnmatchcase
from itertools import pairwise
from pathlib import Path

from harness import history
from harness.mocks.ledger import Effect, effects_of


class Validity(StrEnum):
    VALID = "valid"
    INVALID = "invalid"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Verdict:
    """True only if it is valid; `reason` says why it is what it is."""

    validity: Validity
    reason: str

    def __bool__(self) -> bool:
        return self.validity is Validity.VALID


@dataclass(frozen=True, slots=True)
class Expected:
    """Which effects are meant: shell patterns, and what is left out matches all.

    detail: texts that the effect's details must hold, by their names. There is no try: a retry repeats an effect.
    """

    kind: str
    target: str = "*"
    dag_id: str = "*"
    run_id: str = "*"
    task_id: str = "*"
    map_index: int | None = None
    detail: tuple[tuple[str, str], ...] = ()

    def is_met_by(self, effect: Effect) -> bool:
        """Whether the effect is one that is meant."""
        return self._is_kind_of(effect) and self._is_from(effect)

    def may_be_met_by(self, effect: Effect) -> bool:
        """Whether it could be one, as nobody knows which task (or which of its mapped instances) caused it."""
        if not self._is_kind_of(effect) or self._is_from(effect):
            return False
        if not effect.run_id:
            return True
        same_task = self._matches(effect, "dag_id", "run_id", "task_id")
        return same_task and self.map_index is not None and effect.map_index < 0

    def _is_kind_of(self, effect: Effect) -> bool:
        held = effect.detail
        said = all(text in str(held.get(name, "")) for name, text in self.detail)
        return self._matches(effect, "kind", "target") and said

    def _is_from(self, effect: Effect) -> bool:
        return self._matches(effect, "dag_id", "run_id", "task_id") and self.map_index in (
            None,
            effect.map_index,
        )

    def _matches(self, effect: Effect, *names: str) -> bool:
        return all(fnmatchcase(str(getattr(effect, name)), str(getattr(self, name))) for name in names)

    def __str__(self) -> str:
        given = [
            f"{f.name}={getattr(self, f.name)}" for f in fields(self) if getattr(self, f.name) != f.default
        ]
        return ", ".join(given)


def exactly_once(ledger: Sequence[Effect], expected: Expected) -> Verdict:
    """Valid if one effect is meant, invalid if there are more, or none and none is unattributed."""
    found = _met(ledger, expected)
    if len(found) > 1:
        return Verdict(Validity.INVALID, f"{len(found)} times instead of once: {_told(found)}")
    open_ones = _open(ledger, expected)
    if open_ones:
        return _unknown(found, open_ones)
    return _verdict(len(found) == 1, "once", f"never happened: {expected}", found)


def at_least_once(ledger: Sequence[Effect], expected: Expected) -> Verdict:
    """Valid if some effect is meant."""
    found = _met(ledger, expected)
    if not found and (open_ones := _open(ledger, expected)):
        return _unknown(found, open_ones)
    return _verdict(bool(found), f"{len(found)} times", f"never happened: {expected}", found)


def never(ledger: Sequence[Effect], expected: Expected) -> Verdict:
    """Valid if no effect is meant."""
    found = _met(ledger, expected)
    if not found and (open_ones := _open(ledger, expected)):
        return _unknown(found, open_ones)
    return _verdict(
        not found, f"never: {expected}", f"{len(found)} times instead of never: {_told(found)}", []
    )


def in_order(ledger: Sequence[Effect], *expected: Expected) -> Verdict:
    """Valid if each happened, and every one of the first before any of the second, and so on."""
    groups = [_met(ledger, one) for one in expected]
    for one, group in zip(expected, groups, strict=True):
        if not group:
            open_ones = _open(ledger, one)
            return (
                _unknown([], open_ones) if open_ones else Verdict(Validity.INVALID, f"never happened: {one}")
            )
    for earlier, later in pairwise(groups):
        if earlier[-1].seq >= later[0].seq:
            return Verdict(
                Validity.INVALID, f"not in order: {_told([later[0]])} came before {_told([earlier[-1]])}"
            )
    return Verdict(Validity.VALID, f"in order: {_told([group[0] for group in groups])}")


def saved(path: Path) -> list[Effect]:
    """The ledger in a saved history. Raises FileNotFoundError."""
    return effects_of(event for event in history.read(path) if event["kind"] == "request")


def _met(ledger: Iterable[Effect], expected: Expected) -> list[Effect]:
    return [effect for effect in ledger if expected.is_met_by(effect)]


def _open(ledger: Iterable[Effect], expected: Expected) -> list[Effect]:
    return [effect for effect in ledger if expected.may_be_met_by(effect)]


def _unknown(found: Sequence[Effect], open_ones: Sequence[Effect]) -> Verdict:
    sure = f"{len(found)} for sure, and " if found else ""
    return Verdict(Validity.UNKNOWN, f"{sure}nobody knows whether these are meant: {_told(open_ones)}")


def _verdict(valid: bool, good: str, bad: str, found: Sequence[Effect]) -> Verdict:
    if valid:
        return Verdict(Validity.VALID, f"{good}: {_told(found)}" if found else good)
    return Verdict(Validity.INVALID, bad)


def _told(effects: Sequence[Effect]) -> str:
    return "; ".join(_line(effect) for effect in effects)


def _line(effect: Effect) -> str:
    index = f"[{effect.map_index}]" if effect.map_index >= 0 else ""
    task = (
        f"{effect.task_id}{index}, try {effect.try_number}, run {effect.run_id}"
        if effect.run_id
        else "nobody known"
    )
    return f"#{effect.seq} {effect.kind} to {effect.target} at {effect.time:%H:%M:%S} ({task}, pod {effect.pod or '?'})"
