"""The tasks of one step: propose, ask for votes, wait for votes, versions and calm."""

from datetime import timedelta
from typing import Any

from airflow.providers.common.compat.sdk import TaskGroup, TriggerRule, task_group

from dfinity.production import MAX_WAVES
from operators.create_proposal import CreateProposal
from operators.plan_waves import PlanWaves
from operators.slack_messages import PostSummary, RequestVotes
from sensors.step_conditions import WaitForAcceptance, WaitForNoAlerts, WaitForRevision
from sensors.wave_start import WaitForWaveStart

VOTING_TIMEOUT = timedelta(days=7)
UPGRADE_TIMEOUT = timedelta(days=1)
ALERTS_TIMEOUT = timedelta(days=2)
VOTING_NOTICE = timedelta(days=1)
UPGRADE_NOTICE = timedelta(hours=1)
ALERTS_NOTICE = timedelta(hours=1)

RETRIES: dict[str, Any] = {"retries": 3, "retry_delay": timedelta(minutes=1)}
# Airflow's UI then shows `io67a` instead of a map index.
SHOW_SUBNET = {"map_index_template": "{{ task.step['subnet_id'].split('-')[0] }}"}


def step_tasks(step: Any) -> Any:
    """The tasks of the payload `step`, in a row; returns the last one."""
    create = CreateProposal(task_id="create_proposal", step=step)
    votes = RequestVotes(task_id="request_votes", step=step, proposal=create.output)
    accepted = WaitForAcceptance(
        task_id="wait_for_acceptance",
        step=step,
        proposal=create.output,
        timeout=VOTING_TIMEOUT.total_seconds(),
        notice_after=VOTING_NOTICE,
    )
    upgraded = WaitForRevision(
        task_id="wait_for_revision",
        step=step,
        timeout=UPGRADE_TIMEOUT.total_seconds(),
        notice_after=UPGRADE_NOTICE,
    )
    quiet = WaitForNoAlerts(
        task_id="wait_for_no_alerts",
        step=step,
        timeout=ALERTS_TIMEOUT.total_seconds(),
        notice_after=ALERTS_NOTICE,
    )
    votes >> accepted >> upgraded >> quiet
    return quiet


@task_group(group_id="subnet", default_args=SHOW_SUBNET)
def upgrade_subnet(subnet: Any) -> None:
    """The tasks of one subnet, for `expand`."""
    step_tasks(subnet)


def wave_tasks(kind: str, waves: int = MAX_WAVES) -> None:
    """All tasks of a rollout to the nodes of a kind (a key of NODE_KINDS), in so many waves at most."""
    plan = PlanWaves(task_id="plan", kind=kind)
    lasts: list[Any] = []
    previous = None
    for number in range(1, waves + 1):
        with TaskGroup(group_id=f"wave_{number}"):
            start = WaitForWaveStart(
                task_id="wait_for_start", rollout=plan.output, wave=number, previous=previous
            )
            last = step_tasks(start.output)
        if lasts:
            lasts[-1] >> start
        lasts.append(last)
        previous = start.output
    lasts >> PostSummary(
        task_id="summary",
        # `plan` skips the waves that it does not need.
        trigger_rule=TriggerRule.NONE_FAILED,
        rollout=plan.output,
        proposal_task_ids={str(n): f"wave_{n}.create_proposal" for n in range(1, waves + 1)},
    )
