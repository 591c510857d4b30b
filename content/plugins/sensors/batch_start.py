"""Waits for a batch's start time, then hands out its subnets."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from airflow.providers.common.compat.sdk import BaseSensorOperator, Context

from dfinity.compat import DateTimeTrigger
from dfinity.messages import edited, held
from dfinity.plan_edits import changes, edited_batch
from dfinity.rollout import Rollout, SubnetRollout, start_of, start_task_id
from operators.plan_rollout import read_rollout
from operators.slack_messages import post

FRESH_FOR: Final = timedelta(minutes=10)
"""A sheet that was read so long ago at most is not read again: batches of the past follow each other in minutes."""
READ_EVERY: Final = timedelta(hours=6)
"""So often at least is the sheet read while its batch waits: it may have been moved forward."""
HELD_FOR: Final = timedelta(minutes=10)
"""So often is a sheet read that cannot be carried out."""


class WaitForBatchStart(BaseSensorOperator):
    """Returns the `SubnetRollout` payloads of one batch of the `Rollout` payload `rollout`, once they are due.

    Defers until the start time; does not if that has passed. Waits as long as it takes. Where the plan is in a sheet,
    that is read again before the batch begins, and every READ_EVERY before: the batch begins as the sheet has it then.
    A sheet that has faults by then holds the batch, which Slack is told, until it is corrected.
    """

    template_fields = ("rollout",)

    def __init__(self, *, rollout: Mapping[str, Any], batch: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rollout = rollout
        self.batch = batch

    def execute(self, context: Context) -> list[dict[str, Any]]:
        rollout = Rollout.from_payload(self.rollout)
        planned = rollout.batches[self.batch]
        due = start_of(planned) <= datetime.now(UTC)
        if rollout.spreadsheet_id is None or (due and _age(rollout) < FRESH_FOR):
            return self._begin(planned) if due else self._until(start_of(planned))
        return (
            self._as_edited(context, rollout, told="") if due else self._until(start_of(planned), reads=True)
        )

    def execute_complete(self, context: Context, event: Any = None, told: str = "") -> list[dict[str, Any]]:
        """Called when the start time has come, or it is time to read the sheet; `told` is what holds the batch."""
        rollout = Rollout.from_payload(self.rollout)
        if rollout.spreadsheet_id is None:
            return self._begin(rollout.batches[self.batch])
        return self._as_edited(context, rollout, told)

    def _as_edited(self, context: Context, rollout: Rollout, told: str) -> list[dict[str, Any]]:
        """Begins, or waits, as the sheet now says."""
        faults: list[str] = []
        planned = rollout.batches[self.batch]
        sheet = read_rollout(context["params"], faults)
        subnets = edited_batch(self.batch, rollout, sheet, self._begun(context, rollout), faults)
        if faults:
            return self._hold(faults, told)
        if subnets and start_of(subnets) > datetime.now(UTC):
            return self._until(start_of(subnets), reads=True)
        if differences := changes(planned, subnets):
            self.log.info("edited: %s", "; ".join(differences))
            if not rollout.simulate:
                post(edited(self.batch, differences))
        return self._begin(subnets)

    def _begun(self, context: Context, rollout: Rollout) -> dict[int, list[str]]:
        """The ids of the subnets with which each earlier batch began."""
        pull = context["ti"].xcom_pull
        return {
            number: [subnet["subnet_id"] for subnet in pull(task_ids=start_task_id(number)) or []]
            for number in rollout.batches
            if number < self.batch
        }

    def _hold(self, faults: list[str], told: str) -> list[dict[str, Any]]:
        text = held(self.batch, faults)
        self.log.warning("%s", text)
        if text != told:
            post(text)
        return self._defer(datetime.now(UTC) + HELD_FOR, told=text)

    def _until(self, start_at: datetime, *, reads: bool = False) -> list[dict[str, Any]]:
        self.log.info("batch %s starts at %s", self.batch, start_at.isoformat())
        return self._defer(min(start_at, datetime.now(UTC) + READ_EVERY) if reads else start_at)

    def _defer(self, moment: datetime, **kwargs: str) -> list[dict[str, Any]]:
        self.defer(trigger=DateTimeTrigger(moment=moment), method_name="execute_complete", kwargs=kwargs)
        raise AssertionError("defer() does not return")

    def _begin(self, subnets: tuple[SubnetRollout, ...]) -> list[dict[str, Any]]:
        self.log.info("batch %s: %s", self.batch, ", ".join(step.abbreviation for step in subnets))
        return [step.to_payload() for step in subnets]


def _age(rollout: Rollout) -> timedelta:
    """How long ago the plan was read."""
    return datetime.now(UTC) - datetime.fromisoformat(rollout.read_at)
