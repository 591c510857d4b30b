"""What happens to rollouts in days and weeks, on the virtual clock: late votes, stalls, pauses, edits, losses."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from lost_worker import kill

from harness.airflow import DagRun
from harness.checks import Expected, exactly_once
from harness.environment import Environment
from harness.mocks.readers import IcReader, SheetsReader, SlackReader
from harness.mocks.readers.slack import SlackMessage

pytestmark = [pytest.mark.slow, pytest.mark.private_stack(clock=True), pytest.mark.usefixtures("registry")]

DAG = "rollout_ic_os_to_mainnet_subnets"
REVISION = "0123456789abcdef0123456789abcdef01234567"
FEATURE = "fedcba9876543210fedcba9876543210fedcba98"
SHEET = "1RolloutPlan"
HEADER: list[str | None] = ["Day", "Time (UTC)", "Subnets", "Batch", "Features"]
SOON = timedelta(minutes=5)
"""What counts as at once: some seconds of virtual time pass while tasks work."""
HOUR = 3600


@pytest.fixture
def monday(env: Environment) -> datetime:
    """A Monday to come, at midnight; it is the Sunday before, noon."""
    today = env.clock.now()
    coming = datetime(today.year, today.month, today.day, tzinfo=UTC) + timedelta(days=14 - today.weekday())
    env.clock.set(coming - timedelta(hours=12))
    return coming


@pytest.fixture(autouse=True)
def decided_at_once(ic: IcReader) -> None:
    """Where no scenario says otherwise. Whether a first look finds it would depend on how quick tasks are, and the next
    look may be hours later."""
    ic.settings(acceptance_delay=0, upgrade_delay=0)


def conf(monday: datetime, plan: str | None, **changes: object) -> dict[str, object]:
    base = {"git_revision": REVISION, "week": f"{monday:%Y-%m-%d}", "plan": plan, "simulate": False}
    return {**base, **changes}


def at(message: SlackMessage) -> datetime:
    return datetime.fromtimestamp(float(message.ts), UTC)


def assert_at_once(
    moments: Sequence[datetime], expected: Sequence[datetime], within: timedelta = SOON
) -> None:
    late = [moment - due for moment, due in zip(moments, expected, strict=True)]
    assert all(timedelta(0) <= delay < within for delay in late), (moments, expected)


def has_ended(env: Environment, run: DagRun, task_id: str) -> bool:
    """Whether the task has succeeded: asked many times a second, so not through Airflow's API."""
    query = "SELECT 1 FROM task_instance WHERE run_id = %s AND task_id = %s AND state = 'success'"
    return bool(env.database.rows(query, [run.run_id, task_id]))


def stalls(slack: SlackReader) -> list[SlackMessage]:
    return [message for message in slack.messages("#ic-os-rollout") if "is stalled" in message.text]


def proposed(ic: IcReader) -> list[tuple[str, datetime]]:
    """Subnet (its first group) and time of each proposal, in the order in which they were made."""
    made = sorted(ic.proposals(), key=lambda p: p.proposal_id)
    return [(p.subnet_id.split("-")[0], datetime.fromtimestamp(p.created, UTC)) for p in made]


def test_a_vote_that_comes_after_three_days_is_waited_for_and_told_daily(
    env: Environment, slack: SlackReader, ic: IcReader, monday: datetime
) -> None:
    ic.settings(acceptance_delay=timedelta(days=3).total_seconds())
    run = env.airflow.trigger(DAG, conf(monday, "Monday:\n  9:00: [io67a]\n", sensor_interval=6 * HOUR))
    env.clock.skip_until_ended(run)
    assert run.wait() == "success"

    nine = monday + timedelta(hours=9)
    request, *told, summary = slack.messages("#ic-os-rollout")
    assert_at_once([at(request)], [nine])
    # The first notice after a day, the second after two; the third would come after four.
    assert told == stalls(slack)
    assert_at_once([at(message) for message in told], [nine + timedelta(days=n) for n in (1, 2)])
    (proposal,) = ic.proposals()
    assert proposal.status == "EXECUTED"
    number = proposal.proposal_id
    assert [message.text for message in told] == [
        f"Batch 1 is stalled: *io67a* has been waiting for {span}. Now proposal {number} is OPEN."
        for span in ("24 h", "2 d")
    ]
    # The sensor sees the vote at its next look, six hours later at most; then one more for the version.
    assert timedelta(days=3) <= at(summary) - nine < timedelta(days=3, hours=13)
    assert "1 proposal made" in summary.text


