"""The real plan on its real days: a week and a day of waiting for mornings, votes and replicas, with time skipped."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from harness.environment import Environment
from harness.mocks.readers import IcReader, SlackReader
from tests.itest import mainnet

DAG = "rollout_ic_os_to_mainnet_subnets"
REVISION = "0123456789abcdef0123456789abcdef01234567"
SHEET = "1RealRolloutPlan"


@pytest.mark.slow
@pytest.mark.private_stack(clock=True)
def test_the_real_plan_is_rolled_out_on_its_own_days(
    env: Environment, slack: SlackReader, ic: IcReader
) -> None:
    monday = mainnet.next_monday_but_one(env.clock.now())
    env.clock.set(monday - timedelta(days=1))
    run = env.airflow.trigger(DAG, mainnet.real_calendar(env.mocks, SHEET, monday, REVISION))
    env.clock.skip_until_ended(run, timeout=1500)
    assert run.wait() == "success"

    *asked, summary = slack.messages("#ic-os-rollout")
    assert "42 proposals made" in summary.text
    for start, subnets in mainnet.planned(mainnet.known_plan(), monday):
        batch, asked = asked[: len(subnets)], asked[len(subnets) :]
        assert {re.findall(r"subnet \*(\w+)\*", message.text)[0] for message in batch} == subnets
        late = [datetime.fromtimestamp(float(message.ts), UTC) - start for message in batch]
        assert all(timedelta(0) <= delay < timedelta(minutes=10) for delay in late), (start, late)
    assert {p.status for p in ic.proposals()} == {"EXECUTED"}
    [(began, ended)] = env.database.rows(
        "SELECT start_date, end_date FROM dag_run WHERE run_id = %s", [run.run_id]
    )
    assert timedelta(days=8) < ended - began < timedelta(days=9)
