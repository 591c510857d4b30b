"""What the rehearsal's DAGs have in common. Runs on Airflow 2.11 and 3.

A run's conf has `until`, the moment (ISO 8601) to which it waits. Nothing here pushes a time, a run id or a secret, as
what is pushed is compared with another run's.
"""

from __future__ import annotations

import hashlib
import time
from datetime import UTC, datetime
from pathlib import Path

from airflow.providers.common.compat.sdk import BaseOperator, BaseSensorOperator

GATES = Path("/tmp/rehearsal")  # noqa: S108 - the worker's own
"""A file in here, in the worker, lets the run of that name go on."""
CHANNEL = "#ic-os-rollout"
SLACK = "slack.ic_os_rollout"
GOOGLE = "google_cloud_default"
START = datetime(2020, 1, 1, tzinfo=UTC)


def until(context) -> datetime | None:
    """The moment that the run waits for; None in a run that nobody told one."""
    text = (context["dag_run"].conf or {}).get("until")
    return datetime.fromisoformat(text) if text else None


def trigger_for(moment: datetime):
    """Airflow's own time trigger, wherever this version has it."""
    try:
        from airflow.providers.standard.triggers.temporal import DateTimeTrigger
    except ImportError:
        from airflow.triggers.temporal import DateTimeTrigger
    return DateTimeTrigger(moment=moment)


class Wait(BaseOperator):
    """Defers until the run's moment. With `number`, only from the second on: the first two end at once."""

    def __init__(self, *, number=9, **kwargs):
        super().__init__(**kwargs)
        self.number = number

    def execute(self, context):
        say(context)
        moment = until(context)
        if moment is not None and self.number >= 2:
            self.defer(trigger=trigger_for(moment), method_name="resume")
        return self.number

    def resume(self, context, event=None):
        say(context)
        return self.number


class Look(BaseSensorOperator):
    """Looks once an hour, giving its worker back in between, until the run's moment."""

    def __init__(self, **kwargs):
        super().__init__(mode="reschedule", poke_interval=3600, timeout=30 * 86400, **kwargs)

    def poke(self, context):
        say(context)
        moment = until(context)
        return moment is None or datetime.now(UTC) >= moment


def say(context) -> None:
    """A line that the task's log has to have."""
    print(f"rehearsal: {context['ti'].task_id} speaks")


def post(text: str) -> None:
    """A side effect: a message to the rollout channel."""
    from airflow.providers.slack.hooks.slack import SlackHook

    SlackHook(slack_conn_id=SLACK).call("chat.postMessage", json={"channel": CHANNEL, "text": text})


def wait_at_gate(run_id: str) -> None:
    """Hold the worker until the run's gate is opened."""
    while not (GATES / run_id).exists():
        time.sleep(0.2)


def digest(text: str) -> str:
    """What tells whether two secrets are the same, and nothing else."""
    return hashlib.sha256(f"rehearsal {text}".encode()).hexdigest()[:12]
