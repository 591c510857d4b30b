"""The common part of sensors that wait for a condition outside of Airflow."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowFailException,
    AirflowSensorTimeout,
    BaseSensorOperator,
    Context,
)

from dfinity.conditions import AnyCondition, condition_to_payload
from dfinity.messages import stalled
from dfinity.step import Step, step_from_payload
from dfinity.web import WebError
from operators.slack_messages import post
from sensors.watch_trigger import WatchTrigger


class StepConditionSensor(BaseSensorOperator):
    """Waits for a condition of the payload `step`, in the triggerer unless it is met already.

    Looks every `sensor_interval` seconds, for `timeout` seconds at most (then AirflowSensorTimeout). Says on Slack
    that the rollout is stalled after `notice_after`, then after twice, four times, ... that time. Fails without retry
    once the condition has become impossible. A simulation has changed nothing, so waiting for an effect could last
    forever: there the sensor looks once, if that makes sense, and goes on.
    """

    template_fields = ("step",)

    def __init__(
        self, *, step: Mapping[str, Any], notice_after: timedelta | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.step = step
        self.notice_after = notice_after

    def condition(self, step: Step) -> AnyCondition | None:
        """What to wait for; None if there is nothing to wait for."""
        raise NotImplementedError

    def execute(self, context: Context) -> None:
        step = step_from_payload(self.step)
        condition = self.condition(step)
        if condition is None:
            self.log.info("there is nothing to wait for")
            return
        try:
            verdict = condition.look()
        except WebError as error:
            state, reason = "waiting", f"the first look failed: {error}"
        else:
            state, reason = verdict.state, verdict.reason
        if state == "waiting" and not step.simulate:
            self.log.info("%s; looking every %s s", reason, step.sensor_interval)
            self._wait(step, condition, datetime.now(UTC), notices=0)
        self._conclude(state, reason)

    def execute_complete(
        self, context: Context, event: Mapping[str, str], since: str = "", notices: int = 0
    ) -> None:
        """Called with the trigger's event; `since` (ISO 8601) is when the wait began, after `notices` of them."""
        if event["state"] != "stalled":
            self._conclude(event["state"], event["reason"])
            return
        step, began = step_from_payload(self.step), datetime.fromisoformat(since)
        self._tell(stalled(step, datetime.now(UTC) - began, event["reason"]))
        condition = self.condition(step)
        if condition is not None:
            self._wait(step, condition, began, notices + 1)

    def _wait(self, step: Step, condition: AnyCondition, since: datetime, notices: int) -> None:
        deadline = since + timedelta(seconds=self.timeout)
        left = deadline - datetime.now(UTC)
        if left <= timedelta(0):
            raise AirflowSensorTimeout(f"{step.label}: waited {timedelta(seconds=self.timeout)} in vain")
        report_at = since + self.notice_after * 2**notices if self.notice_after else deadline
        self.defer(
            trigger=WatchTrigger(
                condition_to_payload(condition),
                step.sensor_interval,
                report_at.isoformat() if report_at < deadline else None,
            ),
            method_name="execute_complete",
            kwargs={"since": since.isoformat(), "notices": notices},
            timeout=left,
        )

    def _tell(self, text: str) -> None:
        try:
            post(text)
        except Exception:  # whatever Slack has, the wait goes on: a retry would begin it anew
            self.log.exception("this notice could not be posted: %s", text)

    def _conclude(self, state: str, reason: str) -> None:
        if state == "impossible":
            raise AirflowFailException(reason)
        if state == "unreachable":
            raise AirflowException(f"gave up looking: {reason}")
        self.log.info(reason)
