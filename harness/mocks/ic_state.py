"""The Internet Computer as far as a rollout sees it: subnets and their replicas, nodes, proposals, alerts.

Nothing runs in the background. A proposal stores when it is decided and each read works out, from the clock, what has
happened since: OPEN until it is decided, ADOPTED until it is carried out, then EXECUTED (the registry holds the new
version, and the subnet's replicas move over during `upgrade_delay` seconds) or FAILED; or REJECTED.
"""

import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from harness.mocks.ic_models import (
    FUNCTIONS,
    TO_API_BOUNDARY,
    TO_SUBNET,
    TO_UNASSIGNED,
    Alert,
    LifeCycle,
    Node,
    Outcome,
    Proposal,
    Refused,
    Subnet,
    shown_node,
    shown_subnet,
)

FIRST_PROPOSAL = 130_000
_VERSION = re.compile(r"[0-9a-f]{40}")


class InternetComputer:
    """Thread-safe; `now` is the stack's clock."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self.now = now
        self._lock = threading.RLock()
        self._proposed = 0
        self.reset()

    def reset(self) -> None:
        """No subnets, nodes, proposals, alerts or calls; the default life cycle."""
        with self._lock:
            self._subnets: dict[str, Subnet] = {}
            self._subnets_since = 0.0
            self._nodes: dict[str, Node] = {}
            self._nodes_since = 0.0
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
                f"{len(self._nodes)} nodes": bool(self._nodes),
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

    def set_nodes(self, nodes: Iterable[Node]) -> None:
        """Replace the nodes; proposals that were executed before no longer count for their versions."""
        with self._lock:
            self._nodes = {node.node_id: node for node in nodes}
            self._nodes_since = self.now()

    def set_life_cycle(self, changes: Mapping[str, Any]) -> LifeCycle:
        """Change some fields of the life cycle, for proposals made from now on."""
        with self._lock:
            self._life_cycle = replace(self._life_cycle, **changes)
            return self._life_cycle

    def set_alerts(self, subnet_id: str, alerts: Sequence[Alert]) -> None:
        """Replace what fires for a subnet or a node; an empty list clears it. Raises Refused for an unknown one."""
        with self._lock:
            self._known(subnet_id)
            self._alerts[subnet_id] = tuple(alerts)

    def raise_alert(self, subnet_id: str, alert: Alert) -> None:
        """Let an alert fire besides those that do. Raises Refused for an unknown subnet or node."""
        with self._lock:
            self._known(subnet_id)
            others = self._without(subnet_id, alert.alertname)
            self._alerts[subnet_id] = (*others, alert)

    def clear_alert(self, subnet_id: str, alertname: str) -> None:
        """End one alert. Raises Refused when no such alert was raised."""
        with self._lock:
            others = self._without(subnet_id, alertname)
            if len(others) == len(self._alerts.get(subnet_id, ())):
                raise Refused(f"no alert {alertname!r} of subnet {subnet_id} was raised")
            self._alerts[subnet_id] = others

    def _without(self, subnet_id: str, alertname: str) -> tuple[Alert, ...]:
        return tuple(alert for alert in self._alerts.get(subnet_id, ()) if alert.alertname != alertname)

    def next_due(self) -> float | None:
        """The next moment at which something changes by itself; None when nothing will."""
        with self._lock:
            now = self.now()
            replicas = {subnet.subnet_id: subnet.replica_count for subnet in self._subnets.values()}
            moments = [
                moment
                for proposal in self._proposals.values()
                for moment in proposal.moments(len(proposal.node_ids) or replicas.get(proposal.subnet_id, 1))
            ]
            ends = [alert.ends_at for alerts in self._alerts.values() for alert in alerts if alert.ends_at]
            return min((moment for moment in (*moments, *ends) if moment > now), default=None)

    def subnets(self) -> list[dict[str, Any]]:
        """The registry's list, each subnet with the version that its last executed proposal set."""
        with self._lock:
            return [shown_subnet(subnet, self._versions(subnet)[-1]) for subnet in self._subnets.values()]

    def nodes(self) -> list[dict[str, Any]]:
        """The registry's list, each node with the versions that the last executed proposals set."""
        with self._lock:
            return [
                shown_node(
                    node, *(self._set_versions(node, hostos=hostos)[-1][0] for hostos in (False, True))
                )
                for node in self._nodes.values()
            ]

    def proposals(self) -> list[dict[str, Any]]:
        """All proposals, newest first, in the shape of the public API."""
        with self._lock:
            now = self.now()
            return [proposal.shown(now) for proposal in reversed(self._proposals.values())]

    def proposal(self, proposal_id: int) -> dict[str, Any]:
        """One proposal. Raises KeyError."""
        with self._lock:
            return self._proposals[proposal_id].shown(self.now())

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

    def decide(self, proposal_id: int, outcome: Outcome) -> dict[str, Any]:
        """Adopt or reject an open proposal now. Raises KeyError, or Refused when it is not open."""
        with self._lock:
            proposal = self._proposals[proposal_id]
            now = self.now()
            if proposal.status(now) != "OPEN":
                raise Refused(
                    f"proposal {proposal_id} is {proposal.status(now)}, only an OPEN one can be decided"
                )
            decided = replace(proposal, decided_at=now, outcome=outcome)
            self._proposals[proposal_id] = decided
            return decided.shown(now)

    def replicas(self) -> list[tuple[str, str, int]]:
        """(subnet, version, number of replicas running it), no zeros; a subnet under way has two versions."""
        with self._lock:
            return [
                (subnet.subnet_id, version, count)
                for subnet in self._subnets.values()
                for version, count in self._running(subnet).items()
                if count
            ]

    def node_versions(self, *, hostos: bool) -> list[tuple[str, str]]:
        """(node, the version that it runs) of every node, of HostOS or of GuestOS."""
        with self._lock:
            return [(node.node_id, self._runs(node, hostos=hostos)) for node in self._nodes.values()]

    def is_node(self, name: str) -> bool:
        """Whether that is a node's id rather than a subnet's."""
        with self._lock:
            return name in self._nodes

    def alerts(self) -> list[tuple[str, Alert]]:
        """(subnet or node, alert) for each alert that fires."""
        with self._lock:
            now = self.now()
            return [
                (subnet, alert)
                for subnet, alerts in self._alerts.items()
                for alert in alerts
                if alert.fires(now)
            ]

    def _known(self, name: str) -> None:
        if name not in self._subnets and name not in self._nodes:
            raise Refused(f"subnet or node {name} is not in the registry")

    def _check(self, call: Mapping[str, Any]) -> None:
        if call["command"] not in FUNCTIONS:
            raise Refused(f"unknown command {call['command']}")
        if call["command"] == TO_SUBNET and call["subnet_id"] not in self._subnets:
            raise Refused(f"subnet {call['subnet_id']} is not in the registry")
        moved = self._moved_nodes(call)
        if call["command"] != TO_SUBNET and not moved:
            raise Refused("the proposal names no nodes")
        for node_id in moved:
            if node_id not in self._nodes:
                raise Refused(f"node {node_id} is not in the registry")
            if call["command"] == TO_API_BOUNDARY and not self._nodes[node_id].is_api_boundary_node:
                raise Refused(f"node {node_id} is not an API boundary node")
        if not _VERSION.fullmatch(call["replica_version_id"]):
            raise Refused(f"replica version {call['replica_version_id']!r} is not 40 hexadecimal digits")

    def _moved_nodes(self, call: Mapping[str, Any]) -> tuple[str, ...]:
        if call["command"] == TO_UNASSIGNED:
            return tuple(node.node_id for node in self._nodes.values() if node.is_unassigned)
        return tuple(call.get("node_ids", ()))

    def _propose(self, call: Mapping[str, Any]) -> int:
        proposal_id = FIRST_PROPOSAL + len(self._proposals)
        now, cycle = self.now(), self._life_cycle
        self._proposals[proposal_id] = Proposal(
            proposal_id=proposal_id,
            command=call["command"],
            subnet_id=call["subnet_id"],
            node_ids=self._moved_nodes(call),
            replica_version_id=call["replica_version_id"],
            proposer=call["proposer"],
            title=call["title"],
            summary=call["summary"],
            created_at=now,
            execution_delay=cycle.execution_delay,
            upgrade_delay=cycle.upgrade_delay,
            decided_at=now + cycle.acceptance_delay if cycle.auto else None,
            outcome=cycle.outcome,
        )
        self._proposed += 1
        return proposal_id

    def _set_versions(self, node: Node, *, hostos: bool) -> list[tuple[str, Proposal | None]]:
        """The versions that the registry held for a node and who set each (None: listed so), the present one last."""
        now = self.now()
        setting = [
            proposal
            for proposal in self._proposals.values()
            if node.node_id in proposal.node_ids
            and FUNCTIONS[proposal.command].sets_hostos == hostos
            and proposal.executed(now)
            and (proposal.carried_out_at or 0.0) >= self._nodes_since
        ]
        setting.sort(key=lambda proposal: (proposal.carried_out_at or 0.0, proposal.proposal_id))
        return [(node.version(hostos=hostos), None), *((p.replica_version_id, p) for p in setting)]

    def _runs(self, node: Node, *, hostos: bool) -> str:
        """The version that a node runs: those of one proposal move one after the other."""
        versions = (
            [(node.version(hostos=hostos), None)] if node.stuck else self._set_versions(node, hostos=hostos)
        )
        version, proposal = versions[-1]
        if proposal is None:
            return version
        moved = proposal.moved(len(proposal.node_ids), self.now())
        return version if proposal.node_ids.index(node.node_id) < moved else versions[-2][0]

    def _executed(self, subnet: Subnet) -> list[Proposal]:
        """The subnet's proposals that count, in the order of their execution."""
        now = self.now()
        executed = [
            proposal
            for proposal in self._proposals.values()
            if proposal.subnet_id == subnet.subnet_id
            and proposal.executed(now)
            and (proposal.carried_out_at or 0.0) >= self._subnets_since
        ]
        return sorted(executed, key=lambda proposal: (proposal.carried_out_at or 0.0, proposal.proposal_id))

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
            moved = executed[-1].moved(subnet.replica_count, self.now())
        running[versions[-1]] += moved
        running[versions[-2] if executed else versions[-1]] += subnet.replica_count - moved
        return running
