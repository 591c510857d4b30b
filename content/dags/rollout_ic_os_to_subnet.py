"""Rolls a GuestOS revision out to a single subnet of mainnet, now or at a given time."""

from airflow.providers.common.compat.sdk import DAG, Param

from operators.plan_rollout import PlanSubnet
from operators.slack_messages import PostSummary
from sensors.batch_start import WaitForBatchStart
from workflows.params import COMMON, revision, start_at
from workflows.steps import RETRIES, upgrade_subnet

PARAMS = {
    "git_revision": revision("Git revision", "The GuestOS revision to roll out: 40 hexadecimal digits."),
    "subnet": Param(
        type="string",
        minLength=1,
        title="Subnet",
        description="The subnet's principal, or its first group.",
    ),
    "start_at": start_at(),
    **COMMON,
}

with DAG(
    dag_id="rollout_ic_os_to_subnet",
    description=__doc__,
    schedule=None,
    catchup=False,
    params=PARAMS,
    tags=["rollout", "mainnet"],
    default_args=RETRIES,
) as dag:
    plan = PlanSubnet(task_id="plan")
    start = WaitForBatchStart(task_id="wait_for_start", rollout=plan.output, batch=1)
    summary = PostSummary(
        task_id="summary", rollout=plan.output, proposal_task_ids={"1": "subnet.create_proposal"}
    )
    upgrade_subnet.expand(subnet=start.output) >> summary

if __name__ == "__main__":
    dag.test()
