"""Addresses for stacks, and the decision whether a registry answers."""

import json
import threading
from ipaddress import IPv4Network
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import docker
import pytest

from harness import registry
from harness.runtime import network


def engine_with(*subnets: str) -> Any:
    networks = [SimpleNamespace(attrs={"IPAM": {"Config": [{"Subnet": s}]}}) for s in subnets]
    return SimpleNamespace(networks=SimpleNamespace(list=lambda: networks))


def test_a_subnet_that_is_in_use_is_not_drawn() -> None:
    whole_range_but_one = [str(s) for s in network.TEST_RANGE.subnets(new_prefix=24)][1:]
    with pytest.raises(RuntimeError, match="docker network prune"):
        network.free_subnet(engine_with("198.18.0.0/15"))
    drawn = network.free_subnet(engine_with(*whole_range_but_one[:10], "fd00::/64"))
    assert str(drawn) not in whole_range_but_one[:10]
    assert drawn.subnet_of(network.TEST_RANGE)


def test_the_known_address_is_the_last_usable_one() -> None:
    assert network.dns_address(IPv4Network("198.18.7.0/24")) == "198.18.7.254"


def test_a_network_that_is_there_is_found_by_its_whole_name() -> None:
    def network_of(name: str, subnet: str) -> Any:
        return SimpleNamespace(name=name, attrs={"IPAM": {"Config": [{"Subnet": subnet}]}})

    made = [network_of("itest-ab-stack", "198.18.1.0/24"), network_of("itest-a-stack", "198.18.2.0/24")]
    client: Any = SimpleNamespace(networks=SimpleNamespace(list=lambda names: made))
    assert network.existing_subnet(client, "itest-a-stack") == IPv4Network("198.18.2.0/24")
    assert network.existing_subnet(client, "itest-c-stack") is None


class Engine:
    """An engine whose registry answers as told; counts how often it is asked."""

    def __init__(self, answer: Any) -> None:
        self.asked = 0
        self.api = SimpleNamespace(base_url="http+docker://localhost")
        self.images = SimpleNamespace(get_registry_data=self._ask)
        self._answer = answer

    def _ask(self, probe: str) -> Any:
        self.asked += 1
        return self._answer(probe)


def refuse(probe: str) -> Any:
    raise docker.errors.APIError("no such host")


def test_the_decision_is_remembered_for_the_same_engine_and_image(tmp_path: Path) -> None:
    engine = Engine(lambda probe: "manifest")
    cache = tmp_path / "c" / "registry.json"
    assert registry.reachable(engine, "debian", "auto", cache)  # type: ignore[arg-type]
    assert registry.reachable(engine, "debian", "auto", cache)  # type: ignore[arg-type]
    assert engine.asked == 1
    assert registry.reachable(engine, "other", "auto", cache)  # type: ignore[arg-type]
    assert engine.asked == 2


def test_a_registry_that_refuses_is_unreachable(tmp_path: Path) -> None:
    cache = tmp_path / "registry.json"
    assert not registry.reachable(Engine(refuse), "debian", "auto", cache)  # type: ignore[arg-type]
    assert json.loads(cache.read_text())["reachable"] is False


def test_a_registry_that_hangs_is_given_up_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "DECIDE_WITHIN", 0.05)
    released = threading.Event()
    engine = Engine(lambda probe: released.wait(10))
    try:
        assert not registry.reachable(engine, "debian", "auto", tmp_path / "r.json")  # type: ignore[arg-type]
    finally:
        released.set()


def test_an_override_asks_nobody(tmp_path: Path) -> None:
    engine = Engine(refuse)
    assert registry.reachable(engine, "debian", "always", tmp_path / "r.json")  # type: ignore[arg-type]
    assert not registry.reachable(engine, "debian", "never", tmp_path / "r.json")  # type: ignore[arg-type]
    assert engine.asked == 0
