"""The Internet Computer as far as a GuestOS rollout sees it: subnets, proposals, replicas, alerts.

Nothing runs in the background. A proposal stores when it is accepted and each read works out, from the clock,
what has happened since: OPEN until it is accepted, then EXECUTED at once (the registry holds the new version),
then the subnet's replicas move over, all of them after `upgrade_delay` seconds.
"""

import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

FIRST_PROPOSAL = 130_000
ACTION = "DeployGuestosToAllSubnetNodes"
_VERSION = re.compile(r"[0-9a-f]{40}")


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
class Alert:
    """A firing alert of a subnet."""

    alertname: str
    severity: str = "critical"


@dataclass(frozen=True, slots=True)
class LifeCycle:
    """How proposals move: `auto` accepts after `acceptance_delay` seconds, otherwise a test decides."""

    acceptance_delay: float = 1.0
    upgrade_delay: float = 1.0
    auto: bool = True


@dataclass(frozen=True, slots=True)
class Proposal:
    """Times are UNIX seconds. accepted_at may be in the future; None while nobody decides."""

    proposal_id: int
    subnet_id: str
    replica_version_id: str
    proposer: str
    title: str
    summary: str
    created_at: float
    upgrade_delay: float
    accepted_at: float | None = None
    rejected: bool = False

    def status(self, now: float) -> str:
        """OPEN, EXECUTED or REJECTED at `now`."""
        if self.rejected:
            return "REJECTED"
        return "EXECUTED" if self.executed(now) else "OPEN"

    def executed(self, now: float) -> bool:
        """Whether the registry holds the new version at `now`."""
        return self.accepted_at is not None and self.accepted_at <= now


