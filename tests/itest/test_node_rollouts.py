"""Rollouts to nodes in waves, and to a single subnet, on the whole mirror."""

from datetime import UTC, datetime, timedelta

import pytest

from harness.environment import Environment
from harness.mocks.readers import IcReader, SlackReader
from harness.waits import eventually

OLD = "e915efecc8af90993ccfc499721ebe826aadba60"
NEW = "0123456789abcdef0123456789abcdef01234567"
BOUNDARY = "rollout_ic_os_to_api_boundary_nodes"
HOSTS = "rollout_ic_os_to_hosts"
UNASSIGNED = "rollout_ic_os_to_unassigned_nodes"
SUBNET = "rollout_ic_os_to_subnet"
ANY_TIME = {
    "days": ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"],
    "hours": "0:00-24:00",
    "interval_hours": 0,
    "wait_for_others": False,
    "sensor_interval": 1,
    "simulate": False,
}


def node(
    name: str, subnet: str | None = None, *, boundary: bool = False, stuck: bool = False
) -> dict[str, object]:
    return {
        "node_id": f"{name}-mock",
        "subnet_id": subnet,
        "is_api_boundary_node": boundary,
        "guestos_version_id": OLD,
        "hostos_version_id": OLD,
        "stuck": stuck,
    }


def made_at(ic: IcReader) -> list[datetime]:
    return [datetime.fromtimestamp(p.created, UTC) for p in reversed(ic.proposals())]


@pytest.mark.slow_on("2.11", reason="its rounds are heavier there; others of these rollouts run on it, too")
@pytest.mark.private_stack(clock=True)
def test_waves_begin_in_allowed_hours_only_also_after_days_in_which_the_run_was_paused(
    env: Environment, slack: SlackReader, ic: IcReader
) -> None:
    ic.set_nodes([node(f"b{n}", boundary=True, stuck=n == 2) for n in range(5)])
    ic.settings(acceptance_delay=1800, upgrade_delay=600)
    today = env.clock.now()
    monday = datetime(today.year, today.month, today.day, tzinfo=UTC) + timedelta(days=14 - today.weekday())
    env.clock.set(monday - timedelta(days=4, hours=9))  # Wednesday, 15:00
    conf = {"version": NEW, "waves": "1, 2", "tolerance": "50%", "interval_hours": 20, "hours": "9:00-16:00"}
    run = env.airflow.trigger(BOUNDARY, {**conf, "sensor_interval": 600, "simulate": False})
    ended = "SELECT 1 FROM task_instance WHERE task_id = 'wave_2.wait_for_no_alerts' AND state = 'success'"
    env.clock.skip_until(lambda: env.database.rows(ended), "Thursday's wave to end")
    env.airflow.call("PATCH", f"/dags/{BOUNDARY}", json={"is_paused": True})
    env.clock.set(monday + timedelta(hours=10))
    env.clock.set(monday + timedelta(days=2, hours=20))
    assert len(ic.proposals()) == 2
    env.airflow.call("PATCH", f"/dags/{BOUNDARY}", json={"is_paused": False})
    env.clock.skip_until_ended(run)
    assert run.wait() == "success"

    waves = [p.node_ids for p in reversed(ic.proposals())]
    assert waves == [("b0-mock",), ("b1-mock", "b2-mock"), ("b3-mock", "b4-mock")]
    first, second, third = made_at(ic)
    wednesday = monday - timedelta(days=5)
    expected = (
        wednesday + timedelta(hours=15),
        # Twenty hours after the first: Thursday at eleven.
        wednesday + timedelta(days=1, hours=11),
        # Friday to Sunday are not allowed; on Monday the run is paused, and on Wednesday evening it is too late.
        monday + timedelta(days=3, hours=9),
    )
    late = [moment - due for moment, due in zip((first, second, third), expected, strict=True)]
    assert all(timedelta(0) <= delay < timedelta(minutes=5) for delay in late), late
    assert {n["node_id"] for n in ic.nodes() if n["guestos_version_id"] == NEW} == {
        f"b{n}-mock" for n in range(5)
    }
    assert "to 5 API boundary nodes in 3 waves finished: 3 proposals made." in slack.messages()[-1].text
    assert "not b2; 1 may be missing" in run.logs("wave_2.wait_for_revision")


