"""A quicker triggerer, and a scheduler that rests when there has been nothing to do for a while.

The triggerer looks for triggers more often than once a second, and its runner hands an event over at once; an idle
scheduler makes fewer rounds than a busy one. Airflow has no settings for that. `sitecustomize` asks for this module
where ITEST_TRIGGERER_PAUSE or ITEST_SCHEDULER_REST is set; what they change is in `harness/services/speed.py`.
Standard library only, Python 3.9 and newer.
"""

from __future__ import annotations

import threading
import time
from collections import deque

import itest_bell  # type: ignore[import-not-found]  # beside this file
from itest_imports import after_import  # type: ignore[import-not-found]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

TRIGGERER = "airflow.jobs.triggerer_job_runner"
SCHEDULER = "airflow.jobs.scheduler_job_runner"
AIRFLOWS_PAUSE = 1
"""Seconds that the triggerer waits between two rounds. In Airflow 3.0 to 3.3 the runner (`TriggerRunner.arun`)
waits by anyio; in 2.11 it waits by asyncio, and its main thread by `time`."""
WAITS = {"anyio": "move_on_after", "asyncio": "sleep", "time": "sleep"}
"""Modules by which it may wait, and the function of each that takes the seconds."""
IDLE_ROUNDS = 30
"""After so many rounds in a row in which the scheduler had nothing to do, it rests: about four seconds."""


class Alarm:
    """Ends the pause between two rounds of the runner when there is something to hand over, or `bell` rings."""

    def __init__(self, bell: Any) -> None:
        self._bell = bell
        self._listening = False
        self._pause: Any = None
        self._rung = False

    def pause(self, usual: float) -> float:
        """Seconds that the next pause is to last if nothing ends it."""
        return usual if self._bell is None else float(self._bell.pause(usual))

    def ring(self) -> None:
        self._rung = True
        if self._pause is not None:
            self._pause.cancel()

    def watch(self, pause: Any) -> Any:
        """The cancel scope `pause`, which ends at once if the alarm has rung since the last one began."""
        if self._bell is not None and not self._listening:
            from asyncio import get_running_loop  # loaded by now, and slow to load in all other processes

            self._listening = True
            self._listen(get_running_loop())
        self._pause = pause
        if self._rung:
            pause.cancel()
        self._rung = False
        return pause

    def _listen(self, loop: Any) -> None:
        """Have a thread hear the bell for the loop, which has triggers to run meanwhile."""

        def listen() -> None:
            while not loop.is_closed():
                if self._bell.heard():
                    loop.call_soon_threadsafe(self.ring)
                time.sleep(itest_bell.STEP)

        threading.Thread(target=listen, name="itest-bell", daemon=True).start()


class Events(deque):  # type: ignore[type-arg]  # Python 3.9
    """A runner's events, of which each new one rings the alarm."""

    def __init__(self, events: Any, alarm: Alarm) -> None:
        super().__init__(events)
        self._alarm = alarm

    def append(self, event: Any) -> None:
        super().append(event)
        self._alarm.ring()


class Quick:
    """A module as the triggerer sees it: where its function `name` is to wait for Airflow's pause, it is `pause`.

    With an `alarm`, which may end it.
    """

    def __init__(self, module: Any, name: str, pause: float, alarm: Alarm | None = None) -> None:
        self._module = module
        self._name = name
        self._pause = pause
        self._alarm = alarm

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._module, name)
        if name != self._name:
            return found

        def wait(delay: float | None, *arguments: Any, **options: Any) -> Any:
            if delay != AIRFLOWS_PAUSE:
                return found(delay, *arguments, **options)
            if self._alarm is None:
                return found(self._pause, *arguments, **options)
            return self._alarm.watch(found(self._alarm.pause(self._pause), *arguments, **options))

        return wait


def quicken_triggerer(pause: float) -> None:
    """Have the triggerer's runner wait `pause` seconds between rounds, once it is imported."""

    def change(module: Any) -> None:
        known = [name for name in WAITS if hasattr(module, name)]
        if "anyio" not in known:
            for name in known:
                setattr(module, name, Quick(getattr(module, name), WAITS[name], pause))
            return
        # Airflow 3's runner knows the others, too, but waits for other things by them.
        alarm = Alarm(itest_bell.of_this_stack("triggerer"))
        module.anyio = Quick(module.anyio, WAITS["anyio"], pause, alarm)
        ring_for_events(module.TriggerRunner, alarm)
        clean_seldom(module.TriggerRunnerSupervisor)

    after_import(TRIGGERER, change)


def ring_for_events(runner: Any, alarm: Alarm) -> None:
    """Have the events of each `runner` ring the alarm."""
    make = runner.__init__

    def init(self: Any, *arguments: Any, **options: Any) -> None:
        make(self, *arguments, **options)
        self.events = Events(self.events, alarm)

    runner.__init__ = init


def clean_seldom(supervisor: Any) -> None:
    """Have triggers that nobody waits for be removed as often as Airflow does, although there are more rounds."""
    clean = supervisor.clean_unused
    last = [float("-inf")]

    def clean_unused(self: Any) -> None:
        if time.monotonic() - last[0] >= AIRFLOWS_PAUSE:
            last[0] = time.monotonic()
            clean(self)

    supervisor.clean_unused = clean_unused


class RestingTime:
    """The module `time` as the scheduler sees it: at its start, and when it has long been idle, it sleeps `rest`
    seconds. Where a `bell` is being rung, it sleeps until the next ring.

    The scheduler sleeps after a round in which it had nothing to do, and only then. `round_ended` is to be called once
    a round, before that sleep.
    """

    def __init__(self, time: Any, rest: float, bell: Any = None) -> None:
        self._time = time
        self._rest = rest
        self._bell = bell
        # One that has just started has had nothing to do yet.
        self._idle_rounds = IDLE_ROUNDS
        self._slept = True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._time, name)

    def round_ended(self) -> None:
        if not self._slept:
            self._idle_rounds = 0
        self._slept = False

    def sleep(self, seconds: float) -> None:
        self._slept = True
        self._idle_rounds += 1
        pause = max(seconds, self._rest) if self._idle_rounds > IDLE_ROUNDS else seconds
        if self._bell is None:
            self._time.sleep(pause)
        else:
            self._bell.wait(pause, self._time.sleep)


def rest_scheduler(rest: float) -> None:
    """Have a scheduler that has nothing to do sleep `rest` seconds between rounds, once it is imported."""

    def change(module: Any) -> None:
        module.time = time = RestingTime(module.time, rest, itest_bell.of_this_stack("scheduler"))
        heartbeat = module.perform_heartbeat

        def perform_heartbeat(*arguments: Any, **options: Any) -> Any:
            time.round_ended()
            return heartbeat(*arguments, **options)

        module.perform_heartbeat = perform_heartbeat

    after_import(SCHEDULER, change)
