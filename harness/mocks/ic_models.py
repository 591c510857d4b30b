"""What the Internet Computer's state is made of: subnets, alerts, proposals and how they move with time."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

Payload = Callable[[str, Sequence[str], str], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Function:
    """A function of the NNS that sets a version: its name, and its payload of (subnet, nodes, version)."""

    action: str
    payload: Payload
    sets_hostos: bool = False


FUNCTIONS: Mapping[str, Function] = {
    "propose-to-deploy-guestos-to-all-subnet-nodes": Function(
        "DeployGuestosToAllSubnetNodes",
        lambda subnet, _, version: {"subnet_id": subnet, "replica_version_id": version},
    ),
    "propose-to-deploy-guestos-to-some-api-boundary-nodes": Function(
        "DeployGuestosToSomeApiBoundaryNodes",
        lambda _, nodes, version: {"node_ids": list(nodes), "version": version},
    ),
    "propose-to-deploy-guestos-to-all-unassigned-nodes": Function(
        "DeployGuestosToAllUnassignedNodes",
        lambda _subnet, _nodes, version: {"elected_replica_version": version},
    ),
    "propose-to-deploy-hostos-to-some-nodes": Function(
        "DeployHostosToSomeNodes",
        lambda _, nodes, version: {"node_ids": list(nodes), "hostos_version_id": version},
        sets_hostos=True,
    ),
}
"""What each command of `ic-admin` proposes."""

TO_SUBNET = "propose-to-deploy-guestos-to-all-subnet-nodes"
TO_UNASSIGNED = "propose-to-deploy-guestos-to-all-unassigned-nodes"
TO_API_BOUNDARY = "propose-to-deploy-guestos-to-some-api-boundary-nodes"


class Refused(ValueError):
    """The request contradicts the state or is malformed; the message says how."""


@dataclass(frozen=True, slots=True)
class Subnet:
    """One subnet as the registry lists it."""

    subnet_id: str
    replica_count: int
    subnet_type: str
    replica_version_id: str


@dataclass(frozen=True, slots=True)
class Node:
    """One node as the registry lists it. A stuck one never runs another version, whatever the registry says."""

    node_id: str
    subnet_id: str | None
    is_api_boundary_node: bool
    guestos_version_id: str
    hostos_version_id: str
    stuck: bool = False

    @property
    def is_unassigned(self) -> bool:
        return self.subnet_id is None and not self.is_api_boundary_node

    def version(self, *, hostos: bool) -> str:
        """What it was listed with."""
        return self.hostos_version_id if hostos else self.guestos_version_id


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert of a subnet or a node. It fires until `ends_at` (UNIX seconds), or until it is cleared."""

    alertname: str
    severity: str = "critical"
    ends_at: float | None = None

    def fires(self, now: float) -> bool:
        """Whether it fires at `now`."""
        return self.ends_at is None or now < self.ends_at


class Outcome(StrEnum):
    """What becomes of a proposal once it is decided."""

    EXECUTED = "EXECUTED"
    FAILED = "FAILED"
    REJECTED = "REJECTED"


@dataclass(frozen=True, slots=True)
class LifeCycle:
    """How proposals move, in seconds: `auto` decides after `acceptance_delay`, otherwise a test does.

    An adopted one is carried out `execution_delay` later, and then replicas move during `upgrade_delay`.
    `outcome` is what `auto` lets become of it.
    """

    acceptance_delay: float = 1.0
    execution_delay: float = 0.0
    upgrade_delay: float = 1.0
    auto: bool = True
    outcome: Outcome = Outcome.EXECUTED


@dataclass(frozen=True, slots=True)
class Proposal:
    """Times are UNIX seconds. decided_at may be in the future; None while nobody decides.

    `subnet_id` is empty when it is about nodes; `node_ids` are those that it moves, in this order.
    """

    proposal_id: int
    command: str
    subnet_id: str
    node_ids: tuple[str, ...]
    replica_version_id: str
    proposer: str
    title: str
    summary: str
    created_at: float
    execution_delay: float
    upgrade_delay: float
    decided_at: float | None = None
    outcome: Outcome = Outcome.EXECUTED

    @property
    def carried_out_at(self) -> float | None:
        """When an adopted proposal is executed or fails; None for others."""
        if self.decided_at is None or self.outcome is Outcome.REJECTED:
            return None
        return self.decided_at + self.execution_delay

    def status(self, now: float) -> str:
        """OPEN, ADOPTED, or its outcome, at `now`."""
        if self.decided_at is None or now < self.decided_at:
            return "OPEN"
        done = self.carried_out_at
        return "ADOPTED" if done is not None and now < done else self.outcome.value

    def executed(self, now: float) -> bool:
        """Whether the registry holds the new version at `now`."""
        return self.status(now) == "EXECUTED"

    def moved(self, replicas: int, now: float) -> int:
        """How many of a subnet's replicas run the version at `now`: they move one after the other."""
        elapsed = now - (self.carried_out_at or 0.0)
        return replicas if elapsed >= self.upgrade_delay else int(replicas * elapsed / self.upgrade_delay)

    def moments(self, replicas: int) -> Iterator[float]:
        """When something about it changes, `replicas` being how many it moves."""
        if self.decided_at is not None:
            yield self.decided_at
        done = self.carried_out_at
        if done is not None:
            yield done
            if self.outcome is Outcome.EXECUTED:
                yield from (done + self.upgrade_delay * moved / replicas for moved in range(1, replicas + 1))

    def shown(self, now: float) -> dict[str, Any]:
        """It in the shape of the public API; moments that are not reached are 0."""
        status = self.status(now)
        decided = 0 if status == "OPEN" else int(self.decided_at or 0)
        done = int(self.carried_out_at or 0)
        function = FUNCTIONS[self.command]
        return {
            "proposal_id": self.proposal_id,
            "title": self.title,
            "summary": self.summary,
            "action_nns_function": function.action,
            "status": status,
            "proposer": self.proposer,
            "proposal_timestamp_seconds": int(self.created_at),
            "decided_timestamp_seconds": decided,
            "executed_timestamp_seconds": done if status == "EXECUTED" else 0,
            "failed_timestamp_seconds": done if status == "FAILED" else 0,
            "payload": function.payload(self.subnet_id, self.node_ids, self.replica_version_id),
        }


def shown_subnet(subnet: Subnet, version: str) -> dict[str, Any]:
    """A subnet as the registry lists it, at the version that it has come to."""
    return {**asdict(subnet), "replica_version_id": version}


def shown_node(node: Node, guestos: str, hostos: str) -> dict[str, Any]:
    """A node as the registry lists it, at the versions that it has come to."""
    shown = {**asdict(node), "guestos_version_id": guestos, "hostos_version_id": hostos}
    del shown["stuck"]
    return shown
