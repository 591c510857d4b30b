"""Interprets the entries of a plan: times, numbers and subnets of each batch, and all that is wrong."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Final

from dfinity.allowed_hours import DAYS
from dfinity.plan_entries import PlanEntry
from dfinity.production import MAX_BATCHES
from dfinity.subnets import Subnet, abbreviate, find_subnet

_BATCH: Final = re.compile(r"batch_(\d+)\.")
_DAY: Final = re.compile(r"(\w+)( next week)?", re.IGNORECASE)
_REVISION: Final = re.compile(r"[0-9a-f]{40}")
_TIME: Final = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")


def refusal(faults: Sequence[str]) -> str:
    """The error message of a rollout that cannot start; it names every fault."""
    listed = "".join(f"\n  - {fault}" for fault in faults)
    plural = "fault" if len(faults) == 1 else "faults"
    return f"The rollout cannot start: {len(faults)} {plural}, no proposal was made.{listed}"


def batches_needed(task_id: str | None) -> Iterable[int]:
    """The batches without which this task cannot be run: its own, or all for one of none; all where none is named."""
    own = _BATCH.match(task_id or "")
    return (int(own[1]),) if own else range(1, MAX_BATCHES + 1)


@dataclass(frozen=True)
class Batch:
    """Subnets that are upgraded together, not before `start_at` (UTC); numbers go from 1 to MAX_BATCHES.

    `revisions`, by subnet id, are those that differ from the rollout's.
    """

    number: int
    start_at: datetime
    subnets: tuple[Subnet, ...]
    revisions: Mapping[str, str] = field(default_factory=dict)


def parse_week(text: str) -> date:
    """The Monday that a plan's times count from; raises ValueError for anything but `YYYY-MM-DD` of one."""
    try:
        week = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).date()
    except ValueError:
        raise ValueError(f"week {text!r} is not a date written YYYY-MM-DD") from None
    if week.weekday() != 0:
        raise ValueError(f"week {text} is a {week:%A}; give the Monday on which the plan starts")
    return week


def parse_moment(text: str, faults: list[str]) -> datetime | None:
    """A moment in UTC written like `2026-11-23 9:00`; None, with one more in `faults`, for anything else."""
    try:
        return datetime.strptime(text, "%Y-%m-%d %H:%M").replace(tzinfo=UTC)
    except ValueError:
        faults.append(f"start_at {text!r} is not a moment in UTC written like `2026-11-23 9:00`")
        return None


def start_time(day: str, time: str, week: date) -> datetime:
    """The moment, in UTC, of e.g. `Tuesday` or `Monday next week` and `9:00`; raises ValueError."""
    named = _DAY.fullmatch(day.strip())
    if named is None or named[1].lower() not in DAYS:
        raise ValueError(f"day {day!r} is not a day of the week such as `Monday` or `Monday next week`")
    clock = _TIME.fullmatch(time.strip())
    if clock is None:
        raise ValueError(f"time {time!r} is not a time of day in UTC such as `9:00`")
    offset = timedelta(days=DAYS.index(named[1].lower()) + (7 if named[2] else 0))
    moment = datetime(week.year, week.month, week.day, int(clock[1]), int(clock[2]), tzinfo=UTC)
    return moment + offset


def schedule(
    entries: Sequence[PlanEntry], week: date, known: Sequence[Subnet], faults: list[str]
) -> list[Batch]:
    """The batches of the entries, in order; appends to `faults` all that keeps them from being carried out.

    Start times and numbers must increase from one batch to the next. A batch without a number of its own
    takes the one after the batch before it.
    """
    batches = []
    placed: dict[str, str] = {}
    number, latest = 0, None
    for entry in entries:
        number = _number(entry, number, faults)
        subnets = _subnets(entry, known, placed, faults)
        try:
            start_at = start_time(entry.day, entry.time, week)
        except ValueError as error:
            faults.append(f"{entry.where}: {error}")
            continue
        if latest is not None and start_at <= latest:
            faults.append(
                f"{entry.where}: does not start after the batch before it; put batches in order of time"
            )
        latest = start_at
        batches.append(Batch(number, start_at, subnets, _revisions(entry, subnets, faults)))
    return batches


def _number(entry: PlanEntry, previous: int, faults: list[str]) -> int:
    if entry.batch is None:
        number = previous + 1
    elif entry.batch.isascii() and entry.batch.isdigit():
        number = int(entry.batch)
    else:
        faults.append(f"{entry.where}: batch {entry.batch!r} is not a number")
        return previous + 1
    if not 1 <= number <= MAX_BATCHES:
        faults.append(f"{entry.where}: batch number {number} is not between 1 and {MAX_BATCHES}")
    if number <= previous:
        faults.append(f"{entry.where}: batch number {number} comes after {previous}; numbers must increase")
    return number


def _subnets(
    entry: PlanEntry, known: Sequence[Subnet], placed: dict[str, str], faults: list[str]
) -> tuple[Subnet, ...]:
    if not entry.subnets:
        faults.append(f"{entry.where}: the batch has no subnets; name some or remove it")
    subnets = []
    for name in entry.subnets:
        try:
            subnet = find_subnet(name, known)
        except LookupError as error:
            faults.append(f"{entry.where}: {error}")
            continue
        if subnet.subnet_id in placed:
            faults.append(
                f"{entry.where}: subnet {abbreviate(subnet.subnet_id)} is already in {placed[subnet.subnet_id]}"
            )
        placed[subnet.subnet_id] = entry.where
        subnets.append(subnet)
    return tuple(subnets)


def _revisions(entry: PlanEntry, subnets: Sequence[Subnet], faults: list[str]) -> dict[str, str]:
    """The revisions of builds with a feature, by subnet id; they are for subnets of the same batch."""
    revisions = {}
    for name, revision in entry.features.items():
        if not _REVISION.fullmatch(revision):
            faults.append(f"{entry.where}: feature of {name}: {revision!r} is not 40 hexadecimal digits")
        try:
            revisions[find_subnet(name, subnets).subnet_id] = revision
        except LookupError:
            faults.append(
                f"{entry.where}: feature of {name}: the batch has no such subnet; name it in its batch"
            )
    return revisions
