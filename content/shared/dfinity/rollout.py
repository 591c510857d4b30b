"""What tasks of a rollout hand to each other through XCom, as small JSON objects.

These payloads are read by tasks that may start days after they were written, with newer code. So a field
is never removed or given another meaning; one that is added has a default.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

from dfinity.conditions import NoAlerts, SubnetRunsRevision
from dfinity.production import RELEASE_PAGE_URL
from dfinity.proposals import UPGRADE_SUBNET, ProposalRequest
from dfinity.rollout_plan import Batch
from dfinity.step import Step
from dfinity.subnets import abbreviate, all_subnets, find_subnet
from dfinity.web import fetch

Outcome = Literal["created", "existing", "not_needed", "simulated"]


@dataclass(frozen=True)
class SubnetRollout(Step):
    """All that the tasks of one subnet need to know; `start_at` is ISO 8601 in UTC, `sensor_interval` seconds."""

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

    @property
    def target(self) -> str:
        return self.subnet_id

    @property
    def label(self) -> str:
        return self.abbreviation

    @property
    def part(self) -> str:
        return f"Batch {self.batch}"

    @property
    def change(self) -> str:
        return f"subnet *{self.abbreviation}* (`{self.subnet_id}`) to revision `{self.git_revision}`"

    def request(self) -> ProposalRequest:
        release = f"{RELEASE_PAGE_URL}/{self.git_revision}"
        return ProposalRequest(
            action=UPGRADE_SUBNET,
            command="propose-to-deploy-guestos-to-all-subnet-nodes",
            arguments=(self.subnet_id, self.git_revision),
            title=f"Upgrade subnet {self.abbreviation} to GuestOS {self.git_revision[:10]}",
            summary=f"Upgrade subnet {self.subnet_id} to GuestOS revision [{self.git_revision}]({release}).",
            targets=frozenset({self.subnet_id}),
            version=self.git_revision,
        )

    def is_needless(self) -> bool:
        known = fetch(all_subnets())
        return find_subnet(self.subnet_id, known).replica_version_id == self.git_revision

    def runs_version(self) -> SubnetRunsRevision:
        return SubnetRunsRevision(self.subnet_id, self.git_revision, self.replica_count)

    def has_no_alerts(self) -> NoAlerts:
        return NoAlerts(self.subnet_id)

    def to_payload(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_payload(cls, payload: Mapping[str, Any]) -> "SubnetRollout":
        return cls(**{name: payload[name] for name in cls.__dataclass_fields__ if name in payload})


@dataclass(frozen=True)
class Rollout:
    """A checked plan and how to carry it out; subnets by the number of their batch.

    `spreadsheet_id` says where the plan was read, if in a sheet, and `read_at` (ISO 8601 in UTC) when.
    """

    git_revision: str
    week: str
    simulate: bool
    batches: Mapping[int, tuple[SubnetRollout, ...]]
    spreadsheet_id: str | None = None
    read_at: str = ""

    @property
    def subnet_count(self) -> int:
        return sum(len(subnets) for subnets in self.batches.values())

    def to_payload(self) -> dict[str, Any]:
        return {
            "git_revision": self.git_revision,
            "week": self.week,
            "simulate": self.simulate,
            "batches": {str(n): [s.to_payload() for s in subnets] for n, subnets in self.batches.items()},
            "spreadsheet_id": self.spreadsheet_id,
            "read_at": self.read_at,
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
            # Runs that were planned before plans were read again have neither.
            spreadsheet_id=payload.get("spreadsheet_id"),
            read_at=payload.get("read_at", ""),
        )


@dataclass(frozen=True)
class ProposalOutcome:
    """What came of proposing one step; `proposal_id` is None if there is no proposal.

    `subnet_id` is the step's target: a subnet, or of a wave of nodes `wave N`.
    """

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
    batches: Sequence[Batch],
    *,
    git_revision: str,
    week: str,
    simulate: bool,
    sensor_interval: int,
    spreadsheet_id: str | None = None,
    read_at: str = "",
) -> Rollout:
    """The rollout of one revision to the subnets of the batches, but for those with a revision of their own."""

    def steps(batch: Batch) -> tuple[SubnetRollout, ...]:
        return tuple(
            SubnetRollout(
                subnet_id=subnet.subnet_id,
                replica_count=subnet.replica_count,
                git_revision=batch.revisions.get(subnet.subnet_id, git_revision),
                batch=batch.number,
                start_at=batch.start_at.isoformat(),
                simulate=simulate,
                sensor_interval=sensor_interval,
            )
            for subnet in batch.subnets
        )

    planned = {batch.number: steps(batch) for batch in batches}
    return Rollout(git_revision, week, simulate, planned, spreadsheet_id, read_at)


def start_task_id(batch: int) -> str:
    """The task whose result are the subnets that a batch began with."""
    return f"batch_{batch}.wait_for_start"


def start_of(subnets: Sequence[SubnetRollout]) -> datetime:
    """When a batch starts: the same moment for all of its subnets."""
    return datetime.fromisoformat(subnets[0].start_at)
