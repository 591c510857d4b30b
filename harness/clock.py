"""The stack's virtual clock as a test holds it: read it, move it forward, skip to whatever is due next."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Protocol

import httpx

from harness.database import Database
from harness.due import Component, Due, Outlook, Sleeper, outlook
from harness.history import Recorder
from harness.lines import line_for
from harness.runtime.base import Runtime, not_running
from harness.topology import Topology
from harness.waits import Deadline, eventually
from harness.watcher import TERMINAL, Interest, look

TICK = 0.03
"""Seconds between two looks at whether anything is at work."""
TOLD_EVERY = 10.0
"""Seconds after which `skip_until` says again what it is waiting for."""
RUNG_AGAIN: dict[Component, float] = {"scheduler": 0.5, "triggerer": 0.1}
"""Seconds after which a bell is rung again for the same reason. The triggerer's runner is given a new trigger in the
second round after its supervisor looked, which may be the one after a ring."""
DUE_WITHIN = 10.0
"""Seconds for which nothing at all may be due before that counts as an error."""
DEAD_LOOK = 2.0
"""Seconds between two looks at the containers: Airflow itself no longer notices when one is gone."""

Condition = Callable[[], object]
"""What is waited for: holds when what it returns is true."""


class Run(Protocol):
    """A DAG run, as `harness.airflow.DagRun` is one."""

    dag_id: str
    run_id: str


class ClockError(RuntimeError):
    """The clock cannot do what was asked; the message says why."""


class Clock:
    """One stack's clock. It starts at real time, and only ever goes forward."""

    def __init__(
        self,
        url: str,
        database: Database,
        runtime: Runtime,
        topology: Topology,
        fernet_key: str,
        record: Recorder,
        mocks_due: Callable[[], float | None],
        say: Callable[[str], None],
    ) -> None:
        self._http = httpx.Client(base_url=url, timeout=10, trust_env=False)
        self._database = database
        self._runtime = runtime
        self._tables = line_for(topology.airflow).tables
        self._lasting = [s.name for s in topology.lasting()]
        self._fernet_key = fernet_key
        self._record = record
        self._mocks_due = mocks_due
        self._say = say
        self._jumps: list[dict[str, object]] = []

    def close(self) -> None:
        self._http.close()

    # ---- reading and moving

    def offset(self) -> timedelta:
        """How far the stack's time is ahead of real time."""
        return timedelta(microseconds=self._read()[0] / 1000)

    def now(self) -> datetime:
        """The stack's time, UTC."""
        return self._at(self._read()[0])

    def advance(self, by: timedelta) -> datetime:
        """Move the clock forward, whatever is at work; the new time. Raises `ClockError` for a negative span.

        Moments in between are jumped over, as when a machine wakes from a long sleep: `skip_until` stops at each.
        """
        return self._move(self._read()[0] + by // timedelta(microseconds=1) * 1000, f"advanced by {by}")

    def set(self, moment: datetime) -> datetime:
        """Move the clock forward to a time-zone-aware `moment`. Raises `ClockError` for one that has passed."""
        if moment.tzinfo is None:
            raise ClockError(f"{moment} has no time zone")
        if moment <= self.now():
            raise ClockError(f"the clock does not go back: it is {self.now()}, later than {moment}")
        return self._move(self._offset_for(moment), f"set to {moment}")

    # ---- skipping

    def skip_until(self, reached: Condition, what: str, timeout: float = 600) -> None:
        """Jump from one due moment to the next as soon as nothing is at work, until `reached()` holds.

        Due are triggers and their time-outs, sleeping tasks, reschedules, retries, scheduled runs, deadlines, and what
        happens in the mocks by itself; none of them is jumped past. `what` names the condition for people, who are told
        meanwhile what is waited for. Raises `WaitTimeout` after `timeout` real seconds, and `ClockError` when nothing
        is due and the condition cannot come true, or a container has ended.
        """
        skipping = _Skipping(self, reached, what)
        eventually(
            lambda: bool(reached()) or skipping.step(),
            f"{what} (skipping time)",
            timeout,
            TICK,
            lambda: skipping.waiting_for,
        )

    def skip_until_ended(self, *runs: Run, timeout: float = 600) -> None:
        """`skip_until` all of these DAG runs have ended, however they end."""
        keys = frozenset((run.dag_id, run.run_id) for run in runs)

        def over() -> bool:
            states = look(self._database.rows, self._tables, [Interest(runs=keys)]).runs
            return all(states.get(key) in TERMINAL for key in keys)

        self.skip_until(over, f"{len(runs)} runs to end" if len(runs) > 1 else "the run to end", timeout)

    def wait_until_idle(self, timeout: float = 60) -> Outlook:
        """Wait until nothing is at work, without moving the clock; what is due then. Raises `WaitTimeout`."""
        seen: list[Outlook] = []

        def idle() -> bool:
            seen[:] = [self.outlook()]
            return not seen[0].at_work

        eventually(idle, "nothing to be at work", timeout, TICK, lambda: "; ".join(seen[0].at_work))
        return seen[0]

    def outlook(self) -> Outlook:
        """Whether anything is at work now, and what is due when; of the mocks only where no task or trigger is."""
        [(state,)] = self._database.rows(self._tables.waiting)
        offset, sleepers = self._read()
        seen = outlook(state, sleepers, self._at(offset), self._fernet_key)
        change = None if seen.busy or seen.awake else self.change_of_mocks()
        return seen if change is None else replace(seen, due=(*seen.due, change))

    def change_of_mocks(self) -> Due | None:
        """When something in the mocks changes by itself next."""
        moment = self._mocks_due()
        if moment is None:
            return None
        return Due(datetime.fromtimestamp(moment, UTC), "the mocks change", passive=True)

    def check_containers(self) -> None:
        """Raises `ClockError` when a container has ended: with time skipping, Airflow does not notice that."""
        gone = not_running(self._runtime.states(), self._lasting)
        if gone:
            told = ", ".join(f"{name} ({state.status})" for name, state in gone.items())
            raise ClockError(f"not running any more: {told}")

    def jump_to(self, due: Due) -> None:
        """Move to the moment of `due`, and journal why. Nothing to do when it has come by itself meanwhile."""
        self._move(self._offset_for(due.moment), due.what, or_later=True)

    def jumps(self) -> list[dict[str, object]]:
        """Every move that this handle made: `offset_ns`, `now` (ISO 8601) and `why`."""
        return list(self._jumps)

    def ring(self, component: Component) -> None:
        """Tell scheduler or triggerer that a round of it is waited for (`pods_site/itest_bell.py`)."""
        self._http.post(f"/{component}").raise_for_status()

    def tell(self, text: str) -> None:
        self._say(f"clock {self.now():%Y-%m-%d %H:%M:%S}Z: {text}")

    # ---- the clock's container

    def _read(self) -> tuple[int, list[Sleeper]]:
        body = self._http.get("/").raise_for_status().json()
        sleepers = [Sleeper(s["name"], _utc(s["until_ns"])) for s in body["sleepers"]]
        return body["offset_ns"], sleepers

    def _move(self, offset_ns: int, why: str, or_later: bool = False) -> datetime:
        """Put the clock there; with `or_later`, nothing happens where it is further on."""
        answer = self._http.put("/", json={"offset_ns": offset_ns})
        if or_later and answer.status_code == httpx.codes.CONFLICT:
            return self.now()
        if answer.is_error:
            raise ClockError(f"{why}: {answer.json()['error']}")
        now = self._at(offset_ns)
        jump: dict[str, object] = {"offset_ns": offset_ns, "now": now.isoformat(), "why": why}
        self._jumps.append(jump)
        self._record("clock", **jump)
        return now

    @staticmethod
    def _at(offset_ns: int) -> datetime:
        return _utc(time.time_ns() + offset_ns)

    @staticmethod
    def _offset_for(moment: datetime) -> int:
        microseconds = (moment - datetime.fromtimestamp(0, UTC)) // timedelta(microseconds=1)
        # Rounded up: at the moment itself, "not before" has to be true already.
        return (microseconds + 1) * 1000 - time.time_ns()


class _Skipping:
    """One call of `skip_until`: what it waits for now, and since when."""

    def __init__(self, clock: Clock, reached: Condition, what: str) -> None:
        self._clock = clock
        self._reached = reached
        self._what = what
        self.waiting_for = ""
        self._tell = Deadline.after(TOLD_EVERY)
        self._look = Deadline.after(DEAD_LOOK)
        self._nothing_due = Deadline.after(DUE_WITHIN)
        self._quiet_since: datetime | None = None
        self._changed: datetime | None = None
        self._rung: dict[Component, tuple[object, Deadline]] = {}

    def step(self) -> bool:
        """Jump if nothing is at work. Whether the condition was seen to hold; it is looked at afterwards anyway."""
        if self._look.passed:
            self._clock.check_containers()
            self._look = Deadline.after(DEAD_LOOK)
        seen = self._clock.outlook()
        soonest = seen.soonest
        if seen.at_work or soonest is not None:
            self._nothing_due = Deadline.after(DUE_WITHIN)
        unsettled = self._unsettled(seen)
        if seen.busy or seen.awake or unsettled:
            if unsettled or seen.by_scheduler:
                self._ring("scheduler", (seen.busy, seen.unexamined, seen.changed, seen.examined))
            if seen.awake:
                self._ring("triggerer", seen.awake)
            if not (seen.rounds or unsettled):
                # Tasks take some tenths of a second, and each look takes from their time.
                time.sleep(TICK)
            self._wait("; ".join((*seen.busy, *seen.awake, *unsettled)[:3]))
        elif soonest is not None and soonest.passive:
            return self._walk(soonest, seen)
        elif soonest is not None:
            self._quiet_since = None
            self._clock.jump_to(soonest)
        elif self._nothing_due.passed:
            raise ClockError(f"{self._what}: nothing is at work and nothing is due, so it cannot come")
        return False

    def _walk(self, change: Due | None, seen: Outlook) -> bool:
        """Go from one passive change to the next until something else is due, or the condition holds.

        Nothing comes to work by them, so it stays as quiet as it was `seen` to be.
        """
        others = min((due.moment for due in seen.due if not due.passive), default=None)
        while change is not None and (others is None or change.moment < others):
            self._clock.jump_to(change)
            if self._reached():
                return True
            change = self._clock.change_of_mocks()
        return False

    def _unsettled(self, seen: Outlook) -> tuple[str, ...]:
        """Why the scheduler may not have seen yet all that led to no task being at work; for people.

        It has once it has looked at every run (`Outlook.examined`) with a look that began when no task was at work any
        more, whatever it had not looked at by then. Triggers may be: it has nothing to see of them.
        """
        if seen.busy or seen.changed != self._changed:
            self._quiet_since, self._changed = None, seen.changed
        if seen.busy:
            return ()
        self._quiet_since = self._quiet_since or seen.at
        if seen.unexamined:
            return seen.unexamined
        if seen.examined is None or seen.examined > self._quiet_since:
            return ()
        return ("the scheduler has not looked at every run since nothing is at work",)

    def _ring(self, component: Component, reason: object) -> None:
        """Ring for a round that has to begin after what was seen: the `reason`.

        A ring that comes during a round is heard after it, so a second one for the same reason would be for a round in
        which there is nothing to do.
        """
        before = self._rung.get(component)
        if before is None or before[0] != reason or before[1].passed:
            self._rung[component] = reason, Deadline.after(RUNG_AGAIN[component])
            self._clock.ring(component)

    def _wait(self, why: str) -> None:
        self.waiting_for = why
        if self._tell.passed:
            self._clock.tell(f"waiting for {self._what}; {why}")
            self._tell = Deadline.after(TOLD_EVERY)


def _utc(nanoseconds: int) -> datetime:
    return datetime.fromtimestamp(nanoseconds / 1e9, UTC)
