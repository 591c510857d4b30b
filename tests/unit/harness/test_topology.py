"""A topology cannot be put together wrongly, and pods lower to what production runs."""

import pytest

from harness.catalog import BUILDABLE, build
from harness.images import DATABASE_KINDS, DatabaseKind
from harness.services import speed
from harness.topology import (
    CONTENT_DIR,
    After,
    Pod,
    Service,
    Topology,
    TopologyError,
    fill,
    in_sandbox,
)


def topology(*services: Service) -> Topology:
    return Topology("t", "3.3.2", services, ())


def test_a_pod_lowers_to_init_syncer_main_and_sidecar_in_one_sandbox_on_one_content_volume() -> None:
    pod = Pod(Service("worker-1", "airflow", 64), {"A": "b"})
    sandbox, init, main, sidecar = pod.services()
    assert (init.command, sidecar.command) == (("once",), ("run",))
    assert init.one_shot
    volumes = {m.volume for s in (init, main, sidecar) for m in s.mounts if m.target == CONTENT_DIR}
    assert volumes == {"worker-1-content"}
    assert After("worker-1-init", "completed") in main.after
    assert After("worker-1-init", "completed") in sidecar.after
    assert {s.network_of for s in (init, main, sidecar)} == {sandbox.name}
    assert After(sandbox.name) in init.after, "nothing of the pod runs before its way out is closed"
    assert (sandbox.hostname, sandbox.aliases) == ("worker-1", ("worker-1",))


def test_a_sandbox_takes_over_all_that_belongs_to_the_network() -> None:
    service = Service("mocks", "m", 64, aliases=("slack.com",), fixed_address=True, forwarded_ports=(80,))
    sandbox, inside = in_sandbox(service)
    assert (sandbox.aliases, sandbox.fixed_address) == (("mocks", "slack.com"), True)
    assert (inside.aliases, inside.fixed_address, inside.forwarded_ports) == ((), False, (80,))


def test_sharing_the_network_of_what_is_no_sandbox_is_refused() -> None:
    with pytest.raises(TopologyError, match="a shares the network of b, which is no sandbox"):
        topology(Service("a", "x", 64, network_of="b"), Service("b", "x", 64))


def test_the_memory_of_a_stack_is_what_its_lasting_containers_may_hold() -> None:
    assert topology(Service("a", "x", 100), Service("b", "x", 50, one_shot=True)).memory == 100


def test_two_services_of_one_name_are_refused() -> None:
    with pytest.raises(TopologyError, match="two services are called a"):
        topology(Service("a", "x", 64), Service("a", "y", 64))


def test_waiting_for_a_service_that_does_not_exist_is_refused() -> None:
    with pytest.raises(TopologyError, match="a waits for b, which does not exist"):
        topology(Service("a", "x", 64, after=(After("b"),)))


def test_waiting_for_the_health_of_a_service_without_healthcheck_is_refused() -> None:
    with pytest.raises(TopologyError, match="has no healthcheck"):
        topology(Service("a", "x", 64, after=(After("b"),)), Service("b", "x", 64))


def test_waiting_for_a_lasting_service_to_complete_is_refused() -> None:
    with pytest.raises(TopologyError, match="not a one-shot"):
        topology(Service("a", "x", 64, after=(After("b", "completed"),)), Service("b", "x", 64))


def test_host_ports_are_refused_inside_the_closed_network() -> None:
    with pytest.raises(TopologyError, match="a publishes host ports"):
        topology(Service("a", "x", 64, published_ports=(80,)))


def test_placeholders_are_listed_and_filled_and_a_missing_one_is_an_error() -> None:
    made = topology(Service("a", "x", 64, environment={"URL": "http://u:${ITEST_TOKEN}@h", "SHELL": "$HOME"}))
    assert made.settings() == ("ITEST_TOKEN",)
    assert fill("${ITEST_TOKEN} $HOME", {"ITEST_TOKEN": "t"}) == "t $HOME"
    with pytest.raises(KeyError, match="ITEST_TOKEN"):
        fill("${ITEST_TOKEN}", {})


@pytest.mark.parametrize(("name", "kind"), BUILDABLE)
def test_every_airflow_container_of_the_catalog_is_in_a_sandbox_without_a_way_out(
    name: str, kind: DatabaseKind
) -> None:
    made = build(name, kind)
    for service in made.services():
        if service.image in ("airflow", "syncer", "mocks"):
            assert service.network_of, service.name
            assert not service.edge, service.name
    assert [s.name for s in made.services() if s.edge] == ["gateway"]


def test_a_faithful_mirror_has_none_of_the_settings_for_speed() -> None:
    quick, faithful = build("default", "stand-in"), build("default", "stand-in", faithful=True)
    for pod, plain in zip(quick.pods, faithful.pods, strict=True):
        assert pod.main.environment.keys() - plain.main.environment.keys() == {
            setting.variable for setting in speed.of_line("3")
        }, pod.name
        assert plain.main.cpu_shares == 1024
    assert "--without-mingle" in quick.service("worker-1").command
    assert "--without-mingle" not in faithful.service("worker-1").command


@pytest.mark.parametrize("kind", DATABASE_KINDS)
def test_a_stack_migrates_at_its_start_only_without_a_template(kind: DatabaseKind) -> None:
    assert [s.name for s in build("default", kind).services() if s.name == "migrate"] == []
    assert "database-template" in build("default", kind).images()
    empty = build("default", kind, template=False)
    assert After("migrate", "completed") in empty.service("scheduler").after
    assert "database-template" not in empty.images()
