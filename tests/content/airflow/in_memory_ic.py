"""The Internet Computer, as far as a rollout sees it, in memory."""

import itertools
import re
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

OLD = "0" * 39 + "a"
NEW = "0123456789" * 4
SUBNETS = [f"{name}-aaaaa-bbbbb-cai" for name in ("io67a", "xok3w", "vcpt7", "shefu", "tdb26")]
REPLICAS = 13
_RUN = subprocess.run


@dataclass
class InMemoryIc:
    """Proposals are adopted, and subnets upgraded, when somebody looks for the second time.

    `final_status` is what becomes of a proposal, by subnet; `alerts` fire for a subnet as many times as
    its number says; `ic_admin_fails_after_submitting` makes ic-admin fail although the proposal exists. `nodes` are
    what the registry lists; proposals for them are executed at once, and move all but the `stuck` ones.
    """

    subnet_ids: Sequence[str]
    final_status: dict[str, str] = field(default_factory=dict)
    alerts: dict[str, int] = field(default_factory=dict)
    ic_admin_fails_after_submitting: bool = False
    proposals: list[dict[str, Any]] = field(default_factory=list)
    commands: list[Sequence[str]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    nodes: list[dict[str, Any]] = field(default_factory=list)
    stuck: set[str] = field(default_factory=set)
    running: dict[str, str] = field(init=False)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(130000))
    _looks: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.running = dict.fromkeys(self.subnet_ids, OLD)

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(str(request.url))
        path = request.url.path
        if path.endswith("/subnets"):
            return self._json([self._subnet(subnet_id) for subnet_id in self.subnet_ids])
        if path.endswith("/nodes"):
            return self._json(self.nodes)
        if path.endswith("/proposals"):
            first, action = (
                int(request.url.params["offset"]),
                request.url.params["include_action_nns_function"],
            )
            fitting = [p for p in self.proposals if p["action_nns_function"] == action]
            return self._json({"data": fitting[first : first + int(request.url.params["limit"])]})
        if "/proposals/" in path:
            return self._proposal(int(path.rsplit("/", 1)[1]))
        return self._prometheus(request.url.params["query"])

    def propose(self, subnet_id: str, revision: str, status: str = "OPEN") -> int:
        payload = {"subnet_id": subnet_id, "replica_version_id": revision}
        return self._add("DeployGuestosToAllSubnetNodes", payload, status)

    def _add(self, action: str, payload: dict[str, Any], status: str) -> int:
        number = next(self._numbers)
        proposal = {
            "proposal_id": number,
            "status": status,
            "action_nns_function": action,
            "proposal_timestamp_seconds": int(datetime.now(UTC).timestamp()),
            "payload": payload,
        }
        self.proposals.insert(0, proposal)
        return number

    def ic_admin(self, command: Sequence[str], **options: Any) -> subprocess.CompletedProcess[str]:
        """Stands in for `subprocess.run`, which others of the process use too."""
        if command[0] != "ic-admin":
            return _RUN(command, **options)
        self.commands.append(command)
        key = Path(command[command.index("--secret-key-pem") + 1])
        assert key.stat().st_mode & 0o777 == 0o600
        self.keys.append(key.read_text())
        if "--dry-run" in command:
            return subprocess.CompletedProcess(command, 0, "the payload\n", "")
        number = self._propose_nodes(command) or self.propose(command[-2], command[-1])
        if self.ic_admin_fails_after_submitting:
            return subprocess.CompletedProcess(command, 1, "", "connection reset")
        return subprocess.CompletedProcess(command, 0, f"proposal {number}\n", "")

    def _propose_nodes(self, command: Sequence[str]) -> int | None:
        """The proposal of a command about nodes, which is executed at once; None for another command."""
        what = command[5]
        if what.endswith("some-api-boundary-nodes"):
            nodes, version = command[command.index("--nodes") + 1 : -2], command[-1]
            action, payload = "DeployGuestosToSomeApiBoundaryNodes", {"node_ids": nodes, "version": version}
        elif what.endswith("all-unassigned-nodes"):
            nodes = [n["node_id"] for n in self.nodes if not n["subnet_id"] and not n["is_api_boundary_node"]]
            version = command[-1]
            action, payload = "DeployGuestosToAllUnassignedNodes", {"elected_replica_version": version}
        elif what.endswith("hostos-to-some-nodes"):
            at = command.index("--hostos-version-id")
            nodes, version = command[at + 2 :], command[at + 1]
            action, payload = "DeployHostosToSomeNodes", {"node_ids": nodes, "hostos_version_id": version}
        else:
            return None
        kind = "hostos_version_id" if "hostos" in what else "guestos_version_id"
        for node in self.nodes:
            if node["node_id"] in nodes:
                node[kind] = version
        return self._add(action, payload, "EXECUTED")

    def _reports(self, kind: str) -> list[tuple[dict[str, str], int]]:
        """What nodes say of their versions."""
        return [
            ({"ic_node": n["node_id"], "version": OLD if n["node_id"] in self.stuck else n[kind]}, 1)
            for n in self.nodes
        ]

    def _subnet(self, subnet_id: str) -> dict[str, Any]:
        version = self.running[subnet_id]
        return {"subnet_id": subnet_id, "replica_count": REPLICAS, "replica_version_id": version}

    def _proposal(self, number: int) -> httpx.Response:
        for proposal in self.proposals:
            if proposal["proposal_id"] == number:
                if "subnet_id" in proposal["payload"] and self._second_look(f"proposal {number}"):
                    subnet_id = proposal["payload"]["subnet_id"]
                    proposal["status"] = self.final_status.get(subnet_id, "EXECUTED")
                return self._json(proposal)
        return self._json({"detail": "unknown"}, status=404)

    def _prometheus(self, query: str) -> httpx.Response:
        if "guestos_version" in query or "hostos_version" in query:
            return self._vector(
                self._reports("hostos_version_id" if "hostos" in query else "guestos_version_id")
            )
        if "ic_node" in query:
            named = {n["node_id"] for n in self.nodes}
            firing = [({"ic_node": n, "alertname": "HostDown"}, 1) for n in self.alerts if n in named]
            return self._vector(firing)
        subnet_id = re.search(r'ic_subnet="([^"]+)"', query)[1]  # type: ignore[index]
        if "ALERTS" in query:
            self.alerts[subnet_id] = self.alerts.get(subnet_id, 0) - 1
            firing = self.alerts[subnet_id] >= 0
            return self._vector([({"alertname": "NodeDown"}, 1)] if firing else [])
        executed = [p for p in self.proposals if p["payload"]["subnet_id"] == subnet_id]
        if executed and executed[0]["status"] == "EXECUTED" and self._second_look(subnet_id):
            self.running[subnet_id] = executed[0]["payload"]["replica_version_id"]
        return self._vector([({"ic_active_version": self.running[subnet_id]}, REPLICAS)])

    def _second_look(self, what: str) -> bool:
        self._looks[what] = self._looks.get(what, 0) + 1
        return self._looks[what] > 1

    def _vector(self, samples: Sequence[tuple[dict[str, str], int]]) -> httpx.Response:
        result = [{"metric": metric, "value": [0, str(value)]} for metric, value in samples]
        return self._json({"status": "success", "data": {"resultType": "vector", "result": result}})

    def _json(self, content: Any, status: int = 200) -> httpx.Response:
        return httpx.Response(status, json=content)


def slack_hook(posted: list[dict[str, Any]]) -> type:
    """A class that stands in for SlackHook and keeps what is posted through it."""

    class InMemorySlackHook:
        def __init__(self, slack_conn_id: str) -> None:
            assert slack_conn_id == "slack.ic_os_rollout"

        def call(self, method: str, json: dict[str, Any]) -> None:
            assert method == "chat.postMessage"
            posted.append(json)

    return InMemorySlackHook
