"""What pods run at every start of Python, in processes of its own: announcing tasks, tuning the collector, and
never getting into anybody's way."""

import ast
import json
import socket
import subprocess
import sys
import time
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.mocks.identity import NOBODY, Announcements, Identity, IdentityListener
from harness.mocks.pods_site import sitecustomize
from harness.mocks.readers import MocksControl, Request

from .conftest import Running, exported, task_of

TENANT, OTHER = "tn0badcafe", "tn00000002"
HELLO = 'TEXT, TOKEN = "hello", "xoxb-for-this-test-run"\n'
CLIENTS = {
    "urllib": """
import json, urllib.request
body = json.dumps({"channel": "ic-os-rollout", "text": TEXT}).encode()
headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
asked = urllib.request.Request("https://slack.com/api/chat.postMessage", body, headers)
with urllib.request.urlopen(asked, timeout=10) as answer:
    assert json.load(answer)["ok"]
""",
    "requests": """
import requests
body, headers = {"channel": "ic-os-rollout", "text": TEXT}, {"Authorization": f"Bearer {TOKEN}"}
assert requests.post("http://slack.com/api/chat.postMessage", json=body, headers=headers, timeout=10).json()["ok"]
""",
    "httpx": """
import httpx
body, headers = {"channel": "ic-os-rollout", "text": TEXT}, {"Authorization": f"Bearer {TOKEN}"}
assert httpx.post("https://slack.com/api/chat.postMessage", json=body, headers=headers).json()["ok"]
""",
    "httplib2": """
import httplib2, json
http = httplib2.Http(timeout=10)
headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
body = json.dumps({"channel": "ic-os-rollout", "text": TEXT})
_, answer = http.request("https://slack.com/api/chat.postMessage", "POST", body, headers)
assert json.loads(answer)["ok"]
http.close()
""",
}


def asked(entry: Request) -> Identity:
    """Who is behind a journal entry."""
    return Identity(entry.dag_id, entry.run_id, entry.task_id, entry.map_index, entry.try_number)


@pytest.mark.parametrize("client", CLIENTS)
def test_what_a_task_posts_arrives_in_its_tenancy_whatever_client_it_uses(
    running: Running, mocks: MocksControl, client: str
) -> None:
    task = task_of(TENANT)
    running.pod(HELLO + CLIENTS[client], **exported(task))
    mine = mocks.for_tenant(TENANT)
    assert [message.text for message in mine.slack.messages()] == ["hello"]
    assert [asked(entry) for entry in mine.journal(service="slack")] == [task]
    assert mocks.slack.messages() == mocks.for_tenant(OTHER).slack.messages() == []
    assert mocks.journal() == mine.journal()


def test_a_mapped_task_is_told_apart_where_airflow_exports_its_index(
    running: Running, mocks: MocksControl
) -> None:
    running.pod(HELLO + CLIENTS["urllib"], **exported(task_of(TENANT)), AIRFLOW_CTX_MAP_INDEX="3")
    assert mocks.journal(service="slack")[0].map_index == 3


@pytest.mark.parametrize("environment", [{}, {"AIRFLOW_CTX_DAG_ID": "dag"}])
def test_a_process_that_runs_no_task_is_of_the_default_tenancy(
    running: Running, mocks: MocksControl, environment: dict[str, str]
) -> None:
    running.pod(HELLO + CLIENTS["urllib"], **environment)
    assert [message.text for message in mocks.slack.messages()] == ["hello"]
    assert [asked(entry) for entry in mocks.journal()] == [NOBODY]


def test_half_an_identity_in_the_environment_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    everything = exported(task_of(TENANT))
    for missing in ("AIRFLOW_CTX_DAG_ID", "AIRFLOW_CTX_DAG_RUN_ID"):
        for name, value in everything.items():
            monkeypatch.setenv(name, "" if name == missing else value)
        assert sitecustomize.of_environment() is None


def test_the_identity_is_the_one_at_the_time_of_the_connection(running: Running, mocks: MocksControl) -> None:
    change = f"import os\nos.environ.update({exported(task_of(OTHER))!r})\n"
    running.pod(HELLO + CLIENTS["urllib"] + change + CLIENTS["urllib"], **exported(task_of(TENANT)))
    assert [entry.tenant for entry in mocks.journal()] == [TENANT, OTHER]


