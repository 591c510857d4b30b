"""Whose turn it is among runs of one DAG: a real rollout waits until no other one is under way."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

PLAN_TASK: Final = "plan"
LAST_TASK: Final = "summary"
_ENDED: Final = frozenset({"failed", "upstream_failed", "skipped", "removed"})


@dataclass(frozen=True)
class OtherRun:
    """An active run of the same DAG: the state of its task `plan`, and whether it turned out to be a simulation."""

    run_id: str
    plan_state: str | None
    simulates: bool = False


def ahead(run_id: str, others: Iterable[OtherRun]) -> list[str]:
    """The runs that `run_id` has to wait for.

    Those whose plan is made, and those that are looking right now: whoever looks does so in a state that all others
    can see, so that of two who look at the same time at least one notices. Of runs that wait, the one whose id comes
    first goes first; Airflow's ids start with the time.
    """
    return [
        other.run_id
        for other in others
        if not other.simulates
        and other.plan_state is not None
        and other.plan_state not in _ENDED
        and (other.plan_state != "deferred" or other.run_id < run_id)
    ]
