"""The audit hook of the pods' `sitecustomize` in this process: which connections and look-ups it announces, and how."""

import asyncio
import socket
import sys
import time
import types
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

import pytest

from harness.mocks.identity import NOBODY, Announcements, Identity, IdentityListener
from harness.mocks.pods_site import sitecustomize
from harness.mocks.readers import MocksControl

from .conftest import Running, exported, task_of
from .test_sitecustomize import CLIENTS, HELLO, TENANT


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


@pytest.mark.parametrize(
    ("host", "leads_out"),
    [("198.18.5.9", False), ("198.18.6.2", True), ("198.19.5.2", True), ("fe80::1", False), (b"x", False)],
)
def test_what_leads_out_is_what_is_not_in_the_mocks_network(host: Any, leads_out: bool) -> None:
    announcer = sitecustomize.Announcer("mocks", 8098)
    announcer._address = "198.18.5.2"
    assert announcer._leads_out((host, 443)) is leads_out


@pytest.mark.parametrize("module", sitecustomize.CONTEXTS)
def test_a_mapped_task_is_told_apart_by_airflows_own_context(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    contexts = types.ModuleType("contextmanager")
    monkeypatch.setitem(sys.modules, module, contexts)
    running = types.SimpleNamespace(task_id="tell", map_index=5)
    found = []
    for current in ([{"ti": running}], [{"ti": types.SimpleNamespace(task_id="other", map_index=6)}], [{}]):
        contexts._CURRENT_CONTEXT = current  # type: ignore[attr-defined]
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as connecting:
            found.append(endpoint.connect(connecting).map_index)
    assert found == [5, -1, -1], "of another task, or of a context that has changed, it is not known"


def test_a_trigger_of_airflow_2_is_known_by_the_task_instance_in_its_context(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    module = types.ModuleType("trigger_handler")
    module.ctx_task_instance = kept = ContextVar("task_instance")  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, sitecustomize.TRIGGER_LOG, module)
    waiting = types.SimpleNamespace(dag_id="d", run_id="r", task_id="t", map_index=3, try_number=2)

    async def trigger() -> object:
        assert sitecustomize.of_context() is None, "nobody's yet"
        kept.set(waiting)
        return await asyncio.create_task(started_by_it())

    async def started_by_it() -> object:
        return sitecustomize.of_context()

    assert asyncio.run(trigger()) == vars(waiting)


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