def test_a_host_that_a_task_looks_up_in_vain_is_known_as_its_attempt(
    running: Running, mocks: MocksControl
) -> None:
    script = """
import socket
for name in ("telemetry.unknown.example.com", "telemetry.unknown.example.com", "other.unknown.example.com"):
    try:
        socket.create_connection((name, 443))
    except socket.gaierror:
        pass
"""
    task = task_of(TENANT, "phone_home")
    running.pod(script, **exported(task))
    attempts = mocks.for_tenant(TENANT).egress()
    assert [attempt.host for attempt in attempts] == [
        "telemetry.unknown.example.com",
        "other.unknown.example.com",
    ]
    assert {(attempt.dag_id, attempt.run_id, attempt.task_id) for attempt in attempts} == {
        (task.dag_id, task.run_id, "phone_home")
    }
    assert mocks.for_tenant(OTHER).egress() == []


TRIGGERS = """
import asyncio, contextvars, json, socket, sys, urllib.request
import httpx

def bind(**values):  # as structlog does
    for name, value in values.items():
        contextvars.ContextVar(f"structlog_{name}", default=...).set(value)

async def by_httpx():
    async with httpx.AsyncClient() as client:
        await client.get("https://dashboard.mainnet.dfinity.network/api/proxy/registry/mainnet/subnets")

async def by_a_child():
    await asyncio.create_task(by_httpx())

async def by_asyncio():
    reader, writer = await asyncio.open_connection("dashboard.mainnet.dfinity.network", 80)
    writer.write(b"GET /api/proxy/registry/mainnet/subnets HTTP/1.0\\r\\n")
    writer.write(b"Host: dashboard.mainnet.dfinity.network\\r\\n\\r\\n")
    await writer.drain()
    await reader.read()
    writer.close()
    await writer.wait_closed()

def get():
    url = "http://dashboard.mainnet.dfinity.network/api/proxy/registry/mainnet/subnets"
    urllib.request.urlopen(url, timeout=10).close()

async def by_a_thread():
    await asyncio.to_thread(get)

async def by_an_executor():
    await asyncio.get_running_loop().run_in_executor(None, get)

async def by_a_client():
    async with httpx.AsyncClient() as client:
        try:
            await client.get("https://telemetry.unknown.example.com/")
        except httpx.ConnectError:
            pass

async def by_name():
    try:
        await asyncio.get_running_loop().getaddrinfo("telemetry.unknown.example.com", 443)
    except socket.gaierror:
        pass

async def run_trigger(number, bound):
    bind(**bound)
    await asyncio.sleep(0)
    for _ in range(2):
        await globals()[sys.argv[1]]()

async def main():
    started = []
    for number, (name, bound) in enumerate(json.loads(sys.argv[2])):
        started.append(asyncio.create_task(run_trigger(number, bound), name=name))
        await asyncio.sleep(0)
    await asyncio.gather(*started)

asyncio.run(main())
"""


def trigger_name(identity: Identity, number: int) -> str:
    path = (
        f"{identity.dag_id}/{identity.run_id}/{identity.task_id}/{identity.map_index}/{identity.try_number}"
    )
    return f"{path} (ID {number})"


def run_triggers(running: Running, way: str, bound: str, waiting: list[Identity]) -> None:
    """Run a triggerer's loop with a trigger for each identity at once, all asking in one `way`.

    bound: which fields Airflow has bound to the context: "all", only the trigger's "id", "nothing", or all in tasks
    "without a name".
    """
    triggers = []
    for number, identity in enumerate(waiting, 10):
        fields: dict[str, Any] = {} if bound == "nothing" else {"trigger_id": number}
        if bound in ("all", "without a name"):
            names = ("dag_id", "run_id", "task_id", "map_index", "try_number")
            fields |= {name: getattr(identity, name) for name in names} | {"ti_id": None}
        name = f"Task-{number}" if bound == "without a name" else trigger_name(identity, number)
        triggers.append((name, fields))
    running.pod(TRIGGERS, way, json.dumps(triggers))


WAITING = [
    Identity("rollout", f"x/{tenant}/y", "wait", index, 2) for index, tenant in enumerate((TENANT, OTHER))
]


