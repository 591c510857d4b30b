"""The compose file says all that the topology says."""

import dataclasses
import inspect
import re
from types import ModuleType

import pytest
import yaml

from harness import compose
from harness.catalog import BUILDABLE, build
from harness.compose import render, to_compose, variables
from harness.runtime import docker
from harness.topology import After, Healthcheck, Mount, Pod, Service, Topology

FULL = Service(
    name="a",
    image="some-image",
    memory=64,
    command=("run", "$HOME", "${ITEST_TOKEN}"),
    environment={"KEY": "${ITEST_TOKEN}"},
    mounts=(Mount("v", "/v", read_only=True),),
    aliases=("a.example.org",),
    healthcheck=Healthcheck(("true",), "ready"),
    published_ports=(80,),
    edge=True,
    fixed_address=True,
    sandbox=True,
    hostname="h",
    cpu_shares=2048,
    stop_grace=7,
)


HANDLED_ELSEWHERE = {
    ("harness.compose", "forwarded_ports"),  # become the gateway's forwards in harness.services.gateway,
    ("harness.runtime.docker", "forwarded_ports"),  # a service that both translate
    ("harness.compose", "one_shot"),  # compose says it by the conditions of those that wait
}
FIELDS = [
    (translator, field.name)
    for translator in (compose, docker)
    for field in dataclasses.fields(Service)
    if (translator.__name__, field.name) not in HANDLED_ELSEWHERE
]


@pytest.mark.parametrize(("translator", "field"), FIELDS)
def test_every_field_of_a_service_is_handled_by_both_translators(translator: ModuleType, field: str) -> None:
    assert re.search(rf"\.{field}\b", inspect.getsource(translator))


def test_what_others_wait_for_is_checked_more_often() -> None:
    waiting = dataclasses.replace(FULL, name="b", after=(After("a"),))
    services = to_compose(Topology("t", "3.3.2", (FULL, waiting), ()))["services"]
    assert {name: service["healthcheck"]["interval"] for name, service in services.items()} == {
        "a": "5s",
        "b": "15s",
    }


def test_a_service_is_translated_whole() -> None:
    made = to_compose(Topology("t", "3.3.2", (FULL,), ()))["services"]["a"]
    assert made["image"] == "${ITEST_IMAGE_SOME_IMAGE:?start this with scripts/itest up --compose}"
    assert made["command"] == ["run", "$$HOME", "${ITEST_TOKEN:?start this with scripts/itest up --compose}"]
    assert made["environment"] == {"KEY": "${ITEST_TOKEN:?start this with scripts/itest up --compose}"}
    assert made["volumes"] == ["v:/v:ro"]
    assert made["networks"]["stack"]["aliases"] == ["a.example.org"]
    assert made["networks"]["stack"]["ipv4_address"].startswith("${ITEST_DNS_ADDRESS")
    assert "edge" in made["networks"]
    assert made["ports"] == ["${ITEST_BIND_ADDRESS:?start this with scripts/itest up --compose}::80"]
    assert made["dns"]
    assert made["stop_grace_period"] == "7s"
    assert made["cap_drop"] == ["ALL"]
    assert made["cap_add"] == ["NET_ADMIN", "SETUID", "SETGID"]
    assert (made["mem_limit"], made["cpu_shares"], made["hostname"]) == ("64m", 2048, "h")


def test_the_containers_of_a_pod_share_their_sandboxs_network_and_have_no_capability() -> None:
    made = to_compose(build("default", "stand-in"))["services"]
    for name in ("worker-1", "worker-1-init", "worker-1-syncer"):
        assert made[name]["network_mode"] == "service:worker-1-sandbox"
        assert "cap_add" not in made[name]
        assert not {"networks", "hostname", "dns"} & made[name].keys()


def test_all_variables_are_known_by_name() -> None:
    made = Topology("t", "3.3.2", (FULL,), ())
    text = render(made, "stand-in")
    for name in variables(made):
        assert f"${{{name}:?" in text


def test_no_secret_and_no_fixed_host_port_is_in_the_generated_files() -> None:
    for topology, kind in BUILDABLE:
        for service in yaml.safe_load(render(build(topology, kind), kind))["services"].values():
            for port in service.get("ports", ()):
                assert re.fullmatch(r"\$\{ITEST_BIND_ADDRESS:[^}]*\}::\d+", port)
            for name, value in service.get("environment", {}).items():
                if name.endswith(("_KEY", "_SECRET", "_TOKEN", "_PASSWORD")):
                    assert value.startswith("${ITEST_"), name


def test_a_pod_waits_for_its_init_syncer() -> None:
    made = to_compose(
        Topology(
            "t",
            "3.3.2",
            (Service("git-origin", "g", 64, healthcheck=Healthcheck(("true",), "ready")),),
            (Pod(Service("worker-1", "airflow", 64), {}),),
        )
    )
    waits = made["services"]["worker-1"]["depends_on"]
    assert waits == {
        "worker-1-init": {"condition": "service_completed_successfully"},
        "worker-1-sandbox": {"condition": "service_healthy"},
    }
