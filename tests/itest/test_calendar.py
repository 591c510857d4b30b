"""The real plan on its real days: a week and a day of waiting for mornings, votes and replicas, with time skipped."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from harness.environment import Environment
from harness.mocks.readers import IcReader, SheetsReader, SlackReader

DAG = "rollout_ic_os_to_mainnet_subnets"
REVISION = "0123456789abcdef0123456789abcdef01234567"
SHEET = "1RealRolloutPlan"
Rows = list[list[str | None]]
VOTES_TAKE = timedelta(minutes=40)
UPGRADES_TAKE = timedelta(minutes=15)
LOOK_EVERY = timedelta(minutes=10)
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday")


def planned(plan: Rows, monday: datetime) -> list[tuple[datetime, set[str]]]:
    """When each batch of the sheet starts, and its subnets."""
    batches = []
    for day, time, subnets, _ in plan[1:]:
        name, later = str(day).removesuffix(" next week"), str(day).endswith(" next week")
        hour, minute = str(time).split(":")
        start = monday + timedelta(days=DAYS.index(name) + 7 * later, hours=int(hour), minutes=int(minute))
        batches.append((start, set(str(subnets).split(", "))))
    return batches


@pytest.mark.slow
@pytest.mark.private_stack(clock=True)
@pytest.mark.usefixtures("registry")
def test_the_real_plan_is_rolled_out_on_its_own_days(
    env: Environment, slack: SlackReader, sheets: SheetsReader, ic: IcReader, known_plan: Rows
) -> None:
    today = env.clock.now()
    monday = datetime(today.year, today.month, today.day, tzinfo=UTC) + timedelta(days=14 - today.weekday())
    env.clock.set(monday - timedelta(days=1))
    week = f"{monday:%Y-%m-%d}"
    sheets.put(SHEET, week, known_plan)
    ic.settings(acceptance_delay=VOTES_TAKE.total_seconds(), upgrade_delay=UPGRADES_TAKE.total_seconds())
    run = env.airflow.trigger(
        DAG,
        {
            "git_revision": REVISION,
            "week": week,
            "spreadsheet_id": SHEET,
            "simulate": False,
            "sensor_interval": int(LOOK_EVERY.total_seconds()),
        },
    )
    env.clock.skip_until_ended(run, timeout=1500)
    assert run.wait() == "success"

    *asked, summary = slack.messages("#ic-os-rollout")
    assert "42 proposals made" in summary.text
    for start, subnets in planned(known_plan, monday):
        batch, asked = asked[: len(subnets)], asked[len(subnets) :]
        assert {re.findall(r"subnet \*(\w+)\*", message.text)[0] for message in batch} == subnets
        late = [datetime.fromtimestamp(float(message.ts), UTC) - start for message in batch]
        assert all(timedelta(0) <= delay < timedelta(minutes=10) for delay in late), (start, late)
    assert {p.status for p in ic.proposals()} == {"EXECUTED"}
    [(began, ended)] = env.database.rows(
        "SELECT start_date, end_date FROM dag_run WHERE run_id = %s", [run.run_id]
    )
    assert timedelta(days=8) < ended - began < timedelta(days=9)
