"""What all mocks share: dispatch, journal, egress, pod names, DNS, provisioning, settings."""

import json
import re
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from dnslib import RCODE, DNSRecord  # type: ignore[import-untyped]
from werkzeug.wrappers import Response

from harness.mocks import names
from harness.mocks.journal import REDACTED, Event, Journal
from harness.mocks.pki import Authority
from harness.mocks.pods import PodNames, nameserver
from harness.mocks.provision import CA_BUNDLE, IC_ADMIN, SITE
from harness.mocks.readers import MocksControl, MocksRefusedError, MocksUnreachableError
from harness.mocks.s3 import S3
from harness.mocks.server import HttpListener, Mocks
from harness.mocks.settings import Ports, Settings, SettingsError

from .conftest import ROOT, SLACK_TOKEN, SUBNET, Running
from .redirect import UNKNOWN_HOST


def post_message(text: str, **headers: str) -> httpx.Response:
    body = {"channel": "ic-os-rollout", "text": text}
    all_headers = {"Authorization": f"Bearer {SLACK_TOKEN}", **headers}
    return httpx.post("https://slack.com/api/chat.postMessage", json=body, headers=all_headers)


def test_a_host_that_nobody_mocks_is_answered_501_by_name(
    running: Running, mocks: MocksControl, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"http://127.0.0.1:{running.ports.http}/v1/thing"
    answer = httpx.get(url, headers={"Host": UNKNOWN_HOST}, trust_env=False)
    assert answer.status_code == 501
    assert UNKNOWN_HOST in answer.json()["error"]
    (attempt,) = mocks.egress()
    assert (attempt.host, attempt.path) == (UNKNOWN_HOST, "/v1/thing")


def test_every_request_is_journaled_before_its_answer_arrives(
    production_names: Running, mocks: MocksControl
) -> None:
    for number in range(20):
        post_message(f"message {number}")
        assert mocks.journal()[-1].request["text"] == f"message {number}"
    entries = mocks.journal(service="slack")
    assert {(entry.method, entry.host, entry.path, entry.status) for entry in entries} == {
        ("POST", "slack.com", "/api/chat.postMessage", 200)
    }
    assert [entry.seq for entry in entries] == list(range(entries[0].seq, entries[0].seq + 20))


def test_the_journal_is_read_from_a_mark_on(production_names: Running, mocks: MocksControl) -> None:
    post_message("before")
    mark = mocks.journal()[-1].seq
    post_message("after")
    assert [entry.request["text"] for entry in mocks.journal(since=mark)] == ["after"]
    assert mocks.journal(since=mark, service="s3") == []
    assert mocks.journal(since=mark, pod="somebody") == []


def test_a_reset_empties_the_journal_but_never_turns_its_numbers_back(
    production_names: Running, mocks: MocksControl
) -> None:
    post_message("one")
    last = mocks.journal()[-1].seq
    mocks.reset()
    assert mocks.journal() == []
    assert mocks.slack.messages() == []
    post_message("two")
    assert mocks.journal()[0].seq == last + 1


def test_the_journal_on_disk_keeps_everything_and_no_secret(
    production_names: Running, mocks: MocksControl
) -> None:
    post_message("to disk")
    httpx.post(
        "https://slack.com/api/auth.test", data={"token": SLACK_TOKEN, "note": "-----BEGIN PRIVATE KEY-----"}
    )
    httpx.post("https://oauth2.googleapis.com/token", data={"assertion": "the.secret.assertion"})
    mocks.reset()
    lines = (production_names.state_dir / "journal.jsonl").read_text().splitlines()
    bodies = [json.loads(line)["request"] for line in lines[-3:]]
    assert bodies[0]["text"] == "to disk"
    assert bodies[1] == {"token": REDACTED, "note": REDACTED}
    assert bodies[2] == {"assertion": REDACTED}
    assert not any(SLACK_TOKEN in line for line in lines)


def test_a_chunked_body_is_understood(production_names: Running, mocks: MocksControl) -> None:
    chunks = iter([b'{"channel": "ic-os-', b'rollout", "text": "in chunks"}'])
    headers = {"Authorization": f"Bearer {SLACK_TOKEN}", "Content-Type": "application/json"}
    httpx.post("https://slack.com/api/chat.postMessage", content=chunks, headers=headers)
    assert [message.text for message in mocks.slack.messages()] == ["in chunks"]
    assert mocks.journal()[-1].request["text"] == "in chunks"


def test_a_bug_in_a_fake_is_a_500_that_the_journal_names(
    production_names: Running, mocks: MocksControl, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("harness.mocks.slack.chat.parse_blocks", broken)
    assert post_message("x").status_code == 500
    assert mocks.journal()[-1].error == "RuntimeError: a bug"


def test_a_client_that_never_finishes_its_handshake_keeps_nobody_out(
    production_names: Running, mocks: MocksControl
) -> None:
    frozen = [socket.create_connection(("127.0.0.1", production_names.ports.https)) for _ in range(4)]
    try:
        assert post_message("still served").status_code == 200
    finally:
        for connection in frozen:
            connection.close()


def test_the_certificate_covers_every_alias_for_centuries(running: Running) -> None:
    certificate = ssl._ssl._test_decode_cert(str(running.ca_bundle))  # type: ignore[attr-defined]
    assert int(certificate["notAfter"].split()[3]) >= 2900
    context = ssl.create_default_context(cafile=str(running.ca_bundle))
    for name in names.aliases():
        raw = socket.create_connection(("127.0.0.1", running.ports.https))
        with context.wrap_socket(raw, server_hostname=name) as connection:
            assert int(str(connection.getpeercert()["notAfter"]).split()[3]) >= 2900  # type: ignore[index]


def test_two_stacks_do_not_trust_each_other() -> None:
    assert Authority().certificate() != Authority().certificate()


SITE_MODULES = (
    "itest_bell.py",
    "itest_cheap.py",
    "itest_clock.py",
    "itest_early.py",
    "itest_imports.py",
    "itest_late.py",
    "itest_logging.py",
    "itest_pace.py",
    "itest_ready.py",
    "itest_routes.py",
    "itest_versions.py",
    "sitecustomize.py",
)


def test_the_shared_volume_gets_the_authority_ic_admin_and_modules_and_no_private_key(
    running: Running,
) -> None:
    files = {
        str(path.relative_to(running.shared_dir)) for path in running.shared_dir.rglob("*") if path.is_file()
    }
    assert files == {CA_BUNDLE, IC_ADMIN, *(f"{SITE}/{name}" for name in SITE_MODULES)}
    assert running.ca_bundle.stat().st_mode & 0o777 == 0o644
    assert (running.shared_dir / IC_ADMIN).stat().st_mode & 0o777 == 0o755
    for name in SITE_MODULES:
        assert (running.shared_dir / SITE / name).stat().st_mode & 0o777 == 0o644
    assert re.findall(r"-----BEGIN (.*)-----", running.ca_bundle.read_text()) == ["CERTIFICATE"]


@pytest.mark.parametrize("tcp", [False, True])
def test_dns_knows_no_name_and_remembers_each_question(
    running: Running, mocks: MocksControl, tcp: bool
) -> None:
    for record_type in ("A", "AAAA"):
        question = DNSRecord.question("telemetry.example.com", record_type)
        reply = DNSRecord.parse(question.send("127.0.0.1", running.ports.dns, tcp=tcp, timeout=5))
        assert reply.header.rcode == RCODE.NXDOMAIN
    assert [(entry.kind, entry.method) for entry in mocks.journal(service="dns")] == [
        ("dns", "A"),
        ("dns", "AAAA"),
    ]
    assert [attempt.host for attempt in mocks.egress()] == ["telemetry.example.com"]


def test_reverse_lookups_and_names_of_the_stack_are_no_egress(running: Running, mocks: MocksControl) -> None:
    for name, record_type in (("4.3.2.1.in-addr.arpa", "PTR"), ("cockroachdb", "A")):
        DNSRecord.question(name, record_type).send("127.0.0.1", running.ports.dns, timeout=5)
    assert [entry.host for entry in mocks.journal()] == ["cockroachdb"]
    assert mocks.egress() == []


def test_a_pod_is_named_without_its_stack_and_network() -> None:
    assert PodNames("itest-7f", lambda _: "itest-7f-worker-1.itest-7f").name("10.0.0.2") == "worker-1"


def test_a_pod_is_named_like_the_sandbox_that_holds_its_network() -> None:
    names = {"10.0.0.2": "itest-7f-worker-1-sandbox.itest-7f", "10.0.0.3": "itest-7f-a-sandbox-b-sandbox.n"}
    pods = PodNames("itest-7f", names.get)
    assert [pods.name(address) for address in names] == ["worker-1", "a-sandbox-b"]


def test_an_address_without_a_name_stands_for_itself() -> None:
    assert PodNames("itest-7f", lambda _: None).name("10.0.0.2") == "10.0.0.2"


@pytest.mark.parametrize(("lifetime", "lookups"), [(60.0, 1), (0.0, 3)])
def test_pod_names_are_remembered_for_a_while(lifetime: float, lookups: int) -> None:
    asked: list[str] = []

    def lookup(address: str) -> str:
        asked.append(address)
        return "s-worker.n"

    pods = PodNames("s", lookup, lifetime)
    assert {pods.name("10.0.0.2") for _ in range(3)} == {"worker"}
    assert len(asked) == lookups


def test_only_one_asks_again_for_a_name_that_was_known_and_nobody_waits_for_it() -> None:
    asked, answered = threading.Event(), threading.Event()
    names = iter(["s-old.n", "s-new.n"])

    def lookup(_: str) -> str:
        name = next(names)
        if name == "s-new.n":
            asked.set()
            assert answered.wait(30)
        return name

    pods = PodNames("s", lookup, lifetime=0.0)
    assert pods.name("10.0.0.2") == "old"
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(pods.name, "10.0.0.2")
        assert asked.wait(30)
        assert pods.name("10.0.0.2") == "old"
        answered.set()
        assert asking.result(30) == "new"


def test_the_engines_name_server_is_the_first_of_resolv_conf(tmp_path: Path) -> None:
    path = tmp_path / "resolv.conf"
    assert nameserver(path) is None
    path.write_text("# made by the engine\nsearch x\nnameserver 127.0.0.11\nnameserver 8.8.8.8\n")
    assert nameserver(path) == "127.0.0.11"


def test_the_journal_survives_writers_on_many_threads(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    event = Event("http", "slack", "GET", "slack.com", "10.0.0.2", "worker")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: journal.append(event), range(400)))
    journal.close()
    written = [json.loads(line)["seq"] for line in (tmp_path / "journal.jsonl").read_text().splitlines()]
    assert written == list(range(1, 401)) == [entry["seq"] for entry in journal.entries()]


ENVIRONMENT = {
    "ITEST_SLACK_TOKEN": "xoxb-secret",
    "ITEST_GOOGLE_PUBLIC_KEY": "-----BEGIN PUBLIC KEY-----",
    "ITEST_GOOGLE_CLIENT_EMAIL": "a@b",
}


def test_settings_name_everything_that_is_missing_at_once() -> None:
    with pytest.raises(SettingsError, match="ITEST_SLACK_TOKEN, ITEST_GOOGLE_CLIENT_EMAIL"):
        Settings.from_environment({"ITEST_GOOGLE_PUBLIC_KEY": "x"})


def test_a_private_key_in_place_of_the_public_one_is_refused_and_not_shown() -> None:
    with pytest.raises(SettingsError, match="not a PEM public key") as caught:
        Settings.from_environment(
            {**ENVIRONMENT, "ITEST_GOOGLE_PUBLIC_KEY": "-----BEGIN PRIVATE KEY-----abc"}
        )
    assert "abc" not in str(caught.value)


def test_the_process_says_what_it_lacks_and_exits_64() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "harness.mocks"],
        env={},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 64
    assert "ITEST_SLACK_TOKEN" in done.stderr


