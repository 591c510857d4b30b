"""The mocked Internet Computer, met by plain HTTP clients and by the `ic-admin` stand-in."""

import os
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest

from harness.mocks.ic_models import Outcome
from harness.mocks.ic_state import InternetComputer, Subnet
from harness.mocks.provision import IC_ADMIN
from harness.mocks.readers import MocksControl, MocksRefusedError

from .conftest import OLD_VERSION, SUBNET, VERSION, Running, private_key_pem

REGISTRY = "https://dashboard.mainnet.dfinity.network/api/proxy/registry/mainnet/subnets"
PROPOSALS = "https://ic-api.internetcomputer.org/api/v3/proposals"
NNS_ACTION = "DeployGuestosToAllSubnetNodes"


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ic(clock: Clock) -> InternetComputer:
    computer = InternetComputer(clock)
    computer.set_registry([Subnet("s1", 10, "application", OLD_VERSION)])
    computer.set_life_cycle({"acceptance_delay": 5, "upgrade_delay": 10})
    return computer


def call(**changes: Any) -> dict[str, Any]:
    given = {
        "command": "propose-to-deploy-guestos-to-all-subnet-nodes",
        "subnet_id": "s1",
        "replica_version_id": VERSION,
        "proposer": "80",
    }
    return {**given, "title": "t", "summary": "s", "dry_run": False, **changes}


def test_a_proposal_is_open_until_accepted_then_executed_and_the_replicas_follow(
    ic: InternetComputer, clock: Clock
) -> None:
    proposal_id = ic.admin_call(call(), pod="worker")
    assert proposal_id is not None
    assert ic.proposal(proposal_id)["status"] == "OPEN"
    clock.seconds += 5
    assert ic.proposal(proposal_id)["status"] == "EXECUTED"
    assert ic.subnets()[0]["replica_version_id"] == VERSION
    assert ic.replicas() == [("s1", OLD_VERSION, 10)]
    clock.seconds += 4
    assert sorted(ic.replicas()) == [("s1", VERSION, 4), ("s1", OLD_VERSION, 6)]
    clock.seconds += 6
    assert ic.replicas() == [("s1", VERSION, 10)]


def test_in_manual_mode_a_proposal_stays_open_until_a_test_decides(
    ic: InternetComputer, clock: Clock
) -> None:
    ic.set_life_cycle({"auto": False})
    accepted, rejected = ic.admin_call(call(), pod=""), ic.admin_call(call(), pod="")
    assert accepted is not None
    assert rejected is not None
    clock.seconds += 1_000_000
    assert [item["status"] for item in ic.proposals()] == ["OPEN", "OPEN"]
    ic.decide(accepted, Outcome.EXECUTED)
    ic.decide(rejected, Outcome.REJECTED)
    assert [item["status"] for item in ic.proposals()] == ["REJECTED", "EXECUTED"]
    clock.seconds += 10
    assert ic.replicas() == [("s1", VERSION, 10)]


def test_a_new_registry_is_what_counts_from_then_on(ic: InternetComputer, clock: Clock) -> None:
    ic.admin_call(call(), pod="")
    clock.seconds += 100
    ic.set_registry([Subnet("s1", 4, "application", OLD_VERSION)])
    assert ic.replicas() == [("s1", OLD_VERSION, 4)]


def test_the_registry_is_served_as_it_was_put(
    production_names: Running, mocks: MocksControl, registry: list[dict[str, Any]]
) -> None:
    assert httpx.get(REGISTRY).json() == registry
    assert mocks.ic.registry() == registry


def ic_admin(
    running: Running, *arguments: str, key: Path, subnet: str = SUBNET, version: str = VERSION
) -> subprocess.CompletedProcess[str]:
    command = [
        str(running.shared_dir / IC_ADMIN),
        "--nns-urls",
        f"https://localhost:{running.ports.https}",
        "--secret-key-pem",
        str(key),
        "propose-to-deploy-guestos-to-all-subnet-nodes",
        *("--proposer", "80", "--proposal-title", "Upgrade", "--summary", "Why: it's new"),
        *arguments,
        *(subnet, version),
    ]
    environment = {"PATH": os.environ["PATH"]}
    return subprocess.run(command, capture_output=True, text=True, timeout=30, env=environment, check=False)


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "key.pem"
    path.write_text(private_key_pem()[0])
    return path


def test_ic_admin_makes_a_proposal_that_the_public_api_shows(
    production_names: Running, mocks: MocksControl, registry: list[dict[str, Any]], key: Path
) -> None:
    mocks.ic.settings(auto=False)
    done = ic_admin(production_names, key=key)
    assert done.stderr == ""
    (proposal,) = mocks.ic.proposals()
    assert done.stdout == f"proposal {proposal.proposal_id}\n"
    shown = httpx.get(f"{PROPOSALS}/{proposal.proposal_id}").json()
    assert shown["payload"] == {"subnet_id": SUBNET, "replica_version_id": VERSION}
    assert (shown["status"], shown["proposer"], shown["summary"]) == ("OPEN", "80", "Why: it's new")
    assert mocks.ic.accept(proposal.proposal_id).status == "EXECUTED"


