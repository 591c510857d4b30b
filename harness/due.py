"""What a stack waits for: whether anything is at work, and if not, the moments at which something becomes due.

Read from the metadata database in one statement (`harness.lines.waiting`), so that all of it is of the same moment, and
then from the virtual clock, where those who sleep say until when. In that order: who was asleep in the database's
answer and has woken up since is missing among the sleepers, and counts as at work.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from cryptography.fernet import Fernet, InvalidToken

TIME_TRIGGERS = ("DateTimeTrigger", "TimeDeltaTrigger")
"""Triggers that wait for the `moment` among their arguments, and sleep an hour at a time at most."""

WITH_WORKERS = ("queued", "running")
"""States of task instances that go on by what workers do."""

DEFAULT_RETRY_DELAY = 300.0
"""Seconds; Airflow's default of `[core] default_task_retry_delay`."""
MAX_RETRY_DELAY = 24 * 60 * 60
"""Seconds; `MAX_RETRY_DELAY` in Airflow's task SDK."""

Name = str
Component = Literal["scheduler", "triggerer"]


@dataclass(frozen=True, slots=True)
class Due:
    """Something that happens at `moment` (UTC) if nothing happens before: `what`, for people."""

    moment: datetime
    what: str
    passive: bool = False
    """Whether nobody learns of it by itself: it shows to whoever looks at that moment or later."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """Either something is `at_work`, or the stack waits for the soonest of `due`."""

    busy: tuple[str, ...]
    """The task instances that are at work, and what is due and not done yet; for people."""
    due: tuple[Due, ...]
    at: datetime
    """When the database was asked, on its clock."""
    examined: datetime | None
    """When the scheduler looked at the running DAG run that it has not looked at for longest; None without any.

    A look that began before a task instance's end was committed has not seen it, whatever the times say. So "not
    busy" is certain only once the scheduler has looked at every run after a moment at which nothing was busy already.
    """
    changed: datetime | None = None
    """When a task instance of a running DAG run has changed last, those aside that are running."""
    awake: tuple[str, ...] = ()
    """The triggers that do not say that they sleep; for people."""
    unexamined: tuple[str, ...] = ()
    """The runs that the scheduler has not looked at since a task of them ended, or may start now; for people."""

    by_scheduler: bool = False
    """Whether something at work goes on by a round of the scheduler, rather than by a task or a trigger."""

    @property
    def rounds(self) -> frozenset[Component]:
        """Whose next round something at work waits for, rather than for a task."""
        waited_for = set[Component]()
        if self.by_scheduler:
            waited_for.add("scheduler")
        if self.awake:
            waited_for.add("triggerer")
        return frozenset(waited_for)

    @property
    def at_work(self) -> tuple[str, ...]:
        """Why something may happen without the clock being moved, as far as one look tells."""
        return (*self.busy, *self.awake, *self.unexamined)

    @property
    def soonest(self) -> Due | None:
        return min(self.due, key=lambda d: d.moment, default=None)


@dataclass(frozen=True, slots=True)
class Sleeper:
    """Who said that it sleeps: `trigger … (ID n)`, or `task dag/run/task`; `until` is UTC."""

    name: str
    until: datetime


def outlook(state: Mapping[str, Any], sleepers: Sequence[Sleeper], now: datetime, fernet_key: str) -> Outlook:
    """What the statement told (`state`) and who sleeps, put together; `now` is the virtual time."""
    asleep = [s for s in sleepers if s.until > now]
    busy, awake, due = list[str](), list[str](), list[Due]()
    active = state["active"] or []
    _tasks(active, asleep, busy, due)
    _deferred(state["deferred"] or [], asleep, fernet_key, awake, due)
    due += [Due(_moment(at), f"{_task(key)} gets no answer") for *key, at in state["asked"] or []]
    for *key, moment in state["rescheduled"] or []:
        due.append(Due(_moment(moment), f"{_task(key)} looks again"))
    due += [
        Due(retry_moment(task), f"{_task(task['key'])} is tried again") for task in state["retrying"] or []
    ]
    due += [Due(_moment(at), f"a run of {dag} is scheduled") for dag, at in state["schedules"] or []]
    due += [Due(_moment(at), f"run {run} of {dag} may start") for dag, run, at in state["later"] or []]
    due += [Due(_moment(at), "a deadline") for (at,) in state["deadlines"] or []]
    late = [f"{d.what}: due, and not done yet" for d in due if d.moment <= now]
    busy += late
    unexamined = tuple(
        f"the scheduler has not looked at run {run} of {dag}" for dag, run in state["unexamined"] or []
    )
    scheduled = any(task_state not in WITH_WORKERS for *_, task_state in active)
    examined, changed = (_moment(state[k]) if state[k] else None for k in ("examined", "changed"))
    return Outlook(
        tuple(busy),
        tuple(due),
        _moment(state["at"]),
        examined,
        changed,
        tuple(awake),
        unexamined,
        bool(unexamined or late or scheduled),
    )


def _tasks(rows: Sequence[Sequence[Any]], asleep: Sequence[Sleeper], busy: list[str], due: list[Due]) -> None:
    """Active task instances. A running one may sleep; instances of a mapped task share their sleepers' name."""
    sleeping: dict[str, list[Sleeper]] = {}
    for sleeper in asleep:
        if sleeper.name.startswith("task "):
            sleeping.setdefault(sleeper.name.removeprefix("task "), []).append(sleeper)
    for *key, state in rows:
        mine = sleeping.get("/".join(key[:3])) if state == "running" else None
        if mine:
            due.append(Due(mine.pop().until, f"{_task(key)} wakes up"))
        else:
            busy.append(f"{_task(key)} is {state}")