def test_all_unassigned_nodes_are_upgraded_by_one_proposal(
    env: Environment, slack: SlackReader, ic: IcReader
) -> None:
    ic.set_nodes([*(node(f"u{n}") for n in range(4)), node("b0", boundary=True)])
    run = env.airflow.trigger(UNASSIGNED, {**ANY_TIME, "version": NEW})
    run.wait()
    (proposal,) = ic.proposals()
    assert (proposal.action, proposal.status) == ("DeployGuestosToAllUnassignedNodes", "EXECUTED")
    upgraded = [n["node_id"] for n in ic.nodes() if n["guestos_version_id"] == NEW]
    assert upgraded == [f"u{n}-mock" for n in range(4)]
    request, summary = slack.messages("#ic-os-rollout")
    assert f"which upgrades *4 unassigned nodes* to GuestOS `{NEW}`" in request.text
    assert "to 4 unassigned nodes in 1 wave finished: 1 proposal made." in summary.text


def test_hosts_of_one_subnet_are_upgraded_one_wave_after_the_other_and_wait_for_alerts(
    env: Environment, slack: SlackReader, ic: IcReader
) -> None:
    ic.set_nodes([node(f"m{n}", "s1") for n in range(4)])
    ic.raise_alert("m0-mock", "IC_HostDown")
    run = env.airflow.trigger(
        HOSTS, {**ANY_TIME, "version": NEW, "waves": "100%", "nodes": "m0, m1", "tolerance": "0"}
    )
    run.wait_for_task("wave_1.wait_for_no_alerts", "deferred")
    assert [p.node_ids for p in ic.proposals()] == [("m0-mock",)]
    ic.clear_alert("m0-mock", "IC_HostDown")
    run.wait()
    assert [p.node_ids for p in ic.proposals()] == [("m1-mock",), ("m0-mock",)]
    assert [n["node_id"] for n in ic.nodes() if n["hostos_version_id"] == NEW] == ["m0-mock", "m1-mock"]
    assert "to 2 hosts in 2 waves finished: 2 proposals made." in slack.messages()[-1].text


@pytest.mark.parametrize("dag_id", [BOUNDARY, HOSTS, UNASSIGNED])
def test_a_simulation_of_waves_proposes_nothing(
    env: Environment, slack: SlackReader, ic: IcReader, dag_id: str
) -> None:
    ic.set_nodes([node("u0"), node("b0", boundary=True)])
    run = env.airflow.trigger(dag_id, {"version": NEW, "simulate": True, "start_at": "2024-01-01 9:00"})
    run.wait()
    assert ic.proposals() == []
    assert {call.dry_run for call in ic.admin_calls()} == {True}
    assert [m.text.startswith("Simulated rollout") for m in slack.messages()] == [True]


@pytest.mark.usefixtures("registry")
def test_a_single_subnet_is_upgraded_and_no_other(env: Environment, slack: SlackReader, ic: IcReader) -> None:
    ic.settings(auto=False)
    conf = {"git_revision": NEW, "subnet": "vcpt7", "simulate": False, "sensor_interval": 1}
    run = env.airflow.trigger(SUBNET, {**conf, "wait_for_others": False})
    (made,) = eventually(ic.proposals, "the proposal", 120)
    assert made.subnet_id.startswith("vcpt7-")
    ic.accept(made.proposal_id)
    run.wait()
    assert [s["subnet_id"] for s in ic.registry() if s["replica_version_id"] == NEW] == [made.subnet_id]
    request, summary = slack.messages("#ic-os-rollout")
    assert "*vcpt7*" in request.text
    assert "to 1 subnet in 1 batch" in summary.text
