"""Content's clients on the fakes of the integration tests, without a mirror: the fixtures are the same."""

import asyncio
from pathlib import Path

import boto3
import httpx
import pytest
import requests

from dfinity.metrics import firing_alerts, replicas_by_revision
from dfinity.proposals import proposal_status
from dfinity.subnets import Subnet, all_subnets
from dfinity.web import WebError, async_client, fetch, fetch_async
from harness.mocks.names import S3_HOST
from harness.mocks.readers import MocksControl

COMMAND = "propose-to-deploy-guestos-to-all-subnet-nodes"
SUBNET, OLD, NEW = "io67a-2jmkw", "a" * 40, "b" * 40


@pytest.fixture
def mocks(unit_mocks: MocksControl) -> MocksControl:
    """With one subnet of thirteen replicas."""
    unit_mocks.ic.set_registry(
        [{"subnet_id": SUBNET, "replica_count": 13, "subnet_type": "system", "replica_version_id": OLD}]
    )
    return unit_mocks


def propose() -> int:
    call = {"command": COMMAND, "subnet_id": SUBNET, "replica_version_id": NEW, "dry_run": False}
    words = {"proposer": "80", "title": "t", "summary": "s"}
    return int(
        requests.post("https://ic0.app/_stand_in/ic-admin", json=call | words, timeout=5).json()[
            "proposal_id"
        ]
    )


def test_a_proposal_that_is_executed_moves_a_subnet(mocks: MocksControl) -> None:
    mocks.ic.settings(auto=False)
    number = propose()
    assert fetch(proposal_status(number)) == "OPEN"
    assert fetch(replicas_by_revision(SUBNET)) == {OLD: 13}
    mocks.ic.settings(upgrade_delay=0)
    mocks.ic.accept(number)
    assert fetch(all_subnets())[0] == Subnet(SUBNET, 13, NEW)


def test_alerts_fire_until_they_are_cleared(mocks: MocksControl) -> None:
    mocks.ic.raise_alert(SUBNET, "IC_Slow")
    assert fetch(firing_alerts(SUBNET)) == ["IC_Slow"]
    mocks.ic.clear_alert(SUBNET, "IC_Slow")
    assert fetch(firing_alerts(SUBNET)) == []


def test_a_fault_is_met_by_the_asynchronous_client_too(mocks: MocksControl) -> None:
    async def ask() -> object:
        async with async_client() as client:
            return await fetch_async(all_subnets(), client)

    mocks.ic.fail_next(503, times=None)
    with pytest.raises(WebError):
        asyncio.run(ask())
    mocks.reset()
    assert asyncio.run(ask()) == []


def test_a_connection_can_end_at_this_level_too(mocks: MocksControl) -> None:
    mocks.ic.reset(times=2)
    url = "https://dashboard.mainnet.dfinity.network/api/proxy/registry/mainnet/subnets"
    with pytest.raises(requests.exceptions.ConnectionError, match="a fault ended the connection"):
        requests.get(url, timeout=5)
    with pytest.raises(httpx.ReadError, match="a fault ended the connection"):
        httpx.get(url)


def test_the_store_is_motos_and_its_reader_the_same(mocks: MocksControl, tmp_path: Path) -> None:
    store = boto3.client("s3", endpoint_url=f"http://{S3_HOST}")
    store.put_object(Bucket="airflow-logs", Key="a/1.log", Body=b"all is well")
    assert mocks.s3.keys("airflow-logs") == ["a/1.log"]
    assert mocks.s3.read("airflow-logs", "a/1.log") == b"all is well"
    store.close()


def test_a_host_that_nobody_mocks_is_refused_and_named(mocks: MocksControl) -> None:
    assert requests.get("https://telemetry.example.com/x", timeout=5).status_code == 501
    assert [(attempt.host, attempt.path) for attempt in mocks.egress()] == [("telemetry.example.com", "/x")]


def test_side_effects_are_in_the_ledger(mocks: MocksControl) -> None:
    propose()
    assert [(effect.kind, effect.target) for effect in mocks.ledger()] == [("ic.proposal", SUBNET)]
