"""Watches a condition from the triggerer, and reports in between that it has not come."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any, Final

from airflow.triggers.base import BaseTrigger, TriggerEvent

from dfinity.conditions import condition_from_payload
from dfinity.web import WebError, async_client

MAX_FAILED_LOOKS: Final = 20
"""So many looks in a row may fail before the trigger gives up: 20 minutes, at one look a minute."""


class WatchTrigger(BaseTrigger):
    """Looks at a condition every `interval` seconds until it is met or has become impossible.

    `condition` is a payload of `dfinity.conditions`. The one event is `{"state": ..., "reason": ...}`, where
    the state is `met`, `impossible`, `unreachable` after MAX_FAILED_LOOKS failures in a row, or `stalled` when it is
    waited for still at the moment `report_at` (ISO 8601). A triggerer that takes over starts counting afresh.
    """

    def __init__(self, condition: dict[str, Any], interval: float, report_at: str | None = None) -> None:
        super().__init__()
        self.condition = condition
        self.interval = interval
        self.report_at = report_at

    def serialize(self) -> tuple[str, dict[str, Any]]:
        arguments = {"condition": self.condition, "interval": self.interval, "report_at": self.report_at}
        return "sensors.watch_trigger.WatchTrigger", arguments

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
                if self.report_at and datetime.now(UTC) >= datetime.fromisoformat(self.report_at):
                    yield TriggerEvent({"state": "stalled", "reason": verdict.reason})
                    return
