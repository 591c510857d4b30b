"""The trigger of tasks that were deferred before `WatchTrigger` came; a deferred task keeps its trigger's name."""

from typing import Any

from sensors.watch_trigger import WatchTrigger


class ConditionTrigger(WatchTrigger):
    """Looks at a condition every `interval` seconds until it is met or has become impossible."""

    def __init__(self, condition: dict[str, Any], interval: float) -> None:
        super().__init__(condition, interval)

    def serialize(self) -> tuple[str, dict[str, Any]]:
        path = "sensors.condition_trigger.ConditionTrigger"
        return path, {"condition": self.condition, "interval": self.interval}