def test_a_dry_run_is_recorded_and_proposes_nothing(
    running: Running, mocks: MocksControl, registry: list[dict[str, Any]], key: Path
) -> None:
    done = ic_admin(running, "--dry-run", key=key)
    assert done.returncode == 0
    assert VERSION in done.stdout
    assert mocks.ic.proposals() == []
    assert [(made.dry_run, made.proposal_id) for made in mocks.ic.admin_calls()] == [(True, None)]


def test_the_same_proposal_may_be_made_twice_as_on_the_real_nns(
    running: Running, mocks: MocksControl, registry: list[dict[str, Any]], key: Path
) -> None:
    assert [ic_admin(running, key=key).returncode for _ in range(2)] == [0, 0]
    assert len(mocks.ic.proposals()) == 2


def test_an_unknown_subnet_is_refused_with_the_reason_and_recorded(
    running: Running, mocks: MocksControl, registry: list[dict[str, Any]], key: Path
) -> None:
    done = ic_admin(running, key=key, subnet="nowhere")
    assert (done.returncode, done.stdout) == (1, "")
    assert "subnet nowhere is not in the registry" in done.stderr
    assert [made.error for made in mocks.ic.admin_calls()] == ["subnet nowhere is not in the registry"]


@pytest.mark.parametrize(
    ("content", "version", "reason"),
    [
        ("not a key", VERSION, "no PEM private key"),
        (None, VERSION, "cannot read the key file"),
        ("key", "v1.2.3", "is not 40 hexadecimal digits"),
    ],
)
def test_what_is_wrong_locally_never_reaches_the_nns(
    running: Running, mocks: MocksControl, key: Path, content: str | None, version: str, reason: str
) -> None:
    if content is None:
        key.unlink()
    elif content != "key":
        key.write_text(content)
    done = ic_admin(running, key=key, version=version)
    assert done.returncode == 1
    assert reason in done.stderr
    assert mocks.journal() == []


def test_the_key_never_leaves_ic_admin(
    running: Running, mocks: MocksControl, registry: list[dict[str, Any]], key: Path
) -> None:
    done = ic_admin(running, key=key)
    secret = key.read_text().splitlines()[3]
    assert secret not in done.stdout + done.stderr
    assert secret not in (running.state_dir / "journal.jsonl").read_text()
    assert mocks.journal()[0].request["proposer"] == "80"


def test_proposals_come_newest_first_by_pages_and_by_status(
    production_names: Running, mocks: MocksControl, registry: list[dict[str, Any]], key: Path
) -> None:
    mocks.ic.settings(auto=False)
    for _ in range(3):
        ic_admin(production_names, key=key)
    newest, middle, oldest = [proposal.proposal_id for proposal in mocks.ic.proposals()]
    mocks.ic.reject(middle)
    query: dict[str, Any] = {"limit": 1, "offset": 1, "include_action_nns_function": NNS_ACTION}
    page = httpx.get(PROPOSALS, params=query).json()
    assert ([item["proposal_id"] for item in page["data"]], page["meta"]) == (
        [middle],
        {"size": 1, "total": 3},
    )
    opened = httpx.get(PROPOSALS, params={"limit": 100, "include_status": "OPEN"}).json()["data"]
    assert [item["proposal_id"] for item in opened] == [newest, oldest]
    other = httpx.get(PROPOSALS, params={"include_action_nns_function": "SomethingElse"}).json()
    assert other["data"] == []


@pytest.mark.parametrize("query", ["limit=101", "limit=0", "limit=x", "offset=-1", "include_status=MAYBE"])
def test_a_malformed_query_is_422(production_names: Running, mocks: MocksControl, query: str) -> None:
    assert httpx.get(f"{PROPOSALS}?{query}").status_code == 422


def test_an_unknown_proposal_is_404(production_names: Running, mocks: MocksControl) -> None:
    answer = httpx.get(f"{PROPOSALS}/7")
    assert answer.status_code == 404
    assert "detail" in answer.json()


def test_a_decided_proposal_cannot_be_decided_again(
    running: Running, mocks: MocksControl, registry: list[dict[str, Any]], key: Path
) -> None:
    mocks.ic.settings(auto=False)
    ic_admin(running, key=key)
    (proposal,) = mocks.ic.proposals()
    mocks.ic.reject(proposal.proposal_id)
    with pytest.raises(MocksRefusedError, match=r"409: .*REJECTED"):
        mocks.ic.accept(proposal.proposal_id)
    with pytest.raises(MocksRefusedError, match="404"):
        mocks.ic.accept(1)


@pytest.mark.parametrize("host", ["dashboard.mainnet.dfinity.network", "ic0.app"])
def test_a_path_asked_of_the_wrong_host_is_not_served(
    production_names: Running, mocks: MocksControl, host: str
) -> None:
    assert httpx.get(f"https://{host}/api/v3/proposals").status_code == 501
