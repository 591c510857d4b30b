"""The test's side of the mocked Internet Computer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from harness.mocks.names import Service
from harness.mocks.readers.connection import Connection
from harness.mocks.readers.faults import Scripted


@dataclass(frozen=True, slots=True)
class Proposal:
    """An NNS proposal as the public API shows it now; `created` in UNIX seconds.

    `subnet_id` is empty, and `node_ids` is not, when it is about listed nodes; both are for all unassigned ones.
    """

    proposal_id: int
    action: str
    subnet_id: str
    node_ids: tuple[str, ...]
    replica_version_id: str
    status: str
    proposer: str
    title: str
    summary: str
    created: int


@dataclass(frozen=True, slots=True)
class AdminCall:
    """One run of `ic-admin` that reached the NNS. `proposal_id` is None for a dry run or a refusal."""

    command: str
    subnet_id: str
    replica_version_id: str
    proposer: str
    title: str
    summary: str
    dry_run: bool
    pod: str
    time: float
    proposal_id: int | None
    error: str | None
    node_ids: Sequence[str] = ()


class IcReader(Scripted):
    """The mocked Internet Computer."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(
            connection, Service.IC_REGISTRY, Service.IC_PROPOSALS, Service.IC_NNS, Service.PROMETHEUS
        )

    def set_registry(self, subnets: Sequence[Mapping[str, Any]]) -> None:
        """Replace the subnets: {"subnet_id", "replica_count", "subnet_type", "replica_version_id"} each."""
        self._connection.call("PUT", "/ic/registry", {"subnets": [dict(subnet) for subnet in subnets]})

    def registry(self) -> list[dict[str, Any]]:
        """The subnets with their present versions."""
        subnets: list[dict[str, Any]] = self._connection.json("GET", "/ic/registry")
        return subnets

    def set_nodes(self, nodes: Sequence[Mapping[str, Any]]) -> None:
        """Replace the nodes, each of these fields: {"node_id", "subnet_id" (or None), "is_api_boundary_node",
        "guestos_version_id", "hostos_version_id"}; with "stuck" true it never runs another version.
        """
        self._connection.call("PUT", "/ic/nodes", {"nodes": [dict(node) for node in nodes]})

    def nodes(self) -> list[dict[str, Any]]:
        """The nodes with the versions that the registry sets for them now."""
        nodes: list[dict[str, Any]] = self._connection.json("GET", "/ic/nodes")
        return nodes

    def settings(
        self,
        acceptance_delay: float | None = None,
        upgrade_delay: float | None = None,
        auto: bool | None = None,
        execution_delay: float | None = None,
        outcome: str | None = None,
    ) -> None:
        """Change how proposals made from now on move (seconds); `auto=False` leaves it to accept, fail and reject.

        outcome: EXECUTED, FAILED or REJECTED, what `auto` lets become of them.
        """
        given = {
            "acceptance_delay": acceptance_delay,
            "execution_delay": execution_delay,
            "upgrade_delay": upgrade_delay,
            "auto": auto,
            "outcome": outcome,
        }
        changes = {name: value for name, value in given.items() if value is not None}
        self._connection.call("PUT", "/ic/settings", changes)

    def proposals(self) -> list[Proposal]:
        """All proposals, newest first."""
        return [_proposal(item) for item in self._connection.json("GET", "/ic/proposals")]

    def accept(self, proposal_id: int) -> Proposal:
        """Adopt and execute an open proposal. MocksRefusedError: 404 unknown, 409 no longer open."""
        return _proposal(self._connection.json("POST", f"/ic/proposals/{proposal_id}/accept"))

    def fail(self, proposal_id: int) -> Proposal:
        """Adopt an open proposal whose execution fails. MocksRefusedError: 404 unknown, 409 no longer open."""
        return _proposal(self._connection.json("POST", f"/ic/proposals/{proposal_id}/fail"))

    def reject(self, proposal_id: int) -> Proposal:
        """Reject an open proposal. MocksRefusedError: 404 unknown, 409 no longer open."""
        return _proposal(self._connection.json("POST", f"/ic/proposals/{proposal_id}/reject"))

    def set_alerts(self, subnet_id: str, alerts: Sequence[str | Mapping[str, str]]) -> None:
        """Replace what fires for a subnet or a node: names, or {"alertname", "severity"}; nothing clears it."""
        items = [alert if isinstance(alert, str) else dict(alert) for alert in alerts]
        self._connection.call("PUT", "/ic/alerts", {"subnet_id": subnet_id, "alerts": items})

    def raise_alert(
        self, subnet_id: str, alertname: str, severity: str = "critical", lasts: float | None = None
    ) -> None:
        """Let an alert fire besides others, for so many seconds or until it is cleared."""
        body = {"subnet_id": subnet_id, "alertname": alertname, "severity": severity, "lasts": lasts}
        self._connection.call("POST", "/ic/alerts", body)

    def clear_alert(self, subnet_id: str, alertname: str) -> None:
        """End one alert. MocksRefusedError (404) when no such alert was raised."""
        path = f"/ic/alerts/{quote(subnet_id, safe='')}/{quote(alertname, safe='')}"
        self._connection.call("DELETE", path)

    def admin_calls(self) -> list[AdminCall]:
        """Every `ic-admin` run that reached the NNS, oldest first, dry runs and refused ones too."""
        return [AdminCall(**item) for item in self._connection.json("GET", "/ic/admin-calls")]


def _proposal(item: Mapping[str, Any]) -> Proposal:
    payload = item["payload"]
    versions = ("replica_version_id", "version", "elected_replica_version", "hostos_version_id")
    return Proposal(
        proposal_id=item["proposal_id"],
        action=item["action_nns_function"],
        subnet_id=payload.get("subnet_id", ""),
        node_ids=tuple(payload.get("node_ids", ())),
        replica_version_id=next(payload[name] for name in versions if name in payload),
        status=item["status"],
        proposer=item["proposer"],
        title=item["title"],
        summary=item["summary"],
        created=item["proposal_timestamp_seconds"],
    )
