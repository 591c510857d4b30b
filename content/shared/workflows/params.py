"""Params of rollouts, as Airflow's UI shows them."""

from typing import Any

from airflow.providers.common.compat.sdk import Param

from dfinity.allowed_hours import DAYS

SIMULATE = Param(
    True,
    type="boolean",
    title="Simulate",
    description="Go through the plan and its calendar with dry runs, without proposing anything.",
)
SENSOR_INTERVAL = Param(
    60,
    type="integer",
    minimum=1,
    title="Sensor interval",
    description="How often sensors look for votes, versions, alerts and other rollouts, in seconds.",
)
WAIT_FOR_OTHERS = Param(
    True,
    type="boolean",
    title="Wait for others",
    description="Begin only when no other run of this DAG is under way. Simulations neither wait nor are waited for.",
)
COMMON: dict[str, Param] = {
    "simulate": SIMULATE,
    "sensor_interval": SENSOR_INTERVAL,
    "wait_for_others": WAIT_FOR_OTHERS,
}


def revision(title: str, description: str) -> Param:
    """A required param: 40 hexadecimal digits."""
    return Param(type="string", pattern="^[0-9a-f]{40}$", title=title, description=description)


def optional_text(title: str, description: str, **schema: Any) -> Param:
    """A param that may be left empty."""
    return Param(None, type=["null", "string"], title=title, description=description, **schema)


def start_at() -> Param:
    """When to begin, or now."""
    return optional_text("Start", "Not before this moment (UTC, `2026-11-23 9:00`). Leave empty for now.")


def calendar(hours: str, interval_hours: int, sizes: str, tolerance: str) -> dict[str, Param]:
    """The params of a rollout in waves, with these defaults."""
    return {
        **window(hours),
        "waves": Param(
            sizes,
            type="string",
            title="Waves",
            description="Sizes of the waves, as numbers of nodes or percentages of all; the last goes on.",
        ),
        "interval_hours": Param(
            interval_hours,
            type="integer",
            minimum=0,
            title="Interval",
            description="So many hours at least lie between the beginnings of two waves.",
        ),
        "tolerance": tolerance_of(tolerance),
    }


def window(hours: str) -> dict[str, Param]:
    """The params that say when proposals may be made; from Monday to Thursday, unless somebody chooses others."""
    every_day = [day.capitalize() for day in DAYS]
    return {
        "start_at": start_at(),
        "days": Param(
            every_day[:4],
            type="array",
            items={"type": "string", "enum": every_day},
            examples=every_day,
            title="Days",
            description="A wave begins on these days only.",
        ),
        "hours": Param(
            hours,
            type="string",
            title="Hours",
            description="A wave begins in these hours (UTC) only.",
        ),
    }


def tolerance_of(tolerance: str) -> Param:
    """The param that says how much may be amiss."""
    return Param(
        tolerance,
        type="string",
        title="Tolerance",
        description="So many nodes of a wave (a number or a percentage) may stay behind, or have alerts.",
    )
