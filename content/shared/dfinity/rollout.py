"""What tasks of a rollout hand to each other through XCom, as small JSON objects.

These payloads are read by tasks that may start days after they were written, with newer code. So a field
is never removed or given another meaning; one that is added has a default.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

from dfinity.rollout_plan import Batch
from dfinity.subnets import abbreviate

Outcome = Literal["created", "existing", "not_needed", "simulated"]


@dataclass(frozen=True)
class SubnetRollout:
    """All that the steps of one subnet need to know; `start_at` is ISO 8601 in UTC, `sensor_interval` seconds."""

    subnet_id: str
    replica_count: int
    git_revision: str
    batch: int
    start_at: str
    simulate: bool
    sensor_interval: int

    @property
    def abbreviation(self) -> str:
        return abbreviate(self.subnet_id)

    def to_payload(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_payload(cls, payload: Mapping[str, Any]) -> "SubnetRollout":
        return cls(**{name: payload[name] for name in cls.__dataclass_fields__ if name in payload})


@dataclass(frozen=True)
class Rollout:
    """A checked plan and how to carry it out; subnets by the number of their batch."""

    git_revision: str
    week: str
    simulate: bool
    batches: Mapping[int, tuple[SubnetRollout, ...]]

    @property
    def subnet_count(self) -> int:
        return sum(len(subnets) for subnets in self.batches.values())

    def to_payload(self) -> dict[str, Any]:
        return {
            "git_revision": self.git_revision,
            "week": self.week,
            "simulate": self.simulate,
            "batches": {str(n): [s.to_payload() for s in subnets] for n, subnets in self.batches.items()},
        }

    @classmethod
    def from_payload(cls, payload: Mapping[str, Any]) -> "Rollout":
        return cls(
            git_revision=payload["git_revision"],
            week=payload["week"],
            simulate=payload["simulate"],
            batches={
                int(number): tuple(SubnetRollout.from_payload(item) for item in subnets)
                for number, subnets in payload["batches"].items()
            },
        )


@dataclass(frozen=True)
class ProposalOutcome:
    """What came of proposing one subnet's upgrade; `proposal_id` is None if there is no proposal."""

    subnet_id: str
    outcome: Outcome
    proposal_id: int | None
    needs_votes: bool

    def to_payload(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_payload(cls, payload: Mapping[str, Any]) -> "ProposalOutcome":
        return cls(**{name: payload[name] for name in cls.__dataclass_fields__ if name in payload})


def plan_rollout(
    batches: Sequence[Batch], *, git_revision: str, week: str, simulate: bool, sensor_interval: int
) -> Rollout:
    """The rollout of one revision to the subnets of the batches."""

    def steps(batch: Batch) -> tuple[SubnetRollout, ...]:
        return tuple(
            SubnetRollout(
                subnet_id=subnet.subnet_id,
                replica_count=subnet.replica_count,
                git_revision=git_revision,
                batch=batch.number,
                start_at=batch.start_at.isoformat(),
                simulate=simulate,
                sensor_interval=sensor_interval,
            )
            for subnet in batch.subnets
        )

    return Rollout(git_revision, week, simulate, {batch.number: steps(batch) for batch in batches})


def start_of(subnets: Sequence[SubnetRollout]) -> datetime:
    """When a batch starts: the same moment for all of its subnets."""
    return datetime.fromisoformat(subnets[0].start_at)