@pytest.mark.parametrize("bound", ["all", "id", "without a name"])
@pytest.mark.parametrize("way", ["by_httpx", "by_a_child", "by_asyncio", "by_a_thread", "by_an_executor"])
def test_triggers_in_one_process_ask_each_in_its_own_tenancy(
    running: Running, mocks: MocksControl, way: str, bound: str
) -> None:
    run_triggers(running, way, bound, WAITING)
    for identity in WAITING:
        entries = mocks.for_tenant(identity.tenant).journal(service="ic_registry")
        assert [asked(entry) for entry in entries] == [identity] * 2
    assert len(mocks.journal()) == 4


def test_a_trigger_is_known_by_its_name_before_anything_is_bound(
    running: Running, mocks: MocksControl
) -> None:
    run_triggers(running, "by_asyncio", "nothing", WAITING[:1])
    assert {asked(entry) for entry in mocks.journal()} == {WAITING[0]}


@pytest.mark.parametrize("way", ["by_name", "by_a_client"])
def test_a_host_that_a_trigger_looks_up_in_vain_is_known_as_its_attempt(
    running: Running, mocks: MocksControl, way: str
) -> None:
    run_triggers(running, way, "all", WAITING[:1])
    (attempt,) = mocks.for_tenant(TENANT).egress()
    assert (attempt.host, attempt.task_id) == ("telemetry.unknown.example.com", "wait")


def test_a_host_that_two_tasks_look_up_at_once_is_both_their_attempt(
    running: Running, mocks: MocksControl
) -> None:
    run_triggers(running, "by_name", "all", WAITING)
    for tenant in (TENANT, OTHER):
        assert [attempt.host for attempt in mocks.for_tenant(tenant).egress()] == [
            "telemetry.unknown.example.com"
        ]


def test_a_thread_is_nobodys_again_after_it_ran_a_triggers_function(
    running: Running, mocks: MocksControl
) -> None:
    script = """
import asyncio, contextvars, urllib.request
from concurrent.futures import ThreadPoolExecutor

def get():
    url = "http://dashboard.mainnet.dfinity.network/api/proxy/registry/mainnet/subnets"
    urllib.request.urlopen(url, timeout=10).close()

async def ask(pool):
    await asyncio.get_running_loop().run_in_executor(pool, get)

async def main():
    with ThreadPoolExecutor(1) as pool:
        await asyncio.create_task(ask(pool), name="TRIGGER")
        await asyncio.create_task(ask(pool))

asyncio.run(main())
"""
    running.pod(script.replace("TRIGGER", trigger_name(WAITING[0], 7)))
    assert [asked(entry) for entry in mocks.journal()] == [WAITING[0], NOBODY]


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("d/r/t/-1/1 (ID 7)", Identity("d", "r", "t", -1, 1)),
        ("d/a/b/c/t.u/4/2 (ID 7)", Identity("d", "a/b/c", "t.u", 4, 2)),
        ("d/r (ID 1)/t/4/2 (ID 7)", Identity("d", "r (ID 1)", "t", 4, 2)),
        ("ID 7", None),
        ("Task-3", None),
        ("d/t/4/2 (ID 7)", None),
        ("d/r/t/4/2 (ID 7", None),
    ],
)
def test_a_triggers_name_is_read_whatever_its_run_id_holds(name: str, found: Identity | None) -> None:
    read = sitecustomize.of_trigger_name(name)
    assert (Identity(**read) if read else None) == found


class Endpoint:
    """Where the hook announces to: a listener of the mocks, and what looks like their front door."""

    def __init__(self) -> None:
        self.announcements = Announcements()
        self.refused: list[tuple[str, int, Identity]] = []
        self.listener = IdentityListener("127.0.0.1", 0, self.announcements, self._refused)
        self.door = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.door.getsockname()[1]
        made = sitecustomize.announcer(f"localhost:{self.listener.port}/{self.port}")
        assert made is not None
        self.hook = made.hook()

    def _refused(self, _client: str, address: str, port: int, identity: Identity) -> None:
        self.refused.append((address, port, identity))

    def connect(self, connecting: socket.socket, host: Any = "127.0.0.1", port: int = 0) -> Identity:
        """Whose connection the mocks hold it for, were it made now."""
        self.hook("socket.connect", (connecting, (host, port or self.port)))
        return self.announcements.take("127.0.0.1", connecting.getsockname()[1])


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    for name, value in exported(task_of(TENANT)).items():
        monkeypatch.setenv(name, value)
    made = Endpoint()
    made.listener.start()
    yield made
    made.listener.stop()
    made.door.close()


