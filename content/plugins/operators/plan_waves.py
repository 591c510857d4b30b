"""Plans a rollout to nodes in waves before anything is proposed."""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

from airflow.providers.common.compat.sdk import AirflowFailException

from dfinity.allowed_hours import AllowedHours, parse_allowed_hours
from dfinity.node_rollout import WaveRollout, WaveWishes, plan_waves
from dfinity.nodes import all_nodes
from dfinity.rollout_plan import parse_moment, refusal
from dfinity.waves import parse_amount, parse_sizes
from dfinity.web import fetch
from operators.plan_operator import PlanOperator, connection_faults, key_faults

T = TypeVar("T")


class PlanWaves(PlanOperator):
    """Turns the run's params into a `WaveRollout` payload for the nodes of one kind (a key of NODE_KINDS).

    Params read: `version`, `nodes`, `waves`, `tolerance`, `days`, `hours`, `interval_hours`, `start_at`, `simulate`,
    `sensor_interval`, `wait_for_others`. Fails without retry, naming all faults at once. Skips the task groups of the
    waves which it does not need: those of the tasks directly downstream that carry a `wave`.
    """

    def __init__(self, *, kind: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.kind = kind

    def read(self, params: Mapping[str, Any]) -> WaveRollout:
        faults = key_faults() + connection_faults()
        wishes = self._wishes(params, faults)
        nodes = fetch(all_nodes())
        if wishes is None:
            raise AirflowFailException(refusal(faults))
        rollout = plan_waves(wishes, nodes, _names(params.get("nodes")), faults)
        if faults:
            raise AirflowFailException(refusal(faults))
        for number, step in rollout.waves.items():
            self.log.info("wave %s, from %s: %s", number, rollout.planned[number], ", ".join(step.node_ids))
        return rollout

    def _wishes(self, params: Mapping[str, Any], faults: list[str]) -> WaveWishes | None:
        """None, with more in `faults`, if something cannot be understood."""
        now = datetime.now(UTC)
        text = str(params.get("start_at") or "").strip()
        not_before = parse_moment(text, faults) if text else now
        sizes = _understood("waves", lambda: parse_sizes(_names(params.get("waves", "100%"))), faults)
        tolerance = _understood("tolerance", lambda: parse_amount(str(params["tolerance"])), faults)
        hours = self._hours(params, faults)
        if not_before is None or sizes is None or tolerance is None or hours is None:
            return None
        return WaveWishes(
            kind=self.kind,
            version=params["version"],
            sizes=sizes,
            tolerance=tolerance,
            hours=hours,
            interval_hours=int(params.get("interval_hours", 0)),
            not_before=max(not_before, now) if not params["simulate"] else not_before,
            simulate=bool(params["simulate"]),
            sensor_interval=int(params["sensor_interval"]),
        )

    def _hours(self, params: Mapping[str, Any], faults: list[str]) -> AllowedHours | None:
        try:
            return parse_allowed_hours(params["days"], params["hours"])
        except ValueError as error:
            faults.append(str(error))
            return None

    def unused_tasks(self, plan: WaveRollout) -> Iterator[Any]:
        for start in self.downstream_list:
            if getattr(start, "wave", 0) > len(plan.waves):
                yield from start.task_group.iter_tasks()


def _names(value: Any) -> list[str]:
    """The parts of a text that commas or line ends divide."""
    return [
        name for name in (part.strip() for part in str(value or "").replace("\n", ",").split(",")) if name
    ]


def _understood(name: str, parse: Callable[[], T], faults: list[str]) -> T | None:
    try:
        return parse()
    except ValueError as error:
        faults.append(f"{name}: {error}")
        return None
