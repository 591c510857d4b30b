"""Other processes reach the session's stacks as its owner does, errors included; the pool fits the machine."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from harness.hub import Hub, HubClient, HubError
from harness.sessions import pool_size


class Events:
    def run_ended(self, dag_id: str, run_id: str, timeout: float) -> str | None:
        return f"{dag_id} {run_id} {timeout}"

    def task_reached(
        self, dag_id: str, run_id: str, task_id: str, map_index: int, states: Sequence[str], timeout: float
    ) -> str | None:
        return states[map_index]

    def dag_parsed(self, dag_id: str, after: str | None, timeout: float) -> bool:
        return after is None


class Session:
    """Plays the session; `lease` waits until somebody asks for `shared`."""

    def __init__(self) -> None:
        self.given_back: list[str] = []

    def shared(self) -> str:
        return "itest-shared"

    def lease(self, holder: str, clock: bool, topology: str) -> str:
        if holder == "unlucky":
            raise RuntimeError("the engine is gone")
        return f"itest-{holder}"

    def give_back(self, stack: str) -> None:
        self.given_back.append(stack)

    def events(self, stack: str) -> Events:
        return {"itest-shared": Events()}[stack]

    def finish(self) -> None:
        raise AssertionError("not for other processes")


@pytest.fixture
def session() -> Session:
    return Session()


@pytest.fixture
def client(session: Session) -> Iterator[HubClient]:
    stacks: Any = session
    hub = Hub(stacks)
    yield HubClient(hub.address)
    hub.close()


def test_stacks_are_handed_out_and_given_back(client: HubClient, session: Session) -> None:
    assert client.shared() == "itest-shared"
    assert client.lease("gw0") == "itest-gw0"
    client.give_back("itest-gw0")
    assert session.given_back == ["itest-gw0"]


def test_events_of_a_stack_arrive_with_their_arguments(client: HubClient) -> None:
    events = client.events("itest-shared")
    assert events.run_ended("d", "r", 1.5) == "d r 1.5"
    assert events.task_reached("d", "r", "t", 1, ["a", "b"], 1) == "b"
    assert events.dag_parsed("d", None, 1)
    assert not events.dag_parsed("d", "2026-11-24T00:00:00+00:00", 1)


def test_an_error_of_the_owner_is_told_with_its_words(client: HubClient) -> None:
    with pytest.raises(HubError, match="RuntimeError: the engine is gone"):
        client.lease("unlucky")
    with pytest.raises(HubError, match="KeyError"):
        client.events("itest-unknown").run_ended("d", "r", 1)


def test_nothing_but_what_tests_need_can_be_called(client: HubClient) -> None:
    for method, stack in (("finish", ""), ("events", ""), ("wait", "itest-shared")):
        with pytest.raises(HubError, match=f"no method '{method}'"):
            client.call(method, stack=stack)


def test_many_ask_at_the_same_time(client: HubClient) -> None:
    with ThreadPoolExecutor(max_workers=50) as pool:
        found = list(pool.map(client.lease, (f"gw{n}" for n in range(200))))
    assert found == [f"itest-gw{n}" for n in range(200)]


def test_there_is_room_for_one_private_stack_on_any_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 64)
    assert pool_size(10**9) == 1, "no memory to spare"
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    assert pool_size(1) == 1, "no core to spare"
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    assert pool_size(1) == 4
