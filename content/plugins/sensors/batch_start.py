"""Waits for a batch's start time, then hands out its subnets."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from airflow.providers.common.compat.sdk import BaseSensorOperator, Context

from dfinity.compat import DateTimeTrigger
from dfinity.rollout import Rollout, start_of


class WaitForBatchStart(BaseSensorOperator):
    """Returns the `SubnetRollout` payloads of one batch of the `Rollout` payload `rollout`, once they are due.

    Defers until the start time; does not if that has passed. Waits as long as it takes.
    """

    template_fields = ("rollout",)

    def __init__(self, *, rollout: Mapping[str, Any], batch: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rollout = rollout
        self.batch = batch

    def execute(self, context: Context) -> list[dict[str, Any]]:
        start_at = start_of(Rollout.from_payload(self.rollout).batches[self.batch])
        if start_at > datetime.now(UTC):
            self.log.info("batch %s starts at %s", self.batch, start_at.isoformat())
            self.defer(trigger=DateTimeTrigger(moment=start_at), method_name="execute_complete")
        return self.execute_complete(context)

    def execute_complete(self, context: Context, event: Any = None) -> list[dict[str, Any]]:
        """Called when the start time has come."""
        subnets = Rollout.from_payload(self.rollout).batches[self.batch]
        self.log.info("batch %s: %s", self.batch, ", ".join(step.abbreviation for step in subnets))
        return [step.to_payload() for step in subnets]