@pytest.fixture
def stream() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as made:
        yield made


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", b"localhost"])
def test_the_mocks_are_recognized_by_address_and_by_name(
    endpoint: Endpoint, stream: socket.socket, host: Any
) -> None:
    assert endpoint.connect(stream, host) == task_of(TENANT)


@pytest.mark.parametrize(
    ("family", "address"),
    [(socket.AF_INET, ("192.0.2.7", 25)), (socket.AF_INET6, ("2001:db8::7", 443, 0, 0))],
)
@pytest.mark.parametrize("has_task", [True, False])
def test_a_connection_out_of_the_stack_is_told(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch, family: int, address: Any, has_task: bool
) -> None:
    if not has_task:
        monkeypatch.delenv("AIRFLOW_CTX_DAG_ID")
    with socket.socket(family, socket.SOCK_STREAM) as leaving:
        endpoint.hook("socket.connect", (leaving, address))
    assert endpoint.refused == [(address[0], address[1], task_of(TENANT) if has_task else NOBODY)]


@pytest.mark.parametrize("host", ["127.0.0.9", "127.9.9.9", "not.an.address", "::1", "redis"])
def test_a_connection_within_the_stack_is_not_told(
    endpoint: Endpoint, stream: socket.socket, host: str
) -> None:
    endpoint.hook("socket.connect", (stream, (host, 5432)))
    endpoint.hook("socket.connect", (stream, ("192.0.2.7", 25)))
    assert [address for address, _, _ in endpoint.refused] == ["192.0.2.7"]


def test_a_mapped_task_is_told_apart_by_airflows_own_context(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    contexts = types.ModuleType("contextmanager")
    monkeypatch.setitem(sys.modules, "airflow.sdk.definitions._internal.contextmanager", contexts)
    running = types.SimpleNamespace(task_id="tell", map_index=5)
    found = []
    for current in ([{"ti": running}], [{"ti": types.SimpleNamespace(task_id="other", map_index=6)}], [{}]):
        contexts._CURRENT_CONTEXT = current  # type: ignore[attr-defined]
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as connecting:
            found.append(endpoint.connect(connecting).map_index)
    assert found == [5, -1, -1], "of another task, or of a context that has changed, it is not known"


@pytest.mark.parametrize(
    ("port", "told"), [(443, 443), ("443", 443), (b"443", 443), ("https", 443), (None, 0)]
)
def test_a_look_up_tells_the_port_it_is_for(endpoint: Endpoint, port: Any, told: int) -> None:
    endpoint.hook("socket.getaddrinfo", ("x.example.com", port, 0, 0, 0))
    assert endpoint.announcements.destination("127.0.0.1", "x.example.com", task_of(TENANT)) == told


def test_a_socket_that_is_bound_already_keeps_its_port(endpoint: Endpoint, stream: socket.socket) -> None:
    stream.bind(("127.0.0.1", 0))
    port = stream.getsockname()[1]
    assert endpoint.connect(stream) == task_of(TENANT)
    assert stream.getsockname() == ("127.0.0.1", port)


def test_a_connection_to_elsewhere_is_left_alone(endpoint: Endpoint, stream: socket.socket) -> None:
    assert endpoint.connect(stream, "127.0.0.2") == NOBODY
    assert endpoint.connect(stream, port=endpoint.port + 1) == NOBODY
    assert endpoint.connect(stream, "no-such-name.invalid") == NOBODY
    assert stream.getsockname()[1] == 0


@pytest.mark.parametrize(
    ("family", "kind", "address"),
    [
        (socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0)),
        (socket.AF_INET6, socket.SOCK_STREAM, ("127.0.0.1", 0)),
        (socket.AF_INET6, socket.SOCK_STREAM, ("::1", 0, 0, 0)),
        (socket.AF_UNIX, socket.SOCK_STREAM, "/tmp/nowhere"),
    ],
)
def test_only_ipv4_streams_are_announced(
    endpoint: Endpoint, family: int, kind: int, address: tuple[Any, ...] | str
) -> None:
    before = repr(endpoint.announcements._ports)
    with socket.socket(family, kind) as made:
        if isinstance(address, tuple):
            address = (address[0], endpoint.port, *address[2:])
        endpoint.hook("socket.connect", (made, address))
        assert family == socket.AF_UNIX or made.getsockname()[1] == 0
    assert repr(endpoint.announcements._ports) == before


