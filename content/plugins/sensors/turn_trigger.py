"""Watches for a run's turn among the runs of its DAG, from the triggerer."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent
from asgiref.sync import sync_to_async

from dfinity.compat import other_runs
from dfinity.turns import ahead


class TurnTrigger(BaseTrigger):
    """Looks every `interval` seconds whether other runs of the DAG are ahead, until none is; its event says `{}`.

    Whether it is the run's turn is for its task to decide, once it is running: see `dfinity.turns`.
    """

    def __init__(self, dag_id: str, run_id: str, interval: float) -> None:
        super().__init__()
        self.dag_id = dag_id
        self.run_id = run_id
        self.interval = interval

    def serialize(self) -> tuple[str, dict[str, Any]]:
        arguments = {"dag_id": self.dag_id, "run_id": self.run_id, "interval": self.interval}
        return "sensors.turn_trigger.TurnTrigger", arguments

    async def run(self) -> AsyncIterator[TriggerEvent]:
        while True:
            await asyncio.sleep(self.interval)
            before = ahead(self.run_id, await sync_to_async(other_runs)(self.dag_id, self.run_id))
            if not before:
                yield TriggerEvent({})
                return
            self.log.info("ahead: %s", ", ".join(before))
