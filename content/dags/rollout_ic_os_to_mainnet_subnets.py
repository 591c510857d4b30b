"""Rolls a GuestOS revision out to mainnet's subnets, batch after batch, as a weekly plan says."""

from datetime import timedelta
from typing import Any

from airflow.providers.common.compat.sdk import DAG, Param, TaskGroup, TriggerRule, task_group

from dfinity.compat import EmptyOperator
from dfinity.production import MAX_BATCHES
from operators.create_proposal import CreateProposal
from operators.plan_rollout import PlanRollout
from operators.slack_messages import PostSummary, RequestVotes
from sensors.batch_start import WaitForBatchStart
from sensors.subnet_conditions import WaitForAcceptance, WaitForNoAlerts, WaitForRevision

VOTING_TIMEOUT = timedelta(days=7)
UPGRADE_TIMEOUT = timedelta(days=1)
ALERTS_TIMEOUT = timedelta(days=2)

PARAMS = {
    "git_revision": Param(
        type="string",
        pattern="^[0-9a-f]{40}$",
        title="Git revision",
        description="The GuestOS revision to roll out: 40 hexadecimal digits.",
    ),
    "week": Param(
        type="string",
        pattern=r"^\d{4}-\d{2}-\d{2}$",
        title="Week",
        description="The Monday (YYYY-MM-DD) that the plan's days count from; names the tab of a spreadsheet.",
    ),
    "spreadsheet_id": Param(
        None,
        type=["null", "string"],
        title="Plan: spreadsheet id",
        description="The Google spreadsheet that has the plan in the tab of the week. Leave empty for YAML.",
    ),
    "plan": Param(
        None,
        type=["null", "string"],
        format="multiline",
        title="Plan: YAML",
        description="Day, then time (UTC), then subnets. Leave empty for a spreadsheet.",
    ),
    "simulate": Param(
        True,
        type="boolean",
        title="Simulate",
        description="Go through the plan and its calendar with dry runs, without proposing anything.",
    ),
    "sensor_interval": Param(
        60,
        type="integer",
        minimum=1,
        title="Sensor interval",
        description="How often sensors look for votes, upgraded replicas and alerts, in seconds.",
    ),
}


# Airflow's UI then shows `io67a` instead of a map index.
SHOW_SUBNET = {"map_index_template": "{{ task.subnet['subnet_id'].split('-')[0] }}"}


@task_group(group_id="subnet", default_args=SHOW_SUBNET)
def upgrade_subnet(subnet: Any) -> None:
    """The steps of one subnet."""
    create = CreateProposal(task_id="create_proposal", subnet=subnet)
    votes = RequestVotes(task_id="request_votes", subnet=subnet, proposal=create.output)
    accepted = WaitForAcceptance(
        task_id="wait_for_acceptance",
        subnet=subnet,
        proposal=create.output,
        timeout=VOTING_TIMEOUT.total_seconds(),
    )
    upgraded = WaitForRevision(
        task_id="wait_for_revision", subnet=subnet, timeout=UPGRADE_TIMEOUT.total_seconds()
    )
    quiet = WaitForNoAlerts(
        task_id="wait_for_no_alerts", subnet=subnet, timeout=ALERTS_TIMEOUT.total_seconds()
    )
    votes >> accepted >> upgraded >> quiet


with DAG(
    dag_id="rollout_ic_os_to_mainnet_subnets",
    description=__doc__,
    schedule=None,
    catchup=False,
    tags=["rollout", "mainnet"],
    default_args={"retries": 3, "retry_delay": timedelta(minutes=1)},
) as dag:
    plan = PlanRollout(task_id="plan")
    joins: list[EmptyOperator] = []
    for number in range(1, MAX_BATCHES + 1):
        with TaskGroup(group_id=f"batch_{number}"):
            start = WaitForBatchStart(task_id="wait_for_start", rollout=plan.output, batch=number)
            # `plan` skips batches that it does not use; those after them still wait for those before them.
            join = EmptyOperator(task_id="join", trigger_rule=TriggerRule.NONE_FAILED)
            upgrade_subnet.expand(subnet=start.output) >> join
        if joins:
            joins[-1] >> [start, join]
        joins.append(join)
    joins >> PostSummary(
        task_id="summary",
        # The joins after the last batch of the plan are skipped, too.
        trigger_rule=TriggerRule.NONE_FAILED,
        rollout=plan.output,
        proposal_task_ids={str(n): f"batch_{n}.subnet.create_proposal" for n in range(1, MAX_BATCHES + 1)},
    )

# Only now: Airflow copies the params that a DAG has into each task that is added to it. With these 212 tasks that was
# two fifths of each import of this file (98 ms, now 61), and two thirds of the serialized DAG (572 kB, now 174).
dag.params.update(PARAMS)

if __name__ == "__main__":
    dag.test()
