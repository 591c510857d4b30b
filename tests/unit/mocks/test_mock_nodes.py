"""Nodes of the mocked Internet Computer: proposals that upgrade some or all, and what they then report."""

import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest

from harness.mocks.ic_models import Node, Refused
from harness.mocks.ic_state import InternetComputer, Subnet
from harness.mocks.provision import IC_ADMIN
from harness.mocks.readers import MocksControl, MocksRefusedError

from .conftest import OLD_VERSION, VERSION, Running, private_key_pem
from .test_mock_ic import Clock, call

NODES = "https://dashboard.mainnet.dfinity.network/api/proxy/registry/mainnet/nodes"
PROMETHEUS = "https://victoria.mainnet.dfinity.network/select/0/prometheus/api/v1/query"
TO_BOUNDARY = "propose-to-deploy-guestos-to-some-api-boundary-nodes"
TO_UNASSIGNED = "propose-to-deploy-guestos-to-all-unassigned-nodes"
TO_HOSTS = "propose-to-deploy-hostos-to-some-nodes"


def node(name: str, *, subnet: str | None = None, boundary: bool = False, stuck: bool = False) -> Node:
    return Node(name, subnet, boundary, OLD_VERSION, OLD_VERSION, stuck)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ic(clock: Clock) -> InternetComputer:
    computer = InternetComputer(clock)
    computer.set_registry([Subnet("s1", 2, "application", OLD_VERSION)])
    computer.set_nodes(
        [
            node("b1", boundary=True),
            node("b2", boundary=True),
            node("u1"),
            node("u2", stuck=True),
            node("m1", subnet="s1"),
        ]
    )
    computer.set_life_cycle({"acceptance_delay": 5, "upgrade_delay": 10})
    return computer


def running_new(ic: InternetComputer, *, hostos: bool = False) -> list[str]:
    return [name for name, version in ic.node_versions(hostos=hostos) if version == VERSION]


def test_boundary_nodes_move_one_after_the_other_in_the_order_of_the_proposal(
    ic: InternetComputer, clock: Clock
) -> None:
    ic.admin_call(call(command=TO_BOUNDARY, subnet_id="", node_ids=["b2", "b1"]), pod="")
    seen = []
    while (due := ic.next_due()) is not None:
        clock.seconds = due
        seen.append((due, running_new(ic)))
    assert seen == [(1005.0, []), (1010.0, ["b2"]), (1015.0, ["b1", "b2"])]
    assert [n["guestos_version_id"] == VERSION for n in ic.nodes()] == [True, True, False, False, False]
    assert {n["hostos_version_id"] for n in ic.nodes()} == {OLD_VERSION}


def test_all_unassigned_nodes_move_but_for_one_that_is_stuck(ic: InternetComputer, clock: Clock) -> None:
    ic.admin_call(call(command=TO_UNASSIGNED, subnet_id=""), pod="")
    clock.seconds += 100
    assert running_new(ic) == ["u1"]
    assert [n["node_id"] for n in ic.nodes() if n["guestos_version_id"] == VERSION] == ["u1", "u2"]
    (proposal,) = ic.proposals()
    assert proposal["action_nns_function"] == "DeployGuestosToAllUnassignedNodes"
    assert proposal["payload"] == {"elected_replica_version": VERSION}


def test_hosts_have_a_version_of_their_own(ic: InternetComputer, clock: Clock) -> None:
    ic.admin_call(call(command=TO_HOSTS, subnet_id="", node_ids=["m1", "u1"]), pod="")
    clock.seconds += 100
    assert running_new(ic, hostos=True) == ["u1", "m1"]
    assert running_new(ic) == []
    assert ic.proposals()[0]["payload"] == {"node_ids": ["m1", "u1"], "hostos_version_id": VERSION}


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"command": "propose-to-conquer-the-world"}, "unknown command"),
        (
            {"command": TO_HOSTS, "subnet_id": "", "node_ids": ["nobody"]},
            "node nobody is not in the registry",
        ),
        ({"command": TO_HOSTS, "subnet_id": "", "node_ids": []}, "names no nodes"),
        ({"command": TO_BOUNDARY, "subnet_id": "", "node_ids": ["u1"]}, "u1 is not an API boundary node"),
        ({"command": TO_HOSTS, "subnet_id": "", "node_ids": ["u1"], "replica_version_id": "x"}, "40 hex"),
    ],
)
def test_a_proposal_that_contradicts_the_registry_is_refused(
    ic: InternetComputer, changes: dict[str, Any], fault: str
) -> None:
    with pytest.raises(Refused, match=fault):
        ic.admin_call(call(**changes), pod="")
    assert ic.proposals() == []