def test_the_mocks_import_nothing_from_the_rest_of_the_harness() -> None:
    script = (
        "import sys, harness.mocks.server, harness.mocks.readers;"
        "print([n for n in sys.modules if n.startswith('harness.') and not n.startswith('harness.mocks')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.strip() == "[]"


def test_health_is_good_when_everything_is_loaded(mocks: MocksControl) -> None:
    assert mocks.healthy()


@pytest.fixture
def starting(tmp_path: Path) -> Iterator[Mocks]:
    """Mocks of their own that are not started yet."""
    settings = Settings(
        **{"slack_token": "x", "google_public_key": "x", "google_client_email": "x"},
        **{"shared_dir": tmp_path, "state_dir": tmp_path},
        listen_address="127.0.0.1",
        ports=Ports(0, 0, 0, 0, 0),
    )
    mocks = Mocks(settings)
    yield mocks
    mocks.stop()


def test_the_mocks_are_healthy_before_s3_is_loaded(starting: Mocks, monkeypatch: pytest.MonkeyPatch) -> None:
    loading, loaded = threading.Event(), threading.Event()

    def load() -> Any:
        loading.set()
        assert loaded.wait(30)
        return lambda environ, start_response: Response(status=200)(environ, start_response)

    monkeypatch.setattr("harness.mocks.s3._moto", load)
    starting.start()
    assert loading.wait(30)
    with MocksControl(f"http://127.0.0.1:{starting.ports().control}") as control:
        assert control.healthy()
    loaded.set()
    starting.fakes.s3.wait()


def test_s3_loads_when_all_listeners_serve(starting: Mocks, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its import takes a second of the interpreter, which everybody would wait for."""
    order: list[str] = []
    start = HttpListener.start

    def started(self: HttpListener) -> None:
        start(self)
        order.append("listener")

    monkeypatch.setattr(HttpListener, "start", started)
    monkeypatch.setattr(S3, "load", lambda _: order.append("S3"))
    starting.start()
    assert order == ["listener", "listener", "listener", "S3"]


def test_the_mocks_are_unhealthy_when_s3_cannot_be_loaded(
    starting: Mocks, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load() -> Any:
        raise ImportError("no moto")

    monkeypatch.setattr("harness.mocks.s3._moto", load)
    starting.start()
    with pytest.raises(ImportError, match="no moto"):
        starting.fakes.s3.wait()
    answer = httpx.get(f"http://127.0.0.1:{starting.ports().control}/healthz", trust_env=False)
    assert (answer.status_code, "no moto" in answer.json()["error"]) == (503, True)


def test_readers_say_when_nobody_answers() -> None:
    with MocksControl("http://127.0.0.1:9") as nobody:
        assert not nobody.healthy()
        with pytest.raises(MocksUnreachableError, match=r"127\.0\.0\.1:9"):
            nobody.journal()


GOOD_SUBNET = {"subnet_id": "s", "replica_count": 1, "subnet_type": "x", "replica_version_id": "v"}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda m: m.ic.set_registry([{"subnet_id": "s"}]), "replica_count"),
        (lambda m: m.ic.set_registry([GOOD_SUBNET, GOOD_SUBNET]), "given twice: s"),
        (lambda m: m.ic.set_registry([{**GOOD_SUBNET, "replica_count": 0}]), "at least 1"),
        (lambda m: m.ic.settings(acceptance_delay=-1), "not negative"),
        (lambda m: m.ic.set_alerts(SUBNET, [{"name": "x"}]), "neither"),
        (lambda m: m.slack.set_channels([1]), "'channels' must be a list"),
        (lambda m: m.sheets.put("p", "t", [[["nested"]]]), "a cell must be"),
        (lambda m: m.sheets.rows("p", "t"), "no tab 't'"),
    ],
)
def test_a_mistake_of_the_test_is_refused_with_the_reason(
    mocks: MocksControl, change: Callable[[MocksControl], Any], reason: str
) -> None:
    with pytest.raises(MocksRefusedError, match=reason) as caught:
        change(mocks)
    assert caught.value.status in (400, 404)


def test_one_fake_is_reset_without_the_others(
    running: Running, production_names: Running, mocks: MocksControl
) -> None:
    post_message("gone")
    mocks.sheets.put("p", "t", [["kept"]])
    httpx.delete(f"http://127.0.0.1:{running.ports.control}/slack", trust_env=False)
    assert mocks.slack.messages() == []
    assert mocks.sheets.rows("p", "t") == [["kept"]]