def _deferred(
    rows: Sequence[Sequence[Any]], asleep: Sequence[Sleeper], key: str, awake: list[str], due: list[Due]
) -> None:
    by_id = dict(_trigger_sleepers(asleep))
    for *task, timeout, trigger_id, classpath, arguments in rows:
        if timeout is not None:
            due.append(Due(_moment(timeout), f"{_task(task)} times out"))
        sleeper = by_id.get(trigger_id)
        kind = classpath.rpartition(".")[2]
        if sleeper is None:
            awake.append(f"the trigger of {_task(task)} ({kind}) does not sleep")
            continue
        moment = trigger_moment(arguments, key) if kind in TIME_TRIGGERS else None
        due.append(Due(moment or sleeper.until, f"{_task(task)}: its {kind} wakes up"))


def _trigger_sleepers(asleep: Sequence[Sleeper]) -> Iterator[tuple[int, Sleeper]]:
    for sleeper in asleep:
        found = re.fullmatch(r"trigger .*\(ID (\d+)\)", sleeper.name, re.DOTALL)
        if found:
            yield int(found[1]), sleeper


def trigger_moment(arguments: str, fernet_key: str) -> datetime | None:
    """The `moment` among a trigger's stored arguments; None where there is none that can be read."""
    try:
        plain = (
            arguments
            if arguments.startswith("{")
            else Fernet(fernet_key).decrypt(arguments.encode()).decode()
        )
        return _timestamp(_find(json.loads(plain), "moment"))
    except (InvalidToken, ValueError):
        return None


def _find(value: Any, name: str) -> Any:
    """The value under `name`, however deep Airflow's serializers have wrapped the dictionary that has it."""
    if isinstance(value, Mapping):
        if name in value:
            return value[name]
        return next((found for v in value.values() if (found := _find(v, name)) is not None), None)
    return None


def _timestamp(value: Any) -> datetime | None:
    """A moment as Airflow's two serializers write it: seconds, or seconds under `timestamp`."""
    while isinstance(value, Mapping):
        value = next((value[k] for k in ("timestamp", "__data__", "__var") if k in value), None)
    return datetime.fromtimestamp(value, UTC) if isinstance(value, int | float) else None


def retry_moment(task: Mapping[str, Any]) -> datetime:
    """When a task instance is tried again, as `TaskInstance.next_retry_datetime` of Airflow 3.3 computes it."""
    end = _moment(task["end"])
    if task["override"] is not None:
        return end + timedelta(seconds=task["override"])
    dag_id, _, task_id, _ = task["key"]
    settings = _task_settings(task["dag"], task_id)
    delay = float(settings.get("retry_delay", DEFAULT_RETRY_DELAY))
    backoff = settings.get("retry_exponential_backoff") or 1
    multiplier = 2.0 if backoff is True else float(backoff)
    if multiplier != 1:
        delay = _backed_off(delay, multiplier, f"{dag_id}#{task_id}", task)
        if settings.get("max_retry_delay"):
            delay = min(delay, float(settings["max_retry_delay"]))
    return end + timedelta(seconds=delay)


def _backed_off(delay: float, multiplier: float, name: str, task: Mapping[str, Any]) -> float:
    least = max(1, math.ceil(delay * multiplier ** (task["try_number"] - 1)))
    logical = _moment(task["logical_date"]) if task["logical_date"] else None
    digest = hashlib.sha1(f"{name}#{logical}#{task['try_number']}".encode(), usedforsecurity=False)
    return float(min(least + int(digest.hexdigest(), 16) % least, MAX_RETRY_DELAY))


def _task_settings(dag: Mapping[str, Any] | None, task_id: str) -> dict[str, Any]:
    """What a serialized DAG says of one task, on top of the defaults that it leaves out."""
    if dag is None:
        return {}
    defaults = dag.get("client_defaults", {}).get("tasks", {})
    tasks = (_unwrapped(entry) for entry in dag["dag"]["tasks"])
    own: dict[str, Any] = next((t for t in tasks if t.get("task_id") == task_id), {})
    partial = own.get("partial_kwargs", {})
    return {name: _unwrapped(value) for name, value in {**defaults, **partial, **own}.items()}


def _unwrapped(value: Any) -> Any:
    while isinstance(value, Mapping) and "__var" in value:
        value = value["__var"]
    return value


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _task(key: Sequence[Any]) -> str:
    dag, run, task, index = key
    return f"{task}{'' if index == -1 else f'[{index}]'} of {dag}, {run},"
