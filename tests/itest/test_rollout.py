"""A real rollout, end to end: plan on a sheet, proposals, votes, upgrades, alerts, summary."""

import re

import pytest

from harness.environment import Environment
from harness.mocks.readers import IcReader, S3Reader, SheetsReader, SlackReader
from harness.waits import eventually
from tests.itest.mainnet import Rows

DAG = "rollout_ic_os_to_mainnet_subnets"
REVISION = "0123456789abcdef0123456789abcdef01234567"
SHEET = "1RealRolloutPlan"
PAST_WEEK = "2026-11-02"
ROLLOUT_MINUTES = 25


def conf(**changes: object) -> dict[str, object]:
    base = {
        "git_revision": REVISION,
        "week": PAST_WEEK,
        "spreadsheet_id": SHEET,
        "simulate": False,
        "sensor_interval": 1,
        # Other tests' runs of the same DAG, on the same stack, are in worlds of their own.
        "wait_for_others": False,
    }
    return {**base, **changes}


@pytest.mark.starts_first
@pytest.mark.slow_on("2.11", reason="it takes eight minutes there, beside others")
@pytest.mark.usefixtures("registry")
def test_the_real_plan_for_a_past_week_is_rolled_out(
    env: Environment, slack: SlackReader, sheets: SheetsReader, s3: S3Reader, ic: IcReader, known_plan: Rows
) -> None:
    sheets.put(SHEET, PAST_WEEK, known_plan)
    ic.settings(acceptance_delay=2)  # votes take a while, so that most tasks wait for them in the triggerer
    run = env.airflow.trigger(DAG, conf())
    run.wait(timeout=ROLLOUT_MINUTES * 60)

    planned = [row[2].split(", ") for row in known_plan[1:] if row[2]]
    proposals = ic.proposals()
    assert len(proposals) == 42
    assert {p.subnet_id.split("-")[0] for p in proposals} == {name for batch in planned for name in batch}
    assert {(p.status, p.replica_version_id, p.proposer) for p in proposals} == {("EXECUTED", REVISION, "80")}
    assert {subnet["replica_version_id"] for subnet in ic.registry()} == {REVISION}

    messages = [m.text for m in slack.messages("#ic-os-rollout")]
    assert len(messages) == 43
    assert len(slack.messages()) == 43
    asked = [re.findall(r"proposal/(\d+)\|.*subnet \*(\w+)\*", text)[0] for text in messages[:-1]]
    order = [name for _, name in asked]
    for batch in planned:
        assert set(order[: len(batch)]) == set(batch), "batches follow each other"
        order = order[len(batch) :]
    by_subnet = {p.subnet_id.split("-")[0]: str(p.proposal_id) for p in proposals}
    assert all(by_subnet[name] == proposal for proposal, name in asked)
    assert "42 proposals made" in messages[-1]

    states = run.task_states()
    upgraded = [state for task, state in states.items() if ".wait_for_revision[" in task]
    assert upgraded == ["success"] * 42
    assert not {"failed", "upstream_failed"} & set(states.values())

    keys = s3.keys("airflow-logs")
    assert any(run.run_id in key and "create_proposal" in key for key in keys)
    log = run.logs("batch_1.subnet.create_proposal", map_index=0)
    assert by_subnet[planned[0][0]] in log
    assert "PRIVATE KEY" not in log


@pytest.mark.usefixtures("registry")
def test_the_full_plan_stops_before_the_first_proposal_and_names_the_eight(
    env: Environment, slack: SlackReader, sheets: SheetsReader, ic: IcReader, full_plan: Rows
) -> None:
    sheets.put(SHEET, PAST_WEEK, full_plan)
    run = env.airflow.trigger(DAG, conf())
    run.wait(expect="failed")
    log = run.logs("plan")
    for name in ("3zsyy", "re2t4", "2zs4v", "xlkub", "6excn", "jmfme", "rtvil", "kp5jj"):
        assert name in log
    assert "8 faults" in log
    assert ic.admin_calls() == []
    assert slack.messages() == []


