import asyncio
import time

from airflow.triggers.base import BaseTrigger, TriggerEvent


class SeededTrigger(BaseTrigger):
    def __init__(self, moment):
        super().__init__()
        self.moment = moment

    def serialize(self):
        return ("airflow.providers.standard.triggers.former.SeededTrigger", {"moment": self.moment})

    async def run(self):
        while time.time() < self.moment:
            await asyncio.sleep(self.moment - time.time())
        yield TriggerEvent("woke up")