class InternetComputer:
    """Thread-safe; `now` is the stack's clock."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self.now = now
        self._lock = threading.RLock()
        self._proposed = 0
        self.reset()

    def reset(self) -> None:
        """No subnets, proposals, alerts or calls; the default life cycle."""
        with self._lock:
            self._subnets: dict[str, Subnet] = {}
            self._subnets_since = 0.0
            self._proposals: dict[int, Proposal] = {}
            self._alerts: dict[str, tuple[Alert, ...]] = {}
            self._admin_calls: list[dict[str, Any]] = []
            self._life_cycle = LifeCycle()

    def proposed(self) -> int:
        """How many proposals were ever made; `reset` does not lower it."""
        with self._lock:
            return self._proposed

    def changes(self) -> list[str]:
        """How it differs from a new one, each in a few words."""
        with self._lock:
            differs = {
                f"{len(self._subnets)} subnets": bool(self._subnets),
                f"{len(self._proposals)} proposals": bool(self._proposals),
                f"{len(self._admin_calls)} ic-admin calls": bool(self._admin_calls),
                "alerts": any(self._alerts.values()),
                "another proposal life cycle": self._life_cycle != LifeCycle(),
            }
        return [what for what, true in differs.items() if true]

    def set_registry(self, subnets: Iterable[Subnet]) -> None:
        """Replace the subnets; proposals that were executed before no longer count for their versions."""
        with self._lock:
            self._subnets = {subnet.subnet_id: subnet for subnet in subnets}
            self._subnets_since = self.now()

    def set_life_cycle(self, changes: Mapping[str, Any]) -> LifeCycle:
        """Change some fields of the life cycle, for proposals made from now on."""
        with self._lock:
            self._life_cycle = replace(self._life_cycle, **changes)
            return self._life_cycle

    def set_alerts(self, subnet_id: str, alerts: Sequence[Alert]) -> None:
        """Replace what fires for a subnet; an empty list clears it. Raises Refused for an unknown subnet."""
        with self._lock:
            self._known(subnet_id)
            self._alerts[subnet_id] = tuple(alerts)

    def subnets(self) -> list[dict[str, Any]]:
        """The registry's list, each subnet with the version that its last executed proposal set."""
        with self._lock:
            return [
                asdict(replace(subnet, replica_version_id=self._versions(subnet)[-1]))
                for subnet in self._subnets.values()
            ]

    def proposals(self) -> list[dict[str, Any]]:
        """All proposals, newest first, in the shape of the public API."""
        with self._lock:
            return [self._shown(proposal) for proposal in reversed(self._proposals.values())]

    def proposal(self, proposal_id: int) -> dict[str, Any]:
        """One proposal. Raises KeyError."""
        with self._lock:
            return self._shown(self._proposals[proposal_id])

    def admin_calls(self) -> list[dict[str, Any]]:
        """Every ic-admin call in order, dry runs and refused ones too."""
        with self._lock:
            return list(self._admin_calls)

    def admin_call(self, call: Mapping[str, Any], pod: str) -> int | None:
        """Record a call and, unless it is a dry run, make its proposal. Raises Refused; a refusal is recorded."""
        with self._lock:
            entry = {**call, "pod": pod, "time": self.now(), "proposal_id": None, "error": None}
            self._admin_calls.append(entry)
            try:
                self._check(call)
            except Refused as error:
                entry["error"] = str(error)
                raise
            if call["dry_run"]:
                return None
            entry["proposal_id"] = self._propose(call)
            return int(entry["proposal_id"])

    def decide(self, proposal_id: int, accept: bool) -> dict[str, Any]:
        """Accept or reject an open proposal. Raises KeyError, or Refused when it is not open."""
        with self._lock:
            proposal = self._proposals[proposal_id]
            now = self.now()
            if proposal.status(now) != "OPEN":
                raise Refused(
                    f"proposal {proposal_id} is {proposal.status(now)}, only an OPEN one can be decided"
                )
            decided = replace(proposal, accepted_at=now) if accept else replace(proposal, rejected=True)
            self._proposals[proposal_id] = decided
            return self._shown(decided)

    def replicas(self) -> list[tuple[str, str, int]]:
        """(subnet, version, number of replicas running it), no zeros; a subnet under way has two versions."""
        with self._lock:
            return [
                (subnet.subnet_id, version, count)
                for subnet in self._subnets.values()
                for version, count in self._running(subnet).items()
                if count
            ]

    def alerts(self) -> list[tuple[str, Alert]]:
        """(subnet, alert) for each alert that fires."""
        with self._lock:
            return [(subnet, alert) for subnet, alerts in self._alerts.items() for alert in alerts]

    def _known(self, subnet_id: str) -> Subnet:
        try:
            return self._subnets[subnet_id]
        except KeyError as error:
            raise Refused(f"subnet {subnet_id} is not in the registry") from error

    def _check(self, call: Mapping[str, Any]) -> None:
        self._known(call["subnet_id"])
        if not _VERSION.fullmatch(call["replica_version_id"]):
            raise Refused(f"replica version {call['replica_version_id']!r} is not 40 hexadecimal digits")

    def _propose(self, call: Mapping[str, Any]) -> int:
        proposal_id = FIRST_PROPOSAL + len(self._proposals)
        now, cycle = self.now(), self._life_cycle
        self._proposals[proposal_id] = Proposal(
            proposal_id=proposal_id,
            subnet_id=call["subnet_id"],
            replica_version_id=call["replica_version_id"],
            proposer=call["proposer"],
            title=call["title"],
            summary=call["summary"],
            created_at=now,
            upgrade_delay=cycle.upgrade_delay,
            accepted_at=now + cycle.acceptance_delay if cycle.auto else None,
        )
        self._proposed += 1
        return proposal_id

    def _shown(self, proposal: Proposal) -> dict[str, Any]:
        return {
            "proposal_id": proposal.proposal_id,
            "title": proposal.title,
            "summary": proposal.summary,
            "action_nns_function": ACTION,
            "status": proposal.status(self.now()),
            "proposer": proposal.proposer,
            "proposal_timestamp_seconds": int(proposal.created_at),
            "payload": {
                "subnet_id": proposal.subnet_id,
                "replica_version_id": proposal.replica_version_id,
            },
        }

    def _executed(self, subnet: Subnet) -> list[Proposal]:
        """The subnet's proposals that count, in the order of their execution."""
        now = self.now()
        executed = [
            proposal
            for proposal in self._proposals.values()
            if proposal.subnet_id == subnet.subnet_id
            and proposal.executed(now)
            and (proposal.accepted_at or 0.0) >= self._subnets_since
        ]
        return sorted(executed, key=lambda proposal: (proposal.accepted_at or 0.0, proposal.proposal_id))

    def _versions(self, subnet: Subnet) -> list[str]:
        """The versions the registry held for a subnet, the present one last."""
        return [subnet.replica_version_id, *(p.replica_version_id for p in self._executed(subnet))]

    def _running(self, subnet: Subnet) -> dict[str, int]:
        """Replicas by version: those of the last upgrade move one after the other during its upgrade delay."""
        versions = self._versions(subnet)
        running = dict.fromkeys(versions[-2:], 0)
        executed = self._executed(subnet)
        moved = subnet.replica_count
        if executed:
            last = executed[-1]
            elapsed = self.now() - (last.accepted_at or 0.0)
            if elapsed < last.upgrade_delay:
                moved = int(subnet.replica_count * elapsed / last.upgrade_delay)
        running[versions[-1]] += moved
        running[versions[-2] if executed else versions[-1]] += subnet.replica_count - moved
        return running
