"""Watches a condition from the triggerer."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final

from airflow.triggers.base import BaseTrigger, TriggerEvent

from dfinity.conditions import condition_from_payload
from dfinity.web import WebError, async_client

MAX_FAILED_LOOKS: Final = 20
"""So many looks in a row may fail before the trigger gives up: 20 minutes, at one look a minute."""


class ConditionTrigger(BaseTrigger):
    """Looks at a condition every `interval` seconds until it is met or has become impossible.

    `condition` is a payload of `dfinity.conditions`. The one event is `{"state": ..., "reason": ...}`, where
    the state is `met`, `impossible`, or `unreachable` after MAX_FAILED_LOOKS failures in a row. A triggerer
    that takes over starts counting afresh.
    """

    def __init__(self, condition: dict[str, Any], interval: float) -> None:
        super().__init__()
        self.condition = condition
        self.interval = interval

    def serialize(self) -> tuple[str, dict[str, Any]]:
        path = "sensors.condition_trigger.ConditionTrigger"
        return path, {"condition": self.condition, "interval": self.interval}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        condition = condition_from_payload(self.condition)
        failures = 0
        async with async_client() as client:
            while True:
                # The sensor has looked just before it deferred.
                await asyncio.sleep(self.interval)
                try:
                    verdict = await condition.look_async(client)
                except WebError as error:
                    failures += 1
                    self.log.warning(
                        "look failed (%s in a row, %s allowed): %s", failures, MAX_FAILED_LOOKS, error
                    )
                    if failures >= MAX_FAILED_LOOKS:
                        yield TriggerEvent({"state": "unreachable", "reason": str(error)})
                        return
                    continue
                failures = 0
                self.log.info("%s: %s", verdict.state, verdict.reason)
                if verdict.state != "waiting":
                    yield TriggerEvent({"state": verdict.state, "reason": verdict.reason})
                    return
