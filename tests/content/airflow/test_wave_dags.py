"""The DAGs of nodes and of a single subnet, run in this process by `dag.test()`."""

import importlib
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from in_memory_ic import NEW, OLD, SUBNETS, InMemoryIc

States = Mapping[str, Counter[str]]
Run = Callable[..., States]
BOUNDARY = "rollout_ic_os_to_api_boundary_nodes"
HOSTS = "rollout_ic_os_to_hosts"
UNASSIGNED = "rollout_ic_os_to_unassigned_nodes"
STEPS = (
    "wait_for_start",
    "create_proposal",
    "request_votes",
    "wait_for_acceptance",
    "wait_for_revision",
    "wait_for_no_alerts",
)
ALWAYS = {
    "days": ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"],
    "hours": "0:00-24:00",
}


@pytest.fixture
def run(database: None, ic: InMemoryIc, slack: list[Any], credentials: pytest.MonkeyPatch) -> Run:
    """Runs a DAG now, whatever the hour: `{task id: {state: instances}}`. No task is tried again."""
    ic.nodes = [
        *(node(f"b{n}-x", boundary=True) for n in range(4)),
        *(node(f"u{n}-x") for n in range(10)),
        *(node(f"m{n}-x", subnet=SUBNETS[0]) for n in range(4)),
    ]

    def run_dag(dag_id: str, **conf: Any) -> States:
        dag = importlib.import_module(dag_id).dag
        for task in dag.tasks:
            credentials.setattr(task, "retries", 0)
        dag_run = dag.test(run_conf={"simulate": False, "sensor_interval": 1, **conf})
        states: dict[str, Counter[str]] = {}
        for ti in dag_run.get_task_instances():
            states.setdefault(ti.task_id, Counter())[str(ti.state)] += 1
        return states

    return run_dag


def node(name: str, subnet: str | None = None, *, boundary: bool = False) -> dict[str, Any]:
    return {
        "node_id": name,
        "subnet_id": subnet,
        "is_api_boundary_node": boundary,
        "guestos_version_id": OLD,
        "hostos_version_id": OLD,
    }


def at(ic: InMemoryIc, kind: str) -> list[str]:
    return [n["node_id"] for n in ic.nodes if n[kind] == NEW]


def test_api_boundary_nodes_are_upgraded_wave_after_wave(run: Run, ic: InMemoryIc, slack: list[Any]) -> None:
    states = run(BOUNDARY, version=NEW, waves="1, 2", interval_hours=0, **ALWAYS)
    proposed = [command[command.index("--nodes") + 1 : -2] for command in ic.commands]
    assert proposed == [["b0-x"], ["b1-x", "b2-x"], ["b3-x"]]
    assert at(ic, "guestos_version_id") == ["b0-x", "b1-x", "b2-x", "b3-x"]
    assert [states[f"wave_{n}.{step}"] for n in (1, 2, 3) for step in STEPS] == [{"success": 1}] * 18
    assert [states[f"wave_{n}.{step}"] for n in range(4, 13) for step in STEPS] == [{"skipped": 1}] * 54
    assert slack[-1]["text"] == (
        f"Rollout of GuestOS `{NEW}` to 4 API boundary nodes in 3 waves finished: 3 proposals made."
    )


def test_unassigned_nodes_are_upgraded_by_one_proposal_though_some_stay_behind(
    run: Run, ic: InMemoryIc, slack: list[Any]
) -> None:
    ic.stuck = {"u3-x"}
    ic.alerts = {"u3-x": 1}
    states = run(UNASSIGNED, version=NEW, tolerance="10%", **ALWAYS)
    assert set(map(str, states)) == {"plan", "summary", *(f"wave_1.{step}" for step in STEPS)}
    assert [states[task] for task in states] == [{"success": 1}] * len(states)
    (proposal,) = ic.proposals
    assert proposal["payload"] == {"elected_replica_version": NEW}
    assert "to 10 unassigned nodes in 1 wave finished: 1 proposal made." in slack[-1]["text"]


def test_hosts_are_upgraded_in_the_order_that_spares_subnets(run: Run, ic: InMemoryIc) -> None:
    run(
        HOSTS,
        version=NEW,
        waves="100%",
        interval_hours=0,
        nodes="m0, m1, m2\nm3, u0",
        tolerance="0",
        **ALWAYS,
    )
    proposed = [sorted(p["payload"]["node_ids"]) for p in reversed(ic.proposals)]
    assert sorted(name for names in proposed for name in names) == ["m0-x", "m1-x", "m2-x", "m3-x", "u0-x"]
    assert [sum(name.startswith("m") for name in names) for names in proposed] == [1, 1, 1, 1]
    assert at(ic, "hostos_version_id") == ["u0-x", "m0-x", "m1-x", "m2-x", "m3-x"]
    assert at(ic, "guestos_version_id") == []


def test_a_second_run_proposes_nothing(run: Run, ic: InMemoryIc, slack: list[Any]) -> None:
    for _ in range(2):
        run(HOSTS, version=NEW, waves="100%", interval_hours=0, nodes="u0, u1", tolerance="0", **ALWAYS)
    assert len(ic.proposals) == 1
    assert "0 proposals made, 1 proposal existed already." in slack[-1]["text"]


def test_a_simulation_of_a_past_plan_ends_at_once_and_proposes_nothing(
    run: Run, ic: InMemoryIc, slack: list[Any]
) -> None:
    states = run(HOSTS, version=NEW, simulate=True, start_at="2024-01-01 7:00")
    assert states["summary"] == {"success": 1}
    assert ic.proposals == []
    assert ["--dry-run" in command for command in ic.commands] == [True] * len(ic.commands)
    assert [message["text"].startswith("Simulated rollout") for message in slack] == [True]


def test_all_faults_of_a_plan_are_named_at_once(
    run: Run, ic: InMemoryIc, capfd: pytest.CaptureFixture[str]
) -> None:
    states = run(HOSTS, version=NEW, waves="0", hours="16-7", tolerance="x", start_at="tomorrow")
    output = "".join(capfd.readouterr())
    assert states["plan"] == {"failed": 1}
    assert "4 faults, no proposal was made" in output
    for fault in (
        "waves: a wave has at least one node",
        "hours: '16-7'",
        "tolerance: 'x'",
        "start_at 'tomorrow'",
    ):
        assert fault in output
    assert ic.commands == []


def test_a_single_subnet_is_upgraded(run: Run, ic: InMemoryIc, slack: list[Any]) -> None:
    states = run("rollout_ic_os_to_subnet", git_revision=NEW, subnet="vcpt7")
    assert [states[task] for task in states] == [{"success": 1}] * len(states)
    assert {name: ic.running[name] for name in SUBNETS if ic.running[name] == NEW} == {SUBNETS[2]: NEW}
    assert "to 1 subnet in 1 batch" in slack[-1]["text"]


def test_a_subnet_that_the_registry_does_not_know_is_refused(
    run: Run, ic: InMemoryIc, capfd: pytest.CaptureFixture[str]
) -> None:
    states = run("rollout_ic_os_to_subnet", git_revision=NEW, subnet="nosuch")
    assert states["plan"] == {"failed": 1}
    assert "the registry has no subnet nosuch" in "".join(capfd.readouterr())