@pytest.fixture
def fleet(mocks: MocksControl) -> list[dict[str, Any]]:
    """Three nodes that the served mocks know."""
    fields = {"guestos_version_id": OLD_VERSION, "hostos_version_id": OLD_VERSION}
    nodes = [
        {"node_id": "b1-x", "subnet_id": None, "is_api_boundary_node": True, **fields},
        {"node_id": "u1-x", "subnet_id": None, "is_api_boundary_node": False, **fields},
        {"node_id": "u2-x", "subnet_id": None, "is_api_boundary_node": False, **fields},
    ]
    mocks.ic.set_nodes(nodes)
    return nodes


def ic_admin(running: Running, key: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The stand-in, with the arguments after those that every call has."""
    command, *rest = arguments
    url = f"https://localhost:{running.ports.https}"
    words = ("--proposer", "80", "--proposal-title", "Upgrade", "--summary", "Why")
    line = [
        str(running.shared_dir / IC_ADMIN),
        "--nns-urls",
        url,
        "--secret-key-pem",
        str(key),
        command,
        *words,
        *rest,
    ]
    return subprocess.run(line, capture_output=True, text=True, timeout=30, check=False)


def test_each_command_line_makes_its_proposal_which_the_public_api_lists_by_its_function(
    production_names: Running, mocks: MocksControl, fleet: list[dict[str, Any]], tmp_path: Path
) -> None:
    key = tmp_path / "key.pem"
    key.write_text(private_key_pem()[0])
    mocks.ic.settings(acceptance_delay=0, upgrade_delay=0)
    lines = (
        (TO_BOUNDARY, "--nodes", "b1-x", "--version", VERSION),
        (TO_UNASSIGNED, "--replica-version-id", VERSION),
        (TO_HOSTS, "--hostos-version-id", VERSION, "u1-x", "u2-x"),
    )
    for line in lines:
        made = ic_admin(production_names, key, *line)
        assert (made.returncode, made.stderr) == (0, "")
    assert [(p.action, p.node_ids) for p in reversed(mocks.ic.proposals())] == [
        ("DeployGuestosToSomeApiBoundaryNodes", ("b1-x",)),
        ("DeployGuestosToAllUnassignedNodes", ()),
        ("DeployHostosToSomeNodes", ("u1-x", "u2-x")),
    ]
    assert [call.node_ids for call in mocks.ic.admin_calls()] == [["b1-x"], [], ["u1-x", "u2-x"]]
    listed = httpx.get(
        "https://ic-api.internetcomputer.org/api/v3/proposals",
        params={"include_action_nns_function": "DeployHostosToSomeNodes"},
    ).json()["data"]
    assert [p["payload"]["hostos_version_id"] for p in listed] == [VERSION]
    assert {n["guestos_version_id"] for n in httpx.get(NODES).json()} == {VERSION}
    assert set(httpx.get(NODES).json()[0]) == set(fleet[0])


def test_prometheus_tells_versions_and_alerts_of_nodes(
    production_names: Running, mocks: MocksControl, fleet: list[dict[str, Any]]
) -> None:
    def ask(query: str) -> list[dict[str, str]]:
        result = httpx.get(PROMETHEUS, params={"query": query}).json()["data"]["result"]
        return [sample["metric"] for sample in result]

    mocks.ic.raise_alert("u1-x", "IC_HostDown")
    versions = ask("sum by (ic_node,version) (hostos_version)")
    assert versions == [{"ic_node": n["node_id"], "version": OLD_VERSION} for n in fleet]
    alerts = 'sum by (ic_node,alertname) (ALERTS{ic_node!="",alertstate="firing"})'
    assert ask(alerts) == [{"ic_node": "u1-x", "alertname": "IC_HostDown"}]
    assert ask('sum by (ic_subnet,alertname) (ALERTS{alertstate="firing"})') == [{"alertname": "IC_HostDown"}]
    assert ask('ALERTS{ic_subnet="s1"}') == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"node_id": 1},
        {"subnet_id": 1},
        {"is_api_boundary_node": "yes"},
        {"stuck": "no"},
        {"guestos_version_id": None},
    ],
)
def test_a_malformed_node_is_refused(
    mocks: MocksControl, fleet: list[dict[str, Any]], wrong: dict[str, Any]
) -> None:
    with pytest.raises(MocksRefusedError, match="malformed"):
        mocks.ic.set_nodes([{**fleet[0], **wrong}])
    with pytest.raises(MocksRefusedError, match="given twice: b1-x"):
        mocks.ic.set_nodes([fleet[0], fleet[0]])
