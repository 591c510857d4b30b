"""What the mocks make of announcements: who opened a connection, who looks up a name."""

import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from harness.mocks.identity import NOBODY, Announcements, Identity, IdentityListener, record

ONE = Identity("dag", "run-1", "task", 2, 1)
OTHER = Identity("dag", "run-2", "task", -1, 1)
POD = "10.0.0.2"
FIELDS = {"dag_id": "dag", "run_id": "run-1", "task_id": "task", "map_index": 2, "try_number": 1}


def refuse_none(*attempt: object) -> None:
    """Where no datagram tells of a connection that leads out."""
    raise AssertionError(attempt)


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def listening() -> Iterator[tuple[Announcements, socket.socket]]:
    """What is announced, and a socket that sends to the listener."""
    announcements = Announcements()
    listener = IdentityListener("127.0.0.1", 0, announcements, refuse_none)
    listener.start()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sending:
        sending.settimeout(5)
        sending.connect(("127.0.0.1", listener.port))
        yield announcements, sending
    listener.stop()


def test_an_announcement_is_acknowledged_once_it_counts(
    listening: tuple[Announcements, socket.socket],
) -> None:
    announcements, sending = listening
    sending.send(json.dumps({"port": 4711, **FIELDS}).encode())
    assert sending.recv(16) == b"ok"
    assert announcements.take("127.0.0.1", 4711) == ONE
    sending.send(json.dumps({"host": "x.example.com", **FIELDS}).encode())
    assert sending.recv(16) == b"ok"
    assert announcements.asking("127.0.0.1", "x.example.com", "A") == (ONE,)


def test_what_is_malformed_is_not_acknowledged_and_the_next_one_is(
    listening: tuple[Announcements, socket.socket],
) -> None:
    announcements, sending = listening
    for datagram in (b"", b"\xff", b"[" * 8000, b"{}"):
        sending.send(datagram)
    sending.send(json.dumps({"port": 4711, **FIELDS}).encode())
    assert sending.recv(16) == b"ok"
    sending.settimeout(0.05)
    with pytest.raises(TimeoutError):
        sending.recv(16)
    assert announcements.take("127.0.0.1", 4711) == ONE


@pytest.mark.parametrize("datagram", [b"", b"\xff", b"[" * 8000, b"[]", b"7"])
def test_what_is_no_json_object_does_not_count(datagram: bytes) -> None:
    assert not record(datagram, POD, Announcements(), refuse_none)


@pytest.mark.parametrize(
    "change",
    [
        {"port": "4711"},
        {"port": True},
        {"port": 0},
        {"port": 65536},
        {"port": None},
        {"host": "x.example.com"},
        {"address": "1.1.1.1"},
        {"port": None, "address": 7},
        {"port": None, "host": "x.example.com", "to": "443"},
        {"port": None, "host": "x.example.com", "to": 65536},
        {"port": None, "host": ""},
        {"port": None, "host": 7},
        {"dag_id": None},
        {"dag_id": ""},
        {"run_id": 7},
        {"map_index": "2"},
        {"try_number": None},
    ],
)
def test_a_datagram_that_lacks_or_mistypes_something_does_not_count(change: dict[str, Any]) -> None:
    announcements = Announcements()
    assert not record(
        json.dumps({"port": 4711, **FIELDS, **change}).encode(), POD, announcements, refuse_none
    )
    assert announcements.take(POD, 4711) == NOBODY


def test_a_connection_out_of_the_stack_is_told_whoever_makes_it() -> None:
    told: list[tuple[str, str, int, Identity]] = []

    def refused(client: str, address: str, port: int, identity: Identity) -> None:
        told.append((client, address, port, identity))

    nobody = {"dag_id": "", "run_id": "", "task_id": "", "map_index": -1, "try_number": 0}
    for who in (FIELDS, nobody):
        datagram = json.dumps({"address": "1.1.1.1", "to": 80, **who}).encode()
        assert record(datagram, POD, Announcements(), refused)
    assert told == [(POD, "1.1.1.1", 80, ONE), (POD, "1.1.1.1", 80, NOBODY)]


def test_the_port_of_a_name_is_the_one_that_it_was_last_looked_up_for() -> None:
    announcements = Announcements()
    for port in (80, 443):
        announcements.name(POD, "x.example.com", ONE, port)
    assert announcements.destination(POD, "X.example.com.", ONE) == 443
    assert announcements.destination(POD, "x.example.com", OTHER) == 0


def test_a_port_belongs_to_the_last_who_announced_it_and_to_one_connection_only() -> None:
    announcements = Announcements()
    announcements.port(POD, 4711, ONE)
    announcements.port(POD, 4711, OTHER)
    announcements.port("10.0.0.3", 4711, ONE)
    assert announcements.take(POD, 4711) == OTHER
    assert announcements.take(POD, 4711) == NOBODY


def test_a_name_is_its_askers_for_ten_seconds() -> None:
    clock = Clock()
    announcements = Announcements(clock)
    announcements.name(POD, "X.example.com.", ONE)
    clock.seconds += 10
    assert announcements.asking("10.0.0.3", "x.example.com", "A") == (NOBODY,)
    assert announcements.asking(POD, "x.EXAMPLE.com.", "A") == (ONE,)
    clock.seconds += 1
    assert announcements.asking(POD, "x.example.com", "AAAA") == (NOBODY,)


def test_a_question_is_everybodys_who_is_about_to_ask_it() -> None:
    announcements = Announcements()
    announcements.name(POD, "x.example.com", ONE)
    assert announcements.asking(POD, "x.example.com", "A") == (ONE,)
    announcements.name(POD, "x.example.com", OTHER)
    assert announcements.asking(POD, "x.example.com", "A") == (OTHER,)
    assert announcements.asking(POD, "x.example.com", "AAAA") == (ONE, OTHER)


def test_a_repeated_question_is_the_last_announcers() -> None:
    announcements = Announcements()
    for identity in (ONE, OTHER, ONE):
        announcements.name(POD, "x.example.com", identity)
    assert set(announcements.asking(POD, "x.example.com", "A")) == {ONE, OTHER}
    assert announcements.asking(POD, "x.example.com", "A") == (ONE,)


def test_beyond_the_most_the_oldest_announcements_go() -> None:
    announcements = Announcements(most=3)
    for port in (1, 2, 3, 1, 4):
        announcements.port(POD, port, ONE)
        announcements.name(POD, f"{port}.example.com", ONE)
    assert [announcements.take(POD, port) for port in (1, 2, 3, 4)] == [ONE, NOBODY, ONE, ONE]
    asking = [announcements.asking(POD, f"{port}.example.com", "A") for port in (1, 2, 3, 4)]
    assert asking == [(ONE,), (NOBODY,), (ONE,), (ONE,)]


@pytest.mark.parametrize(
    ("dag_id", "run_id", "tenant"),
    [
        ("dag", "manual__tn0badcafe__x", "tn0badcafe"),
        ("tn00000001_dag", "scheduled__2026", "tn00000001"),
        ("tn00000001_dag", "tn00000002", "tn00000002"),
        ("dag", "tn0BADCAFE", ""),
        ("dag", "tn0badcaf", ""),
    ],
)
def test_the_tenant_is_named_by_the_run_or_else_by_the_dag(dag_id: str, run_id: str, tenant: str) -> None:
    assert Identity(dag_id, run_id, "task").tenant == tenant