@pytest.mark.parametrize(
    ("host", "announced"),
    [
        ("x.example.com", True),
        ("x.example.com.", True),
        ("redis", False),
        ("10.0.0.7", False),
        ("fe80::1.2.3.4", False),
        (b"x.example.com", True),
        (b"redis", False),
        (b"\xff.example.com", False),
        (None, False),
        (7, False),
    ],
)
def test_only_names_with_a_dot_are_announced(endpoint: Endpoint, host: Any, announced: bool) -> None:
    endpoint.hook("socket.getaddrinfo", (host, 443, 0, 0, 0))
    assert bool(endpoint.announcements._names) is announced


def test_a_local_mishap_is_nobodys_business(endpoint: Endpoint, stream: socket.socket) -> None:
    stream.close()
    endpoint.hook("socket.connect", (stream, ("127.0.0.1", endpoint.port)))
    endpoint.hook("socket.connect", ())
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as another:
        assert endpoint.connect(another) == task_of(TENANT)


def test_an_interrupt_while_it_waits_reaches_the_host(endpoint: Endpoint, stream: socket.socket) -> None:
    """Airflow ends a task that takes too long by raising from a signal handler."""
    announce, interrupting = sitecustomize.Announcer._announce, pytest.MonkeyPatch()

    def interrupted(*_: Any) -> bool:
        raise KeyboardInterrupt

    interrupting.setattr(sitecustomize.Announcer, "_announce", interrupted)
    with pytest.raises(KeyboardInterrupt):
        endpoint.connect(stream)
    interrupting.undo()
    assert sitecustomize.Announcer._announce is announce
    assert endpoint.connect(stream) == task_of(TENANT)


