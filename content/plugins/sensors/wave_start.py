"""Waits until a wave may begin, then hands out its nodes."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from airflow.providers.common.compat.sdk import BaseSensorOperator, Context

from dfinity.compat import DateTimeTrigger
from dfinity.node_rollout import WaveRollout, WaveStep


class WaitForWaveStart(BaseSensorOperator):
    """Returns the `WaveStep` payload of one wave of the `WaveRollout` payload `rollout`, once it may begin.

    That is after its planned start and in allowed hours, and so long after the wave before it began as the plan says;
    `previous` is that wave's payload, None for the first. Looked at anew whenever the task resumes, so a run that was
    paused does not begin a wave in the night. A simulation passes at once what lies in the past, whatever the hour.
    """

    template_fields = ("rollout", "previous")

    def __init__(
        self,
        *,
        rollout: Mapping[str, Any],
        wave: int,
        previous: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.rollout = rollout
        self.wave = wave
        self.previous = previous

    def execute(self, context: Context) -> dict[str, Any]:
        rollout = WaveRollout.from_payload(self.rollout)
        previous = WaveStep.from_payload(self.previous) if self.previous else None
        now = datetime.now(UTC)
        start_at = (
            datetime.fromisoformat(rollout.planned[self.wave])
            if rollout.simulate
            else rollout.start_of(self.wave, now, previous)
        )
        if start_at > now:
            self.log.info("wave %s may begin at %s", self.wave, start_at.isoformat())
            self.defer(trigger=DateTimeTrigger(moment=start_at), method_name="execute_complete")
        step = rollout.waves[self.wave]
        self.log.info("wave %s: %s", self.wave, ", ".join(step.node_ids))
        return {**step.to_payload(), "started_at": now.isoformat()}

    def execute_complete(self, context: Context, event: Any = None) -> dict[str, Any]:
        """Called when the wave may begin."""
        return self.execute(context)
