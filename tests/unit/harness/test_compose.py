"""The compose file says all that the topology says."""

import dataclasses
import inspect
import re
from types import ModuleType

import pytest
import yaml

from harness import compose
from harness.catalog import TOPOLOGIES
from harness.compose import render, to_compose, variables
from harness.runtime import docker
from harness.topology import Healthcheck, Mount, Pod, Service, Topology

FULL = Service(
    name="a",
    image="some-image",
    command=("run", "$HOME", "${ITEST_TOKEN}"),
    environment={"KEY": "${ITEST_TOKEN}"},
    mounts=(Mount("v", "/v", read_only=True),),
    aliases=("a.example.org",),
    healthcheck=Healthcheck(("true",)),
    published_ports=(80,),
    edge=True,
    fixed_address=True,
    guarded=True,
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


def test_a_service_is_translated_whole() -> None:
    made = to_compose(Topology("t", "3.3.2", (FULL,), ()))["services"]["a"]
    assert made["image"] == "${ITEST_IMAGE_SOME_IMAGE:?start this with make up}"
    assert made["command"] == ["run", "$$HOME", "${ITEST_TOKEN:?start this with make up}"]
    assert made["environment"] == {"KEY": "${ITEST_TOKEN:?start this with make up}"}
    assert made["volumes"] == ["v:/v:ro"]
    assert made["networks"]["stack"]["aliases"] == ["a.example.org"]
    assert made["networks"]["stack"]["ipv4_address"].startswith("${ITEST_DNS_ADDRESS")
    assert "edge" in made["networks"]
    assert made["ports"] == ["${ITEST_BIND_ADDRESS:?start this with make up}::80"]
    assert made["dns"]
    assert made["stop_grace_period"] == "7s"
    assert made["cap_drop"] == ["ALL"]


def test_all_variables_are_known_by_name() -> None:
    made = Topology("t", "3.3.2", (FULL,), ())
    text = render(made, "stand-in")
    for name in variables(made):
        assert f"${{{name}:?" in text


def test_no_secret_and_no_fixed_host_port_is_in_the_generated_files() -> None:
    for build in TOPOLOGIES.values():
        for service in yaml.safe_load(render(build("stand-in"), "stand-in"))["services"].values():
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
            (
                Service("git-origin", "g", healthcheck=Healthcheck(("true",))),
                Service("mocks", "m", healthcheck=Healthcheck(("true",))),
            ),
            (Pod(Service("worker-1", "airflow"), {}),),
        )
    )
    waits = made["services"]["worker-1"]["depends_on"]
    assert waits == {"worker-1-init": {"condition": "service_completed_successfully"}}