def test_a_proposal_that_is_rejected_after_two_days_ends_the_rollout_before_its_next_batch(
    env: Environment, slack: SlackReader, ic: IcReader, monday: datetime
) -> None:
    ic.settings(acceptance_delay=timedelta(days=2).total_seconds(), outcome="REJECTED")
    plan = "Monday:\n  9:00: [io67a]\nTuesday:\n  9:00: [xok3w]\n"
    run = env.airflow.trigger(DAG, conf(monday, plan, sensor_interval=6 * HOUR))
    env.clock.skip_until_ended(run)
    assert run.wait(expect="failed") == "failed"
    assert [name for name, _ in proposed(ic)] == ["io67a"]
    states = run.task_states()
    assert states["batch_1.subnet.wait_for_acceptance[0]"] == "failed"
    assert states["batch_2.wait_for_start"] == states["summary"] == "upstream_failed"
    assert "is REJECTED" in run.logs("batch_1.subnet.wait_for_acceptance", map_index=0)
    tries = {
        ti.try_number
        for ti in run.task_instances()
        if ti.task_id.endswith("wait_for_acceptance") and ti.state
    }
    assert tries <= {0, 1}, "a rejected proposal is not waited for again"
    [(ended,)] = env.database.rows("SELECT end_date FROM dag_run WHERE run_id = %s", [run.run_id])
    assert timedelta(days=2) <= ended - (monday + timedelta(hours=9)) < timedelta(days=2, hours=7)
    assert not any("finished" in message.text for message in slack.messages())


