"""The rollout DAG as a whole, run in this process by `dag.test()`."""

import runpy
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_0_PLUS
from in_memory_ic import NEW, SUBNETS, InMemoryIc

PLAN = """
Monday:
  9:00: [io67a, xok3w]
  11:00: [vcpt7]
Tuesday next week:
  7:00: {subnets: [tdb26], batch: 30}
"""
CONF = {"git_revision": NEW, "week": "2024-01-01", "plan": PLAN, "simulate": False, "sensor_interval": 1}
STEPS = ("create_proposal", "request_votes", "wait_for_acceptance", "wait_for_revision", "wait_for_no_alerts")
States = Mapping[str, Counter[str]]
Run = Callable[..., States]


@pytest.fixture
def run(database: None, ic: InMemoryIc, slack: list[Any], credentials: pytest.MonkeyPatch) -> Run:
    """Runs the DAG with the plan of a past week: `{task id: {state: instances}}`. No task is tried again."""

    def run_dag(**conf: Any) -> States:
        from rollout_ic_os_to_mainnet_subnets import dag

        for task in dag.tasks:
            credentials.setattr(task, "retries", 0)
        dag_run = dag.test(run_conf=CONF | conf)
        states: dict[str, Counter[str]] = {}
        for ti in dag_run.get_task_instances():
            states.setdefault(ti.task_id, Counter())[str(ti.state)] += 1
        return states

    return run_dag


def test_every_subnet_is_upgraded_in_the_order_of_the_plan(
    run: Run, ic: InMemoryIc, slack: list[Any]
) -> None:
    ic.alerts[SUBNETS[0]] = 2
    states = run()
    proposed = [command[-2] for command in ic.commands]
    assert (set(proposed[:2]), proposed[2:]) == (set(SUBNETS[:2]), [SUBNETS[2], SUBNETS[4]])
    assert [ic.running[subnet] == NEW for subnet in SUBNETS] == [True, True, True, False, True]
    assert [states[f"batch_{n}.subnet.{step}"] for n in (1, 2, 30) for step in STEPS] == [
        *[{"success": 2}] * 5,
        *[{"success": 1}] * 10,
    ]
    assert {message["channel"] for message in slack} == {"#ic-os-rollout"}
    *votes, end = [message["text"] for message in slack]
    assert [text.split(":")[0] for text in votes] == ["Batch 1", "Batch 1", "Batch 2", "Batch 30"]
    assert sorted(subnet for text in votes for subnet in SUBNETS if subnet in text) == sorted(proposed)
    assert "4 subnets in 3 batches (week of 2024-01-01) finished: 4 proposals made." in end


def test_a_run_with_nothing_to_upgrade_passes_its_batches_and_skips_only_those_not_in_the_plan(
    run: Run, ic: InMemoryIc, slack: list[Any]
) -> None:
    ic.running = dict.fromkeys(SUBNETS, NEW)
    states = run()
    unused = [
        states[f"batch_{n}.{task}"]
        for n in range(3, 30)
        for task in ("wait_for_start", *(f"subnet.{step}" for step in STEPS))
    ]
    assert unused == [{"skipped": 1}] * len(unused)
    assert [states[f"batch_{n}.join"] for n in range(1, 31)] == [{"success": 1}] * 30
    assert states["batch_30.subnet.wait_for_no_alerts"] == {"success": 1}
    assert ic.commands == []
    assert [message["text"].split("finished: ")[1] for message in slack] == [
        "0 proposals made, 4 subnets had the revision already."
    ]


def test_nothing_after_the_last_batch_of_the_plan_is_left_to_do(run: Run, slack: list[Any]) -> None:
    states = run(plan="Monday:\n  9:00: [io67a]\n  11:00: {subnets: [vcpt7], batch: 3}\n")
    assert [states[f"batch_{n}.join"] for n in range(1, 31)] == [{"success": 1}] * 3 + [{"skipped": 1}] * 27
    assert states["batch_2.wait_for_start"] == {"skipped": 1}
    assert states["summary"] == {"success": 1}
    assert "2 subnets in 2 batches" in slack[-1]["text"]


def test_a_proposal_that_is_rejected_stops_the_following_batches(
    run: Run, ic: InMemoryIc, slack: list[Any]
) -> None:
    ic.final_status[SUBNETS[0]] = "REJECTED"
    states = run()
    assert states["batch_1.subnet.wait_for_acceptance"] == {"failed": 1, "success": 1}
    assert states["batch_1.join"] == states["batch_2.wait_for_start"] == {"upstream_failed": 1}
    assert states["batch_30.wait_for_start"] == states["summary"] == {"upstream_failed": 1}
    assert {command[-2] for command in ic.commands} == set(SUBNETS[:2])
    assert not any("finished" in message["text"] for message in slack)


def test_a_simulation_proposes_nothing_and_posts_only_its_summary(
    run: Run, ic: InMemoryIc, slack: list[Any]
) -> None:
    ic.alerts = dict.fromkeys(SUBNETS, 1000)
    states = run(simulate=True)
    assert states["summary"] == {"success": 1}
    assert ["--dry-run" in command for command in ic.commands] == [True] * 4
    assert (ic.proposals, len(slack)) == ([], 1)
    assert slack[0]["text"].startswith("Simulated rollout")


def test_a_run_that_cannot_start_names_all_its_faults_and_proposes_nothing(
    run: Run,
    ic: InMemoryIc,
    slack: list[Any],
    credentials: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    credentials.delenv("AIRFLOW_VAR_DFINITY.IC_ADMIN.MAINNET.PROPOSER_KEY_FILE")
    credentials.delenv("AIRFLOW_CONN_SLACK.IC_OS_ROLLOUT")
    states = run(plan="Monday:\n  9:00: [io67a, nosuch]\n", spreadsheet_id="")
    output = "".join(capfd.readouterr())
    assert states["plan"] == {"failed": 1}
    assert states["batch_1.wait_for_start"] == {"upstream_failed": 1}
    assert "3 faults, no proposal was made" in output
    assert "the registry has no subnet nosuch" in output
    assert "variable dfinity.ic_admin.mainnet.proposer_key_file is missing" in output
    assert "connection slack.ic_os_rollout is missing" in output
    assert (ic.commands, slack) == ([], [])


@pytest.mark.skipif(not AIRFLOW_V_3_0_PLUS, reason="task processes of Airflow 2 schedule, and need all tasks")
@pytest.mark.parametrize("task_id", ["batch_3.wait_for_start", "batch_3.subnet.wait_for_revision"])
def test_a_process_that_runs_a_task_builds_its_batch_alone_and_as_it_is_in_the_whole(
    task_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import rollout_ic_os_to_mainnet_subnets as whole

    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", whole.dag.dag_id)
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_TASK_ID", task_id)
    part = runpy.run_path(str(whole.__file__))["dag"]
    own = {one for one in whole.dag.task_ids if one.startswith("batch_3.")}
    assert set(part.task_ids) == own | {"plan", "summary"}
    assert len(own) == 7
    for one in own:
        ours, theirs = part.get_task(one), whole.dag.get_task(one)
        assert (type(ours), ours.trigger_rule, ours.retries) == (
            type(theirs),
            theirs.trigger_rule,
            theirs.retries,
        )
        assert ours.upstream_task_ids == theirs.upstream_task_ids & set(part.task_ids)
        assert ours.downstream_task_ids == theirs.downstream_task_ids & set(part.task_ids)