def test_what_the_hook_does_itself_is_not_announced(
    endpoint: Endpoint, stream: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    announced: list[dict[str, Any]] = []

    def announce(_: sitecustomize.Announcer, message: dict[str, Any], *__: Any) -> bool:
        announced.append(message)
        endpoint.hook("socket.getaddrinfo", ("x.example.com", 443, 0, 0, 0))
        return True

    monkeypatch.setattr(sitecustomize.Announcer, "_announce", announce)
    endpoint.hook("socket.connect", (stream, ("127.0.0.1", endpoint.port)))
    assert [message.get("port") for message in announced] == [stream.getsockname()[1]]


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """A port that receives and never answers."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.bind(("127.0.0.1", 0))
        made.setblocking(False)
        yield made


def datagrams(received: socket.socket) -> int:
    count = 0
    while True:
        try:
            received.recv(8192)
        except BlockingIOError:
            return count
        count += 1


@pytest.mark.parametrize("answering", ["no port", "no answer", "no name"])
def test_without_a_listener_a_client_works_and_tries_to_announce_once(
    running: Running, mocks: MocksControl, silent: socket.socket, answering: str
) -> None:
    port = silent.getsockname()[1]
    if answering == "no port":
        silent.close()
    host = "no-such-name.invalid" if answering == "no name" else "localhost"
    address = f"{host}:{port}/{running.ports.http},{running.ports.https}"
    environment = {**exported(task_of(TENANT)), "ITEST_IDENTITY": address}
    running.pod(HELLO + CLIENTS["urllib"] * 3, **environment)
    assert [message.text for message in mocks.slack.messages()] == ["hello"] * 3
    if answering == "no answer":
        # One for the name, one and a retry for the connection.
        assert datagrams(silent) == 3


@pytest.mark.parametrize("listening", [False, True])
def test_it_waits_for_an_answer_but_not_where_nobody_listens(
    endpoint: Endpoint, stream: socket.socket, silent: socket.socket, listening: bool
) -> None:
    address = f"127.0.0.1:{silent.getsockname()[1]}/{endpoint.port}"
    made = sitecustomize.announcer(address)
    assert made is not None
    if not listening:
        silent.close()
    hook, started = made.hook(), time.monotonic()
    hook("socket.connect", (stream, ("127.0.0.1", endpoint.port)))
    waited, most = time.monotonic() - started, sitecustomize.PORT_SECONDS * sitecustomize.PORT_TRIES
    assert most * 0.9 < waited if listening else waited < most * 0.5


def test_after_a_while_it_announces_again(
    endpoint: Endpoint, silent: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = sitecustomize.announcer(f"127.0.0.1:{silent.getsockname()[1]}/{endpoint.port}")
    assert made is not None
    hook = made.hook()
    monkeypatch.setattr(sitecustomize, "PORT_SECONDS", 0.01)
    monkeypatch.setattr(sitecustomize, "PORT_TRIES", 1)
    for quiet, received in ((60.0, 1), (0.0, 0)):
        monkeypatch.setattr(sitecustomize, "QUIET_SECONDS", quiet)
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as connecting:
            hook("socket.connect", (connecting, ("127.0.0.1", endpoint.port)))
        assert datagrams(silent) == received
    now = time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: now() + 61)
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as connecting:
        hook("socket.connect", (connecting, ("127.0.0.1", endpoint.port)))
    assert datagrams(silent) == 1


def test_an_unacknowledged_name_does_not_silence_connections(
    endpoint: Endpoint, stream: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    acknowledged, announce = [False, True], sitecustomize.Announcer._announce

    def once_lost(self: sitecustomize.Announcer, *arguments: Any) -> bool:
        return announce(self, *arguments) and acknowledged.pop(0)

    monkeypatch.setattr(sitecustomize.Announcer, "_announce", once_lost)
    endpoint.hook("socket.getaddrinfo", ("x.example.com", 443, 0, 0, 0))
    assert endpoint.connect(stream) == task_of(TENANT)
    endpoint.hook("socket.getaddrinfo", ("y.example.com", 443, 0, 0, 0))
    assert [host for _, host in endpoint.announcements._names] == ["x.example.com"]


def python(shared: Path, code: str, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Python with nothing but the site directory of the pods."""
    return subprocess.run(
        [sys.executable, "-B", *options, "-c", code],
        env={"PYTHONPATH": str(shared / "python"), **environment},
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )


@pytest.mark.parametrize(
    ("value", "threshold"),
    [
        ("100000,50,100", (100000, 50, 100)),
        ("5000", (5000, 10, 10)),
        ("", (700, 10, 10)),
        ("many", (700, 10, 10)),
        ("1,2,3,4", (700, 10, 10)),
        ("9" * 99, (700, 10, 10)),
    ],
)
def test_the_collectors_thresholds_are_set_from_the_environment(
    running: Running, value: str, threshold: tuple[int, int, int]
) -> None:
    done = python(running.shared_dir, "import gc; print(gc.get_threshold())", ITEST_GC_THRESHOLD=value)
    assert (done.stdout, done.stderr) == (f"{threshold}\n", "")


@pytest.mark.parametrize("value", ["", "nonsense", "mocks:", ":8098", "mocks:8098/x"])
def test_a_malformed_address_changes_nothing(running: Running, value: str) -> None:
    code = "import socket; print('connected', socket.socket().connect_ex(('127.0.0.1', 443)) is not None)"
    done = python(running.shared_dir, code, ITEST_IDENTITY=value, **exported(task_of(TENANT)))
    assert (done.stdout, done.stderr) == ("connected True\n", "")
    assert not value or sitecustomize.announcer(value) is None


def test_a_start_of_python_imports_nothing_more_than_the_module_itself(running: Running) -> None:
    code = "import sys; print(*sorted(sys.modules))"
    plain = python(running.shared_dir, code, "-E").stdout.split()
    environment = {"ITEST_IDENTITY": "mocks:8098", "ITEST_GC_THRESHOLD": "1000"}
    found = python(running.shared_dir, code, **environment).stdout.split()
    assert set(found) - set(plain) <= {"sitecustomize", "__future__", "gc"}
    assert "sitecustomize" in found


def test_it_is_written_for_python_3_9() -> None:
    ast.parse(Path(sitecustomize.__file__).read_text(), feature_version=(3, 9))
