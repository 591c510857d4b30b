"""Many tests on one set of mocks: what one tenancy does and sees is no other's."""

import http.client
import json
import re
import socket
import struct
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import boto3
import httpx
import pytest
from botocore.config import Config

from harness.mocks.connections import IdentifyingServer
from harness.mocks.identity import NOBODY, Announcements, Identity
from harness.mocks.names import LOG_BUCKET, S3_HOST
from harness.mocks.readers import MocksControl, MocksRefusedError, MocksTally
from harness.mocks.tenancy import HEADER, TOKEN, is_tenant, new_tenant
from harness.mocks.wsgi import IDENTITY_KEY

from .conftest import OLD_VERSION, SLACK_TOKEN, SUBNET, VERSION, Running, exported, private_key_pem, task_of
from .redirect import UNKNOWN_HOST

ONE, OTHER = "tn00000001", "tn00000002"
SUBNETS = [
    {
        "subnet_id": SUBNET,
        "replica_count": 13,
        "subnet_type": "application",
        "replica_version_id": OLD_VERSION,
    }
]


def announce(running: Running, port: int, identity: Identity) -> None:
    """Tell the mocks whose connection comes next from a port, and wait until they know."""
    fields = {name: getattr(identity, name) for name in Identity.__slots__}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sending:
        sending.settimeout(5)
        sending.sendto(json.dumps({"port": port, **fields}).encode(), ("127.0.0.1", running.ports.identity))
        assert sending.recv(16) == b"ok"


@contextmanager
def connection(running: Running, identity: Identity, port: int = 0) -> Iterator[http.client.HTTPConnection]:
    """A connection to the mocks, of a task or of nobody, from any port or a certain one."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as opened:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind(("127.0.0.1", port))
        if identity != NOBODY:
            announce(running, opened.getsockname()[1], identity)
        opened.connect(("127.0.0.1", running.ports.http))
        made = http.client.HTTPConnection("127.0.0.1")
        made.sock = opened
        yield made
        reset_when_closed(opened)


def reset_when_closed(connected: socket.socket) -> None:
    """Let its port be free at once."""
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def ask(
    made: http.client.HTTPConnection,
    host: str,
    path: str,
    body: dict[str, Any] | None = None,
    token: str = "",
) -> Any:
    """The decoded answer to one request."""
    headers = {"Host": host, "Content-Type": "application/json", "Authorization": f"Bearer {token}"}
    made.request("POST" if body is not None else "GET", path, json.dumps(body) if body else None, headers)
    return json.loads(made.getresponse().read())


def post(made: http.client.HTTPConnection, text: str) -> None:
    body = {"channel": "ic-os-rollout", "text": text}
    assert ask(made, "slack.com", "/api/chat.postMessage", body, SLACK_TOKEN)["ok"]


def propose(made: http.client.HTTPConnection) -> int:
    fields = {
        "command": "propose-to-deploy-guestos-to-all-subnet-nodes",
        "subnet_id": SUBNET,
        "replica_version_id": VERSION,
        "proposer": "80",
    }
    body = {**fields, "title": "t", "summary": "s", "dry_run": False}
    return int(ask(made, "ic0.app", "/_stand_in/ic-admin", body)["proposal_id"])


def texts(mocks: MocksControl) -> list[str]:
    return [message.text for message in mocks.slack.messages()]


TASK_PROCESS = """
import json, subprocess, sys
from concurrent.futures import ThreadPoolExecutor
import google_auth_httplib2, httplib2
from google.oauth2.service_account import Credentials
from googleapiclient.discovery import build
from slack_sdk import WebClient

tenant, account, ca, token, ic_admin = sys.argv[1], json.loads(sys.argv[2]), *sys.argv[3:6]

class OneHttp(httplib2.Http):
    def __deepcopy__(self, memo):
        raise TypeError("not copied: google-auth would use the copy in the background")

def sheets(number):
    scopes = ["https://www.googleapis.com/auth/spreadsheets"]
    credentials = Credentials.from_service_account_info(account, scopes=scopes)
    http = google_auth_httplib2.AuthorizedHttp(credentials, http=OneHttp(ca_certs=ca, timeout=30))
    values = build("sheets", "v4", http=http, cache_discovery=False).spreadsheets().values()
    assert values.get(spreadsheetId="plan", range="A1").execute()["values"] == [[tenant]]
    body = {"values": [[f"{tenant} {number}"]]}
    values.append(spreadsheetId="plan", range="A1", valueInputOption="RAW", body=body).execute()
    http.close()

