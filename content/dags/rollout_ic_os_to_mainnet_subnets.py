"""Rolls a GuestOS revision out to mainnet's subnets, batch after batch, as a weekly plan says."""

from airflow.providers.common.compat.sdk import DAG, Param, TaskGroup, TriggerRule

from dfinity.compat import EmptyOperator, task_to_run
from dfinity.production import MAX_BATCHES
from dfinity.rollout_plan import batches_needed
from operators.plan_rollout import PlanRollout
from operators.slack_messages import PostSummary
from sensors.batch_start import WaitForBatchStart
from workflows.params import COMMON, optional_text, revision
from workflows.steps import RETRIES, upgrade_subnet

PARAMS = {
    "git_revision": revision("Git revision", "The GuestOS revision to roll out: 40 hexadecimal digits."),
    "week": Param(
        type="string",
        pattern=r"^\d{4}-\d{2}-\d{2}$",
        title="Week",
        description="The Monday (YYYY-MM-DD) that the plan's days count from; names the tab of a spreadsheet.",
    ),
    "spreadsheet_id": optional_text(
        "Plan: spreadsheet id",
        "The Google spreadsheet that has the plan in the tab of the week. Leave empty for YAML.",
    ),
    "plan": optional_text(
        "Plan: YAML",
        "Day, then time (UTC), then subnets. Leave empty for a spreadsheet.",
        format="multiline",
    ),
    **COMMON,
}

with DAG(
    dag_id="rollout_ic_os_to_mainnet_subnets",
    description=__doc__,
    schedule=None,
    catchup=False,
    tags=["rollout", "mainnet"],
    default_args=RETRIES,
) as dag:
    plan = PlanRollout(task_id="plan")
    joins: list[EmptyOperator] = []
    # To run a task of one batch needs none of the others, which take most of this file's import.
    for number in batches_needed(task_to_run()):
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
