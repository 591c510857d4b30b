"""Mainnet's registry and a real rollout plan, as the mocks serve them. For the tests, and for what measures them."""

import json
from datetime import datetime, timedelta
from pathlib import Path

import yaml

from harness.mocks.readers import MocksControl

DATA = Path(__file__).parent.parent / "data"
HEADER = ["Day", "Time (UTC)", "Subnets", "Batch"]
UNKNOWN = {"3zsyy", "re2t4", "2zs4v", "xlkub", "6excn", "jmfme", "rtvil", "kp5jj"}
"""The subnets of the real plan that the registry does not have."""
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday")
VOTES_TAKE = timedelta(minutes=40)
UPGRADES_TAKE = timedelta(minutes=15)
LOOK_EVERY = timedelta(minutes=10)

Rows = list[list[str | None]]


def registry() -> list[dict[str, object]]:
    """Mainnet's subnets."""
    subnets: list[dict[str, object]] = json.loads((DATA / "mainnet-subnets.json").read_text())
    return subnets


def full_plan() -> Rows:
    """The real plan as rows of a sheet, with the days written out once as people do."""
    plan = yaml.load((DATA / "mainnet-guestos-plan.yaml").read_text(), Loader=yaml.BaseLoader)  # noqa: S506 - strings only
    rows: Rows = [list(HEADER)]
    for day, times in plan.items():
        shown = day
        for time, batch in times.items():
            explicit = isinstance(batch, dict)
            subnets = batch["subnets"] if explicit else batch
            rows.append([shown, time, ", ".join(subnets), batch["batch"] if explicit else None])
            shown = ""
    return rows


def known_plan() -> Rows:
    """The plan without the subnets that the registry does not have; batches left empty are dropped."""
    header, *batches = full_plan()
    rows: Rows = [header]
    day: str | None = ""
    for shown, time, subnets, batch in batches:
        day = shown or day
        known = [name for name in (subnets or "").split(", ") if name not in UNKNOWN]
        if known:
            rows.append([day, time, ", ".join(known), batch])
    return rows


def planned(plan: Rows, monday: datetime) -> list[tuple[datetime, set[str]]]:
    """When each batch of a plan that names the day of each starts, and its subnets."""
    batches = []
    for day, time, subnets, _ in plan[1:]:
        name, later = str(day).removesuffix(" next week"), str(day).endswith(" next week")
        hour, minute = str(time).split(":")
        start = monday + timedelta(days=DAYS.index(name) + 7 * later, hours=int(hour), minutes=int(minute))
        batches.append((start, set(str(subnets).split(", "))))
    return batches


def next_monday_but_one(now: datetime) -> datetime:
    """Midnight of the Monday that begins the week after the next: a week for which nothing is too late."""
    return datetime(now.year, now.month, now.day, tzinfo=now.tzinfo) + timedelta(days=14 - now.weekday())


def real_calendar(mocks: MocksControl, sheet: str, monday: datetime, revision: str) -> dict[str, object]:
    """Have the mocks serve the plan for the week of `monday`, with votes and upgrades that take their time.

    Returns what a run of the rollout to mainnet's subnets is to be triggered with.
    """
    week = f"{monday:%Y-%m-%d}"
    mocks.ic.set_registry(registry())
    mocks.ic.settings(
        acceptance_delay=VOTES_TAKE.total_seconds(), upgrade_delay=UPGRADES_TAKE.total_seconds()
    )
    mocks.sheets.put(sheet, week, known_plan())
    return {
        "git_revision": revision,
        "week": week,
        "spreadsheet_id": sheet,
        "simulate": False,
        "sensor_interval": int(LOOK_EVERY.total_seconds()),
    }