def work(number):
    WebClient(token=token).chat_postMessage(channel="#ic-os-rollout", text=f"{tenant} {number}")
    sheets(number)
    if number < 2:
        subprocess.run([*json.loads(ic_admin), f"--summary={tenant} {number}", *sys.argv[6:8]], check=True)

with ThreadPoolExecutor(8) as pool:
    list(pool.map(work, range(8)))
"""


def test_two_tenants_at_once_from_many_threads_with_official_clients_are_never_mixed(
    running: Running, mocks: MocksControl, service_account: dict[str, str], tmp_path: Any
) -> None:
    key = tmp_path / "key.pem"
    key.write_text(private_key_pem()[0])
    ic_admin = [
        *(str(running.shared_dir / "bin/ic-admin"), "--nns-urls", f"https://localhost:{running.ports.https}"),
        *("--secret-key-pem", str(key), "propose-to-deploy-guestos-to-all-subnet-nodes"),
        *("--proposer", "80", "--proposal-title", "Upgrade"),
    ]
    arguments = (
        *(json.dumps(service_account), str(running.ca_bundle), SLACK_TOKEN),
        *(json.dumps(ic_admin), SUBNET, VERSION),
    )
    tenants = {tenant: mocks.for_tenant(tenant) for tenant in (ONE, OTHER)}
    for tenant, mine in tenants.items():
        mine.sheets.put("plan", "2026", [[tenant]])
        mine.ic.set_registry(SUBNETS)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda t: running.pod(TASK_PROCESS, t, *arguments, **exported(task_of(t))), tenants))
    for tenant, mine in tenants.items():
        said = {f"{tenant} {number}" for number in range(8)}
        assert sorted(texts(mine)) == sorted(said)
        assert {row[0] for row in mine.sheets.rows("plan", "2026")} == {tenant, *said}
        proposed = {f"{tenant} {number}" for number in range(2)}
        assert {proposal.summary for proposal in mine.ic.proposals()} == proposed
        assert {call.summary for call in mine.ic.admin_calls()} == proposed
        assert {(entry.tenant, entry.run_id, entry.status) for entry in mine.journal()} == {
            (tenant, task_of(tenant).run_id, 200)
        }
    assert texts(mocks) == mocks.ic.proposals() == mocks.ic.admin_calls() == []
    assert {entry.tenant for entry in mocks.journal()} == set(tenants)


def test_a_kept_connection_stays_its_openers(running: Running, mocks: MocksControl) -> None:
    with connection(running, task_of(ONE)) as made:
        for number in range(3):
            post(made, str(number))
    assert texts(mocks.for_tenant(ONE)) == ["0", "1", "2"]


def test_a_tenant_may_be_named_by_its_dag(running: Running, mocks: MocksControl) -> None:
    with connection(running, Identity(f"dag_{ONE}", "scheduled__2026", "tell")) as made:
        post(made, "x")
    assert texts(mocks.for_tenant(ONE)) == ["x"]


def test_a_task_without_a_tenant_is_named_and_of_the_default_tenancy(
    running: Running, mocks: MocksControl
) -> None:
    with connection(running, Identity("dag", "run", "tell", 3, 2)) as made:
        post(made, "x")
    (entry,) = mocks.journal()
    named = (entry.tenant, entry.dag_id, entry.run_id, entry.task_id, entry.map_index, entry.try_number)
    assert named == ("", "dag", "run", "tell", 3, 2)
    assert texts(mocks) == ["x"]


def test_a_later_connection_from_the_same_port_that_nobody_announced_is_nobodys(
    running: Running, mocks: MocksControl
) -> None:
    with connection(running, task_of(ONE)) as made:
        post(made, "mine")
        port = made.sock.getsockname()[1]
    with connection(running, NOBODY, port) as made:
        assert made.sock.getsockname()[1] == port
        post(made, "nobody's")
    assert texts(mocks.for_tenant(ONE)) == ["mine"]
    assert texts(mocks) == ["nobody's"]


def test_an_announcement_that_was_overtaken_by_its_connection_still_counts(
    running: Running, mocks: MocksControl
) -> None:
    with connection(running, NOBODY) as made:
        post(made, "before")
        announce(running, made.sock.getsockname()[1], task_of(ONE))
        post(made, "after")
    assert (texts(mocks), texts(mocks.for_tenant(ONE))) == (["before"], ["after"])


def test_a_connection_that_asks_nothing_takes_its_announcement_with_it() -> None:
    announcements = Announcements()
    server = IdentifyingServer(("127.0.0.1", 0), lambda *_: [], 1, announcements)
    server.prepare()
    with ThreadPoolExecutor(1) as pool, socket.socket() as silent:
        serving = pool.submit(server.serve)
        silent.bind(("127.0.0.1", 0))
        announcements.port("127.0.0.1", silent.getsockname()[1], task_of(ONE))
        silent.connect(server.bind_addr)
        silent.close()
        deadline = time.monotonic() + 10
        while announcements._ports and time.monotonic() < deadline:
            time.sleep(0.01)
        server.stop()
        serving.result()
    assert not announcements._ports


def test_an_application_is_told_who_asks() -> None:
    announcements, told = Announcements(), []

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        told.append(environ[IDENTITY_KEY])
        start_response("200 OK", [("Content-Length", "0")])
        return []

    server = IdentifyingServer(("127.0.0.1", 0), application, 1, announcements)  # type: ignore[arg-type]
    server.prepare()
    with ThreadPoolExecutor(1) as pool:
        serving = pool.submit(server.serve)
        for identity in (task_of(ONE), NOBODY):
            made = http.client.HTTPConnection(*server.bind_addr, timeout=10)
            made.connect()
            if identity != NOBODY:
                announcements.port("127.0.0.1", made.sock.getsockname()[1], identity)
            made.request("GET", "/")
            made.getresponse().read()
            made.close()
        server.stop()
        serving.result()
    assert told == [task_of(ONE), NOBODY]


def test_what_nobody_mocks_is_told_to_the_tenant_whose_task_tried_it(
    running: Running, mocks: MocksControl
) -> None:
    for tenant in (ONE, OTHER):
        with connection(running, task_of(tenant, f"task_of_{tenant}")) as made:
            ask(made, UNKNOWN_HOST, "/v1/thing")
            ask(made, UNKNOWN_HOST, "/v1/thing")
    (attempt,) = mocks.for_tenant(ONE).egress()
    assert (attempt.host, attempt.path) == (UNKNOWN_HOST, "/v1/thing")
    assert (attempt.dag_id, attempt.run_id) == ("rollout", task_of(ONE).run_id)
    assert attempt.task_id == f"task_of_{ONE}"
    assert [found.task_id for found in mocks.egress()] == [f"task_of_{ONE}", f"task_of_{OTHER}"]


def test_what_a_test_prepares_is_there_for_its_tenant_only(running: Running, mocks: MocksControl) -> None:
    mine, others = mocks.for_tenant(ONE), (mocks, mocks.for_tenant(OTHER))
    mine.slack.set_channels(["mine"])
    mine.sheets.put("plan", "2026", [["mine"]])
    mine.ic.set_registry(SUBNETS)
    mine.ic.settings(auto=False)
    mine.ic.set_alerts(SUBNET, ["IC_Alert"])
    query = "/select/0/prometheus/api/v1/query?query=ALERTS"
    registry = "/api/proxy/registry/mainnet/subnets"
    firing = {}
    for tenant in (ONE, OTHER):
        with connection(running, task_of(tenant)) as made:
            answer = ask(made, "victoria.mainnet.dfinity.network", query)
            firing[tenant] = len(answer["data"]["result"])
            assert ask(made, "dashboard.mainnet.dfinity.network", registry) == (
                SUBNETS if tenant == ONE else []
            )
    assert firing == {ONE: 1, OTHER: 0}
    for other in others:
        assert other.ic.registry() == []
        other.ic.set_registry(SUBNETS)
        with pytest.raises(MocksRefusedError, match="no tab"):
            other.sheets.rows("plan", "2026")
    for tenant, statuses in ((ONE, ["OPEN"]), (OTHER, ["EXECUTED"])):
        mocks.for_tenant(tenant).ic.settings(acceptance_delay=0)
        with connection(running, task_of(tenant)) as made:
            propose(made)
        assert [proposal.status for proposal in mocks.for_tenant(tenant).ic.proposals()] == statuses
    assert mocks.ic.proposals() == []


def test_a_tenants_proposal_is_not_anothers_to_decide(running: Running, mocks: MocksControl) -> None:
    mine = mocks.for_tenant(ONE)
    mine.ic.set_registry(SUBNETS)
    mine.ic.settings(auto=False)
    with connection(running, task_of(ONE)) as made:
        number = propose(made)
    for other in (mocks, mocks.for_tenant(OTHER)):
        with pytest.raises(MocksRefusedError, match="404"):
            other.ic.accept(number)
        with pytest.raises(MocksRefusedError, match="404"):
            other.ic.reject(number)
    assert mine.ic.accept(number).status == "EXECUTED"


@pytest.mark.parametrize("fake", ["slack", "sheets", "ic"])
def test_one_fake_of_one_tenant_is_reset_alone(running: Running, mocks: MocksControl, fake: str) -> None:
    for tenant in (ONE, OTHER):
        with connection(running, task_of(tenant)) as made:
            post(made, "x")
        mocks.for_tenant(tenant).sheets.put("plan", "2026", [["x"]])
        mocks.for_tenant(tenant).ic.set_registry(SUBNETS)
    url = f"http://127.0.0.1:{running.ports.control}/{fake}"
    httpx.delete(url, headers={HEADER: ONE}, trust_env=False).raise_for_status()
    before = {"slack": "1 Slack messages", "sheets": "1 spreadsheets", "ic": "1 subnets"}
    left = [what for name, what in before.items() if name != fake]
    assert mocks.for_tenant(ONE).pristine().why == (*left, "1 journal entries")
    assert mocks.for_tenant(OTHER).pristine().why == (*before.values(), "1 journal entries")


def test_a_tenants_reset_leaves_everybody_else_alone(running: Running, mocks: MocksControl) -> None:
    mine, other = mocks.for_tenant(ONE), mocks.for_tenant(OTHER)
    for identity in (task_of(ONE), task_of(OTHER), NOBODY):
        with connection(running, identity) as made:
            post(made, identity.tenant or "default")
    mine.reset()
    assert texts(mine) == mine.journal() == []
    assert mine.pristine()
    assert (texts(other), texts(mocks)) == ([OTHER], ["default"])
    assert [entry.tenant for entry in mocks.journal()] == [OTHER, ""]
    with connection(running, task_of(ONE)) as made:
        post(made, "again")
    assert texts(mine) == ["again"]


def test_a_reset_without_a_tenant_is_everybodys(running: Running, mocks: MocksControl) -> None:
    for identity in (task_of(ONE), NOBODY):
        with connection(running, identity) as made:
            post(made, "x")
    mocks.reset()
    assert texts(mocks.for_tenant(ONE)) == texts(mocks) == mocks.journal() == []


def store(running: Running, *keys: str) -> None:
    """Upload objects as a supervisor would, who is nobody."""
    client = boto3.client(
        "s3",
        endpoint_url=f"http://{S3_HOST}",
        aws_access_key_id="key",
        aws_secret_access_key="secret",
        region_name="us-east-1",
        config=Config(s3={"addressing_style": "path"}),
    )
    for key in keys:
        client.put_object(Bucket=LOG_BUCKET, Key=key, Body=key.encode())


def test_a_tenant_sees_the_logs_of_its_own_runs_only(production_names: Running, mocks: MocksControl) -> None:
    keys = [f"dag_id=d/run_id=manual__{tenant}/task_id=t/attempt=1.log" for tenant in (ONE, OTHER)]
    store(production_names, *keys)
    mine = mocks.for_tenant(ONE)
    assert mine.s3.keys(LOG_BUCKET) == mine.s3.keys(LOG_BUCKET, "dag_id=d/") == keys[:1]
    assert mine.s3.read(LOG_BUCKET, keys[0]) == keys[0].encode()
    with pytest.raises(MocksRefusedError, match="404: no object"):
        mine.s3.read(LOG_BUCKET, keys[1])
    assert mocks.s3.keys(LOG_BUCKET) == keys
    mine.reset()
    assert mocks.s3.keys(LOG_BUCKET) == keys


def test_a_tenant_cannot_empty_everybodys_buckets(production_names: Running, mocks: MocksControl) -> None:
    store(production_names, f"run_id={ONE}")
    url = f"http://127.0.0.1:{production_names.ports.control}/s3"
    assert httpx.delete(url, headers={HEADER: ONE}, trust_env=False).status_code == 409
    assert len(mocks.s3.keys(LOG_BUCKET)) == 1
    assert httpx.delete(url, trust_env=False).status_code == 200
    assert mocks.s3.keys(LOG_BUCKET) == []


ROUTES = [
    *(
        ("GET", path)
        for path in ("healthz", "journal", "tally", "pristine", "slack/messages", "slack/channels")
    ),
    *(("GET", path) for path in ("sheets", "sheets/p/t", "ic/registry", "ic/proposals", "ic/admin-calls")),
    *(("GET", path) for path in ("s3/objects?bucket=airflow-logs", "s3/object?bucket=airflow-logs&key=k")),
    *(("PUT", path) for path in ("slack/channels", "sheets/p/t", "ic/registry", "ic/settings", "ic/alerts")),
    *(("POST", path) for path in ("reset", "ic/proposals/1/accept", "ic/proposals/1/reject")),
    *(("DELETE", path) for path in ("slack", "sheets", "ic", "s3")),
]


@pytest.mark.parametrize("tenant", ["", "tn", "tn0BADCAFE", "tn0badcafe0", "tn0badcafe,tn00000001"])
def test_what_is_no_tenant_is_refused_on_every_route(
    running: Running, mocks: MocksControl, tenant: str
) -> None:
    mocks.slack.set_channels(["kept"])
    with httpx.Client(base_url=f"http://127.0.0.1:{running.ports.control}", trust_env=False) as client:
        for method, path in ROUTES:
            answer = client.request(method, f"/{path}", headers={HEADER: tenant}, json={})
            assert (path, answer.status_code) == (path, 400)
            assert "is no tenant" in answer.json()["error"]
    assert mocks.pristine().why == ("default: other Slack channels",)


def test_the_tally_is_of_all_tenants_and_outlives_their_resets(
    production_names: Running, mocks: MocksControl
) -> None:
    assert mocks.tally() == MocksTally(0, 0, 0)
    for identity in (task_of(ONE), task_of(OTHER), NOBODY):
        mocks.for_tenant(identity.tenant).ic.set_registry(SUBNETS)
        with connection(production_names, identity) as made:
            post(made, "x")
            propose(made)
    store(production_names, f"run_id={ONE}", "k")
    assert mocks.tally() == MocksTally(3, 3, 2)
    mocks.for_tenant(ONE).reset()
    mocks.for_tenant(ONE).reset()
    control = f"http://127.0.0.1:{production_names.ports.control}"
    for fake in ("slack", "ic"):
        httpx.delete(f"{control}/{fake}", headers={HEADER: OTHER}, trust_env=False).raise_for_status()
    assert mocks.tally() == MocksTally(3, 3, 2)
    with connection(production_names, task_of(ONE)) as made:
        post(made, "again")
    assert mocks.tally() == MocksTally(4, 3, 2)
    mocks.reset()
    assert mocks.tally() == MocksTally(0, 0, 0)


def test_a_tenant_is_not_told_the_tally(mocks: MocksControl) -> None:
    with pytest.raises(MocksRefusedError, match="400: the tally is of all tenants"):
        mocks.for_tenant(ONE).tally()


def test_after_a_reset_everything_is_pristine_and_before_it_is_told_what_is_not(
    production_names: Running, mocks: MocksControl
) -> None:
    assert mocks.pristine()
    mine = mocks.for_tenant(ONE)
    mine.ic.registry()
    assert mocks.pristine().why == ()
    mine.slack.set_channels(["another"])
    mine.ic.set_registry(SUBNETS)
    mine.ic.settings(auto=False)
    mine.ic.set_alerts(SUBNET, ["IC_Alert"])
    mocks.sheets.put("plan", "2026", [["x"]])
    with connection(production_names, task_of(ONE)) as made:
        propose(made)
    assert mine.pristine().why == (
        *("other Slack channels", "1 subnets", "1 proposals", "1 ic-admin calls", "alerts"),
        *("another proposal life cycle", "1 journal entries"),
    )
    store(production_names, "k")
    entries = len(mocks.journal())
    assert mocks.pristine().why == (
        "default: 1 spreadsheets",
        *(f"{ONE}: {what}" for what in mine.pristine().why[:-1]),
        f"{entries} journal entries",
        f"1 objects in bucket {LOG_BUCKET}",
    )
    mocks.reset()
    assert mocks.pristine()
    assert not mocks.pristine().why


def test_handles_of_tenants_share_one_connection_and_are_closed_with_it(
    running: Running, mocks: MocksControl
) -> None:
    with MocksControl(f"http://127.0.0.1:{running.ports.control}", ONE) as mine:
        mine.slack.set_channels(["mine"])
        assert not mine.pristine()
        assert mine.for_tenant(OTHER).pristine()
        assert mine.for_tenant(OTHER).for_tenant(ONE).pristine().why == ("other Slack channels",)
        other = mine.for_tenant(OTHER)
    with pytest.raises(RuntimeError, match="closed"):
        other.journal()


def test_a_new_tenant_is_a_token_that_nobody_has() -> None:
    made = {new_tenant() for _ in range(1000)}
    assert len(made) == 1000
    assert all(is_tenant(tenant) and re.fullmatch(TOKEN, tenant) for tenant in made)
