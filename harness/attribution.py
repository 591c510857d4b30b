"""Who caused a side effect, where the pods could not tell: by Airflow's own records of what ran when in which pod."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from harness.mocks.ledger import Effect

SLACK = timedelta(seconds=1)
"""How much earlier or later than its records say a try may act: they are written by another process."""
TRIES = """
SELECT dag_id, run_id, task_id, map_index, try_number, hostname, start_date, end_date FROM task_instance
UNION ALL
SELECT dag_id, run_id, task_id, map_index, try_number, hostname, start_date, end_date FROM task_instance_history
"""


@dataclass(frozen=True, slots=True)
class Try:
    """One try of a task instance as Airflow recorded it; `ended` is None while it runs."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    try_number: int
    pod: str
    began: datetime | None
    ended: datetime | None

    def may_have_caused(self, effect: Effect) -> bool:
        """Whether nothing that is known of the effect speaks against it."""
        if self.began is None or self.pod != effect.pod or effect.time < self.began - SLACK:
            return False
        if self.ended is not None and effect.time > self.ended + SLACK:
            return False
        if not effect.run_id:
            return True
        known = (effect.dag_id, effect.run_id, effect.task_id)
        same = (self.dag_id, self.run_id, self.task_id) == known
        return same and effect.try_number in (0, self.try_number)


def needed(ledger: Iterable[Effect]) -> bool:
    """Whether anything is left to find out."""
    return any(_is_open(effect) for effect in ledger)


def attribute(ledger: Sequence[Effect], tries: Sequence[Try]) -> list[Effect]:
    """The ledger with the task instance of each effect that only one try can have caused; others stay as they are."""
    return [_attributed(effect, tries) if _is_open(effect) else effect for effect in ledger]


def _is_open(effect: Effect) -> bool:
    return not effect.run_id or effect.map_index < 0


def _attributed(effect: Effect, tries: Iterable[Try]) -> Effect:
    candidates = [one for one in tries if one.may_have_caused(effect)]
    if len(candidates) != 1:
        return effect
    (only,) = candidates
    return replace(
        effect,
        dag_id=only.dag_id,
        run_id=only.run_id,
        task_id=only.task_id,
        map_index=only.map_index,
        try_number=only.try_number,
    )