def test_a_batch_waits_for_alerts_that_fire_and_goes_on_when_they_clear(
    env: Environment,
    slack: SlackReader,
    ic: IcReader,
    monday: datetime,
    registry: list[dict[str, object]],
) -> None:
    nine = monday + timedelta(hours=9)
    (subnet,) = [str(s["subnet_id"]) for s in registry if str(s["subnet_id"]).startswith("io67a-")]
    env.clock.set(nine - timedelta(minutes=5))
    ic.raise_alert(subnet, "IC_Lag", lasts=timedelta(hours=3, minutes=5).total_seconds())
    plan = "Monday:\n  9:00: [io67a]\n  10:00: [xok3w]\n"
    run = env.airflow.trigger(DAG, conf(monday, plan, sensor_interval=HOUR // 2))
    env.clock.skip_until_ended(run)
    assert run.wait() == "success"
    (first, began), (second, followed) = proposed(ic)
    assert (first, second) == ("io67a", "xok3w")
    assert_at_once([began], [nine])
    # Alerts cleared at noon; they are looked at every half hour. Batch 2 had been due at ten.
    assert timedelta(hours=3) <= followed - nine < timedelta(hours=3, minutes=45)
    told = stalls(slack)
    assert all(message.text.endswith("Now alerts fire for io67a: IC_Lag.") for message in told)
    waits = [re.findall(r"waiting for (\d+ h)", message.text)[0] for message in told]
    assert waits == ["1 h", "2 h"]


def test_a_subnet_whose_replicas_never_upgrade_is_told_and_times_out_after_a_day(
    env: Environment, slack: SlackReader, ic: IcReader, monday: datetime
) -> None:
    ic.settings(acceptance_delay=0, upgrade_delay=timedelta(days=10_000).total_seconds())
    plan = "Monday:\n  9:00: [io67a]\n  10:00: [xok3w]\n"
    run = env.airflow.trigger(DAG, conf(monday, plan, sensor_interval=HOUR))
    env.clock.skip_until_ended(run)
    assert run.wait(expect="failed") == "failed"
    nine = monday + timedelta(hours=9)
    told = stalls(slack)
    assert [re.findall(r"waiting for (\d+) h", message.text)[0] for message in told] == [
        "1",
        "2",
        "4",
        "8",
        "16",
    ]
    assert_at_once(
        [at(message) for message in told], [nine + timedelta(hours=n) for n in (1, 2, 4, 8, 16)], 2 * SOON
    )
    assert all("0 of 13 replicas of io67a report the revision" in message.text for message in told)
    assert run.task_states()["batch_1.subnet.wait_for_revision[0]"] == "failed"
    assert [name for name, _ in proposed(ic)] == ["io67a"]
    [(ended, tries)] = env.database.rows(
        "SELECT end_date, try_number FROM task_instance"
        " WHERE run_id = %s AND task_id = 'batch_1.subnet.wait_for_revision' AND map_index = 0",
        [run.run_id],
    )
    assert tries == 1
    assert timedelta(days=1) <= ended - nine < timedelta(days=1, minutes=15)


def test_a_run_that_is_paused_over_a_weekend_proposes_nothing_until_it_is_resumed(
    env: Environment, ic: IcReader, monday: datetime
) -> None:
    plan = "Friday:\n  9:00: [io67a]\nSaturday:\n  9:00: [xok3w]\n"
    run = env.airflow.trigger(DAG, conf(monday, plan, sensor_interval=60))
    env.clock.skip_until(lambda: has_ended(env, run, "batch_1.join"), "Friday's batch to end")
    env.airflow.call("PATCH", f"/dags/{DAG}", json={"is_paused": True})
    resumed = monday + timedelta(days=7, hours=8)
    env.clock.set(monday + timedelta(days=5, hours=9))
    env.clock.set(resumed)
    assert [name for name, _ in proposed(ic)] == ["io67a"]
    assert run.state == "running"
    env.airflow.call("PATCH", f"/dags/{DAG}", json={"is_paused": False})
    env.clock.skip_until_ended(run)
    assert run.wait() == "success"
    (_, friday), (later, after) = proposed(ic)
    assert later == "xok3w"
    assert_at_once([friday, after], [monday + timedelta(days=4, hours=9), resumed], 2 * SOON)


def test_a_second_rollout_begins_when_the_first_is_over(
    env: Environment, slack: SlackReader, ic: IcReader, monday: datetime
) -> None:
    nine = monday + timedelta(hours=9)
    env.clock.set(nine - timedelta(minutes=10))
    ic.settings(acceptance_delay=2 * HOUR)
    first = env.airflow.trigger(DAG, conf(monday, "Monday:\n  9:00: [io67a]\n", sensor_interval=HOUR // 2))
    first.wait_for_task("plan", "success")
    second = env.airflow.trigger(DAG, conf(monday, "Monday:\n  9:00: [xok3w]\n", sensor_interval=HOUR // 2))
    second.wait_for_task("plan", "deferred")
    # Not before: until its plan is read, nobody knows that it is a simulation.
    simulation = env.airflow.trigger(DAG, conf(monday, "Monday:\n  8:00: [xok3w]\n", simulate=True))
    env.clock.skip_until_ended(first, second, simulation)
    assert [run.wait() for run in (first, second, simulation)] == ["success"] * 3

    (one, began), (other, followed) = proposed(ic)
    assert (one, other) == ("io67a", "xok3w")
    assert_at_once([began], [nine])
    times = {
        run_id: (started, ended)
        for run_id, started, ended in env.database.rows("SELECT run_id, start_date, end_date FROM dag_run")
    }
    over = times[first.run_id][1]
    assert over <= followed < over + timedelta(minutes=45), "the next look of the one that waits"
    assert times[simulation.run_id][1] < nine, "a simulation waits for nobody"
    waits = [message.text for message in slack.messages() if "waits until" in message.text]
    assert waits == [
        f"Rollout `{second.run_id}` of `{DAG}` waits until no other one is under way: `{first.run_id}`."
    ]


def test_a_plan_that_is_edited_under_way_is_carried_out_as_edited_and_held_while_it_has_faults(
    env: Environment, slack: SlackReader, sheets: SheetsReader, ic: IcReader, monday: datetime
) -> None:
    week = f"{monday:%Y-%m-%d}"
    io67a: list[str | None] = ["Monday", "9:00", "io67a", None, None]
    plan = [HEADER, io67a, ["Tuesday", "9:00", "xok3w"], ["Wednesday", "9:00", "vcpt7"]]
    sheets.put(SHEET, week, plan)
    run = env.airflow.trigger(DAG, conf(monday, None, spreadsheet_id=SHEET, sensor_interval=60))
    env.clock.skip_until(lambda: has_ended(env, run, "batch_1.join"), "Monday's batch to end")

    # A mistake in the night: the rollout is held until it is corrected.
    tuesday = monday + timedelta(days=1)
    env.clock.skip_until(lambda: env.clock.now() > tuesday, "the next look at the sheet after midnight")
    env.clock.wait_until_idle()
    sheets.put(SHEET, week, [HEADER, io67a, ["Tuesday", "9:00", "xok3w, shefuq"], plan[3]])
    edited_at = env.clock.now()
    env.clock.skip_until(
        lambda: (
            env.clock.now() > tuesday + timedelta(hours=9, minutes=30)
            and any("is held" in message.text for message in slack.messages())
        ),
        "the batch to be held for half an hour",
    )
    assert edited_at < tuesday + timedelta(hours=9)
    assert [name for name, _ in proposed(ic)] == ["io67a"]
    edited: list[list[str | None]] = [
        HEADER,
        io67a,
        ["Tuesday", "11:00", "xok3w, shefu", None, f"shefu={FEATURE}"],
    ]
    sheets.put(SHEET, week, edited)
    env.clock.skip_until_ended(run)
    assert run.wait() == "success"

    eleven = tuesday + timedelta(hours=11)
    made = proposed(ic)
    assert [made[0][0], *sorted(name for name, _ in made[1:])] == ["io67a", "shefu", "xok3w"]
    assert_at_once([when for _, when in made], [monday + timedelta(hours=9), eleven, eleven])
    revisions = {p.subnet_id.split("-")[0]: p.replica_version_id for p in ic.proposals()}
    assert revisions == {"io67a": REVISION, "xok3w": REVISION, "shefu": FEATURE}
    texts = [message.text for message in slack.messages()]
    (notice,) = [text for text in texts if "is held" in text]
    assert "row 3: the registry has no subnet shefuq" in notice
    assert f"Batch 2 begins as edited in the sheet: with shefu, from {eleven.isoformat()}." in texts
    assert "Batch 3 begins as edited in the sheet: without vcpt7." in texts
    assert run.task_states()["batch_3.join"] == "success"
    assert "3 proposals made" in texts[-1]


@pytest.mark.only_on(
    "3", reason="a worker's death shows by its heartbeats there, which mean nothing when time is skipped"
)
def test_a_worker_lost_after_its_proposal_was_made_does_not_make_another(
    env: Environment, slack: SlackReader, ic: IcReader, monday: datetime
) -> None:
    """ic-admin's answer is lost, so the task looks for the proposal, and is killed before it has seen it."""
    stuck = 1
    ic.reset(done=True, endpoint="/_stand_in/ic-admin", map_index=stuck)
    # The first look, for a proposal made before, is answered.
    look = ic.delay(15, endpoint="/api/v3/proposals", map_index=stuck, skip=1)
    plan = "Monday:\n  9:00: [io67a, xok3w]\n"
    run = env.airflow.trigger(DAG, conf(monday - timedelta(days=7), plan, sensor_interval=60))
    env.clock.skip_until(
        lambda: look.hits() == 1 and len(ic.proposals()) == 2, "the look after the lost answer"
    )
    kill(env, run, "batch_1.subnet.create_proposal", stuck)
    look.heal()
    env.clock.skip_until_ended(run)
    assert run.wait() == "success"
    assert sorted(name for name, _ in proposed(ic)) == ["io67a", "xok3w"]
    for effect in ic.proposals():
        expected = Expected("ic.proposal", target=effect.subnet_id)
        assert exactly_once(env.ledger(), expected), exactly_once(env.ledger(), expected).reason
    tries = {
        ti.map_index: ti.try_number
        for ti in run.task_instances()
        if ti.task_id == "batch_1.subnet.create_proposal"
    }
    assert tries == {stuck: 2, 1 - stuck: 1}
    outcomes = [
        run.xcom("batch_1.subnet.create_proposal", map_index=index)["outcome"] for index in (stuck, 1 - stuck)
    ]
    assert outcomes == ["existing", "created"]
    # The other proposal was adopted before its task was tried again.
    (asked,) = [message.text for message in slack.messages() if "please vote" in message.text]
    assert "subnet *io67a*" in asked
    assert "1 proposal made, 1 proposal existed already" in slack.messages()[-1].text
