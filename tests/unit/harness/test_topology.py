"""A topology cannot be put together wrongly, and pods lower to what production runs."""

import pytest

from harness.catalog import TOPOLOGIES
from harness.images import DATABASE_KINDS
from harness.topology import CONTENT_DIR, After, Pod, Service, Topology, TopologyError, fill


def topology(*services: Service) -> Topology:
    return Topology("t", "3.3.2", services, ())


def test_a_pod_lowers_to_init_syncer_main_and_sidecar_on_one_content_volume() -> None:
    pod = Pod(Service("worker-1", "airflow"), {"A": "b"})
    init, main, sidecar = pod.services()
    assert (init.command, sidecar.command) == (("once",), ("run",))
    assert init.one_shot
    volumes = {m.volume for s in (init, main, sidecar) for m in s.mounts if m.target == CONTENT_DIR}
    assert volumes == {"worker-1-content"}
    assert After("worker-1-init", "completed") in main.after
    assert After("worker-1-init", "completed") in sidecar.after


def test_two_services_of_one_name_are_refused() -> None:
    with pytest.raises(TopologyError, match="two services are called a"):
        topology(Service("a", "x"), Service("a", "y"))


def test_waiting_for_a_service_that_does_not_exist_is_refused() -> None:
    with pytest.raises(TopologyError, match="a waits for b, which does not exist"):
        topology(Service("a", "x", after=(After("b"),)))


def test_waiting_for_the_health_of_a_service_without_healthcheck_is_refused() -> None:
    with pytest.raises(TopologyError, match="has no healthcheck"):
        topology(Service("a", "x", after=(After("b"),)), Service("b", "x"))


def test_waiting_for_a_lasting_service_to_complete_is_refused() -> None:
    with pytest.raises(TopologyError, match="not a one-shot"):
        topology(Service("a", "x", after=(After("b", "completed"),)), Service("b", "x"))


def test_host_ports_are_refused_inside_the_closed_network() -> None:
    with pytest.raises(TopologyError, match="a publishes host ports"):
        topology(Service("a", "x", published_ports=(80,)))


def test_placeholders_are_listed_and_filled_and_a_missing_one_is_an_error() -> None:
    made = topology(Service("a", "x", environment={"URL": "http://u:${ITEST_TOKEN}@h", "SHELL": "$HOME"}))
    assert made.settings() == ("ITEST_TOKEN",)
    assert fill("${ITEST_TOKEN} $HOME", {"ITEST_TOKEN": "t"}) == "t $HOME"
    with pytest.raises(KeyError, match="ITEST_TOKEN"):
        fill("${ITEST_TOKEN}", {})


@pytest.mark.parametrize("kind", DATABASE_KINDS)
@pytest.mark.parametrize("name", TOPOLOGIES)
def test_every_airflow_container_of_the_catalog_is_a_guarded_pod_without_a_way_out(
    name: str, kind: str
) -> None:
    made = TOPOLOGIES[name](kind)  # type: ignore[arg-type]
    for service in made.services():
        if service.image in ("airflow", "syncer"):
            assert service.guarded, service.name
            assert not service.edge, service.name
    assert [s.name for s in made.services() if s.edge] == ["gateway"]
