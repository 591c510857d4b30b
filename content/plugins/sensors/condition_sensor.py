"""The common part of sensors that wait for a condition outside of Airflow."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowFailException,
    BaseSensorOperator,
    Context,
)

from dfinity.conditions import AnyCondition, condition_to_payload
from dfinity.rollout import SubnetRollout
from dfinity.web import WebError
from sensors.condition_trigger import ConditionTrigger


class SubnetConditionSensor(BaseSensorOperator):
    """Waits for a condition of the `SubnetRollout` payload `subnet`, in the triggerer unless it is met already.

    Looks every `sensor_interval` seconds, for `timeout` seconds at most (then AirflowSensorTimeout). Fails
    without retry once the condition has become impossible. A simulation has changed nothing, so waiting for
    an effect could last forever: there the sensor looks once, if that makes sense, and goes on.
    """

    template_fields = ("subnet",)

    def __init__(self, *, subnet: Mapping[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.subnet = subnet

    def condition(self, step: SubnetRollout) -> AnyCondition | None:
        """What to wait for; None if there is nothing to wait for."""
        raise NotImplementedError

    def execute(self, context: Context) -> None:
        step = SubnetRollout.from_payload(self.subnet)
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
            self.defer(
                trigger=ConditionTrigger(condition_to_payload(condition), step.sensor_interval),
                method_name="execute_complete",
                timeout=timedelta(seconds=self.timeout),
            )
        self._conclude(state, reason)

    def execute_complete(self, context: Context, event: Mapping[str, str]) -> None:
        """Called with the trigger's event."""
        self._conclude(event["state"], event["reason"])

    def _conclude(self, state: str, reason: str) -> None:
        if state == "impossible":
            raise AirflowFailException(reason)
        if state == "unreachable":
            raise AirflowException(f"gave up looking: {reason}")
        self.log.info(reason)