@pytest.mark.usefixtures("registry")
@pytest.mark.parametrize(
    ("rows", "fault"),
    [
        ([["Monday", "9:00", "io67a, nosuch", None]], "nosuch"),
        ([["Monday", "9:00", "io67a", None], ["", "11:00", "io67a", None]], "io67a is already in"),
        ([["Monday", "25:00", "io67a", None]], "25:00"),
        ([], "empty"),
    ],
    ids=["unknown subnet", "subnet twice", "malformed time", "empty sheet"],
)
def test_a_bad_sheet_stops_the_run_with_the_fault_by_name(
    env: Environment, sheets: SheetsReader, ic: IcReader, full_plan: Rows, rows: Rows, fault: str
) -> None:
    sheets.put(SHEET, PAST_WEEK, [full_plan[0], *rows])
    run = env.airflow.trigger(DAG, conf())
    run.wait(expect="failed")
    assert fault in run.logs("plan")
    assert ic.admin_calls() == []


@pytest.mark.private_stack
@pytest.mark.usefixtures("registry")
def test_missing_variables_and_connections_are_all_named_before_any_proposal(
    env: Environment, sheets: SheetsReader, ic: IcReader, known_plan: Rows
) -> None:
    sheets.put(SHEET, PAST_WEEK, known_plan)
    env.airflow.delete_variable("dfinity.ic_admin.mainnet.proposer_key_file")
    env.airflow.delete_connection("slack.ic_os_rollout")
    run = env.airflow.trigger(DAG, conf())
    run.wait(expect="failed")
    log = run.logs("plan")
    assert "variable dfinity.ic_admin.mainnet.proposer_key_file is missing" in log
    assert "connection slack.ic_os_rollout is missing" in log
    assert ic.admin_calls() == []


@pytest.mark.usefixtures("registry")
def test_a_simulation_proposes_nothing(env: Environment, slack: SlackReader, ic: IcReader) -> None:
    plan = "Monday:\n  9:00: [io67a, xok3w]\nTuesday:\n  7:00: [pjljw]\n"
    run = env.airflow.trigger(DAG, conf(spreadsheet_id=None, plan=plan, simulate=True))
    run.wait()
    assert ic.proposals() == []
    assert {call.dry_run for call in ic.admin_calls()} == {True}
    assert len(ic.admin_calls()) == 3
    assert [m.text.startswith("Simulated") for m in slack.messages()] == [True]


@pytest.mark.usefixtures("registry")
def test_a_rejected_proposal_stops_the_rollout_before_the_next_batch(env: Environment, ic: IcReader) -> None:
    ic.settings(auto=False)
    plan = "Monday:\n  9:00: [io67a]\n  11:00: [xok3w]\n"
    run = env.airflow.trigger(DAG, conf(spreadsheet_id=None, plan=plan))
    made = eventually(ic.proposals, "the first proposal", 120)
    ic.reject(made[0].proposal_id)
    run.wait(expect="failed")
    assert len(ic.proposals()) == 1
    assert "REJECTED" in run.logs("batch_1.subnet.wait_for_acceptance", map_index=0)
    assert run.task_states()["batch_2.join"] == "upstream_failed"


@pytest.mark.usefixtures("registry")
def test_votes_are_waited_for_in_the_triggerer_and_not_on_a_worker(env: Environment, ic: IcReader) -> None:
    ic.settings(auto=False)
    plan = "Monday:\n  9:00: [io67a]\n"
    run = env.airflow.trigger(DAG, conf(spreadsheet_id=None, plan=plan))
    run.wait_for_task("batch_1.subnet.wait_for_acceptance", "deferred", map_index=0)
    ic.accept(ic.proposals()[0].proposal_id)
    run.wait()
    assert env.deferrals()[run.run_id] >= 1
    assert any(request.pod == "triggerer" for request in env.mocks.journal(service="ic_proposals"))
