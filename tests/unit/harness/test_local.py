"""A process of the local environment meets mocks under production's names, whatever client it uses."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import local
from harness.local import Outside, own_mocks

REVISION = "b" * 40
CLIENTS = """
import asyncio, json, os, socket, urllib.request
import boto3, httplib2, httpx, requests

registry = "https://dashboard.mainnet.dfinity.network/api/proxy/registry/mainnet/subnets"
counts = [len(httpx.get(registry).json()), len(requests.get(registry, timeout=5).json())]
counts.append(len(json.loads(httplib2.Http().request(registry)[1])))
counts.append(len(json.load(urllib.request.urlopen(registry, timeout=5))))
async def ask():
    async with httpx.AsyncClient() as client:
        return len((await client.get(registry)).json())

counts.append(asyncio.run(ask()))
s3 = boto3.client("s3", endpoint_url="http://rook-ceph-rgw-ceph-store.rook-ceph.svc.cluster.local",
                  aws_access_key_id="x", aws_secret_access_key="x", region_name="us-east-1")
counts.append(len(s3.list_buckets()["Buckets"]))
try:
    socket.create_connection(("slack.com", 8443), timeout=5)
except OSError as error:
    counts.append(str(error))
slack = json.loads(os.environ["AIRFLOW_CONN_SLACK.IC_OS_ROLLOUT"])["password"]
posted = httpx.post("https://slack.com/api/chat.postMessage", json={"channel": "#ic-os-rollout", "text": "hello"},
                    headers={"Authorization": f"Bearer {slack}"})
counts.append(posted.json()["ok"])
print(json.dumps(counts))
"""


@pytest.fixture(scope="module")
def outside() -> Iterator[Outside]:
    with own_mocks() as mocks:
        yield mocks


def environment(outside: Outside) -> dict[str, str]:
    return {"PYTHONPATH": str(local.SITE), **outside.environment()}


def test_production_names_lead_to_the_mocks_for_every_client(outside: Outside) -> None:
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", CLIENTS],
        env=environment(outside),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout) == [42, 42, 42, 42, 42, 1, "slack.com:8443 is not mocked here", True]
    assert [message.text for message in outside.mocks.slack.messages("#ic-os-rollout")] == ["hello"]


def test_ic_admin_is_on_the_path_and_proposes_to_the_mocks(outside: Outside, tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    added = environment(outside)
    key.write_text(added["AIRFLOW_VAR_DFINITY.IC_ADMIN.MAINNET.PROPOSER_KEY_FILE"])
    node = outside.mocks.ic.nodes()[0]["node_id"]
    command = "propose-to-deploy-hostos-to-some-nodes"
    words = (
        "--proposer",
        "80",
        "--proposal-title",
        "t",
        "--summary",
        "s",
        "--hostos-version-id",
        REVISION,
        node,
    )
    ran = subprocess.run(
        ["ic-admin", "--nns-urls", "https://ic0.app", "--secret-key-pem", str(key), command, *words],
        env=added,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    (made,) = outside.mocks.ic.proposals()
    assert (ran.stdout, made.node_ids) == (f"proposal {made.proposal_id}\n", (node,))


def test_the_real_world_is_left_alone_without_mocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHONPATH", raising=False)
    real = local.local_environment(None)
    assert not {"MOCKED", "SSL_CERT_FILE", "PYTHONPATH"} & (real.keys() - os.environ.keys())
    assert real["PATH"].startswith(str(local.PYTHON.parent))


def test_what_the_mocks_saw_is_reported(outside: Outside, capsys: pytest.CaptureFixture[str]) -> None:
    seen = len(outside.mocks.journal())
    local.report(outside.mocks, seen)
    assert capsys.readouterr().out == "\nThe mocks saw no side effects.\n"


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (["content/dags/nothing.py"], "there is no file content/dags/nothing.py"),
        (["content/shared/dfinity/web.py"], "neither a DAG, an operator nor a sensor"),
        (["content/shared/dfinity/web.py", "x=[1"], "x: not YAML"),
    ],
)
def test_what_cannot_be_run_is_named(arguments: list[str], fault: str) -> None:
    program = local.SITE / "run_content.py"
    ran = subprocess.run(
        [sys.executable, str(program), *arguments],
        cwd=local.ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 2
    assert fault in ran.stderr
    assert "Traceback" not in ran.stderr
