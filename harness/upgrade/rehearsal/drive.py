"""Bring specimens into their states, let them go again, and skip time until they have ended."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from harness.airflow import AirflowError, RunFailed
from harness.environment import Environment
from harness.upgrade.rehearsal import holds
from harness.upgrade.rehearsal.observe import RunKey
from harness.upgrade.rehearsal.outcome import ENDED
from harness.upgrade.rehearsal.specimens import Hold, Specimen
from harness.waits import Deadline, WaitTimeout, eventually

WAITS = timedelta(minutes=150)
"""How far ahead of the clock the moment is that specimens wait for."""
STANDS_WITHIN = 150
"""Seconds in which all specimens get into their states, on a busy machine."""
SETTLED = 2.0
"""Seconds without any change after which nothing is at work, where nothing seems to be."""
STUCK = 20.0
"""Seconds without any change after which what seems to be at work does not count any more."""
FINISH_WITHIN = 420

TASKS = "SELECT task_id, map_index, state FROM task_instance WHERE dag_id = %s AND run_id = %s"
RUN = "SELECT state FROM dag_run WHERE dag_id = %s AND run_id = %s"
RUNS = "SELECT run_id FROM dag_run WHERE dag_id = %s AND run_id LIKE %s ORDER BY run_id"
ALL_RUNS = "SELECT run_id FROM dag_run WHERE dag_id = %s ORDER BY id"
STATES = (
    "SELECT dag_id, run_id, task_id, map_index, state, try_number FROM task_instance"
    " WHERE state IN ('queued', 'running', 'scheduled', 'deferred', 'up_for_retry', 'up_for_reschedule')"
    " ORDER BY 1, 2, 3, 4"
)


@dataclass
class Stage:
    """One set of the specimens' runs: the control's, or those that are upgraded. `number` tells backfills apart."""

    name: str
    number: int
    specimens: tuple[Specimen, ...]
    unready: dict[str, str] = field(default_factory=dict)
    before: frozenset[str] = frozenset()
    """Runs of the DAG that assets trigger that were there before."""
    kept: dict[str, list[RunKey]] = field(default_factory=dict)
    """By specimen: the runs that it had when the stage was over."""

    def run_id(self, specimen: Specimen) -> str:
        return f"rehearsal-{self.name}-{specimen.name}"

    @property
    def years(self) -> tuple[int, int]:
        """The first and the second year that this stage's backfill fills."""
        return 2020 + 2 * self.number, 2021 + 2 * self.number

    def runs(self, env: Environment, specimen: Specimen) -> list[RunKey]:
        """The specimen's runs that there are so far."""
        if specimen.name in self.kept:
            return self.kept[specimen.name]
        if specimen.hold is Hold.BACKFILL:
            found = [
                r
                for year in self.years
                for (r,) in env.database.rows(RUNS, [specimen.dag_id, f"backfill%{year}-%"])
            ]
        elif specimen.hold is Hold.ASSET:
            found = [r for (r,) in env.database.rows(ALL_RUNS, [specimen.dag_id]) if r not in self.before]
        else:
            found = [self.run_id(specimen)]
        return [(specimen.dag_id, run) for run in found]

    def keep(self, env: Environment) -> None:
        """The stage is over: what is started from now on is not its own."""
        self.kept = {specimen.name: self.runs(env, specimen) for specimen in self.specimens}


def bring(env: Environment, stage: Stage) -> None:
    """Start the stage's runs and wait until each is in its state; `stage.unready` says which are not, and why."""
    holds.set_all(env, stage.specimens)
    moment = (env.clock.now() + WAITS).isoformat()
    stage.before = frozenset(r for (r,) in env.database.rows(ALL_RUNS, [holds.CONSUMER]))
    for specimen in stage.specimens:
        try:
            _start(env, stage, specimen, {**specimen.conf, "until": moment})
        except (AirflowError, RunFailed, WaitTimeout) as error:
            stage.unready[specimen.name] = str(error)
    waiting = {s.name: s for s in stage.specimens if s.name not in stage.unready}
    seen: dict[str, str] = {}

    def look() -> bool:
        for specimen in list(waiting.values()):
            seen[specimen.name] = lacks(env, stage, specimen)
            if not seen[specimen.name]:
                del waiting[specimen.name]
        return not waiting

    try:
        eventually(look, "every specimen to be in its state", STANDS_WITHIN)
    except WaitTimeout:
        stage.unready |= {name: seen[name] for name in waiting}
    # One that has reached its state may have left it since.
    for specimen in stage.specimens:
        if specimen.name not in stage.unready and (left := lacks(env, stage, specimen)):
            stage.unready[specimen.name] = left


def _start(env: Environment, stage: Stage, specimen: Specimen, conf: Mapping[str, Any]) -> None:
    run_id = stage.run_id(specimen)
    env.airflow.wait_for_dag(specimen.dag_id)
    match specimen.hold:
        case Hold.PAUSED:
            body = {"dag_run_id": run_id, "conf": dict(conf), **env.airflow.rest.new_run}
            env.airflow.call("POST", f"/dags/{specimen.dag_id}/dagRuns", json=body)
        case Hold.ASSET:
            holds.pause(env, specimen.dag_id, False)
            env.airflow.trigger("rehearsal_first", run_id=f"{run_id}-first").wait(timeout=STANDS_WITHIN)
        case Hold.BACKFILL:
            holds.pause(env, specimen.dag_id, False)
            first, second = stage.years
            body = {
                "dag_id": specimen.dag_id,
                "from_date": f"{first}-01-01T00:00:00Z",
                "to_date": f"{second}-01-02T00:00:00Z",
                "max_active_runs": 1,
                "dag_run_conf": dict(conf),
                "reprocess_behavior": "none",
            }
            env.airflow.call("POST", "/backfills", json=body)
        case _:
            env.airflow.trigger(specimen.dag_id, conf, run_id)


def lacks(env: Environment, stage: Stage, specimen: Specimen) -> str:
    """What of a specimen is not as it has to be before Airflow is stopped; nothing, where it is."""
    if specimen.hold is Hold.ASSET:
        waiting = env.database.rows(env.line.tables.asset_queue)
        ready = (specimen.dag_id,) in waiting and not stage.runs(env, specimen)
        return "" if ready else f"no asset event waits for {specimen.dag_id}"
    runs = stage.runs(env, specimen)
    if not runs:
        return "it has no run"
    states = [state for (state,) in env.database.rows(RUN, list(runs[0]))]
    if states != [specimen.run_at]:
        return f"its run is {''.join(states) or 'not there'} instead of {specimen.run_at}"
    tasks = {
        task if index < 0 else f"{task}[{index}]": state
        for task, index, state in env.database.rows(TASKS, list(runs[0]))
    }
    for task, state in specimen.at.items():
        wanted = state if isinstance(state, tuple) else (state,)
        if task not in tasks or tasks[task] not in wanted:
            told = " or ".join(one or "none" for one in wanted)
            return f"{task} is {tasks.get(task, 'not there') or 'none'} instead of {told}"
    return ""


def release(env: Environment, stage: Stage) -> dict[str, str]:
    """Let all of the stage's runs go on; what could not be released, with the reason."""
    failed = {}
    for specimen in stage.specimens:
        try:
            holds.release(env, specimen, stage.run_id(specimen))
        except (AirflowError, WaitTimeout, holds.HoldError) as error:
            failed[specimen.name] = str(error)
    return failed


def ended(env: Environment, stage: Stage, specimen: Specimen) -> bool:
    """Whether all runs that the specimen should have are there, and have ended."""
    runs = stage.runs(env, specimen)
    wanted = 2 if specimen.hold is Hold.BACKFILL else 1
    states = [state for key in runs for (state,) in env.database.rows(RUN, list(key))]
    return len(states) >= wanted and all(state in ENDED for state in states)


def finish(env: Environment, stage: Stage) -> dict[str, str]:
    """Skip time until every run of the stage has ended, or nothing changes any more.

    Like `Clock.skip_until`, but what is stuck does not keep the others from their moments. Returns, for each specimen
    that has not ended, what Airflow still waited for.
    """
    waiting = {s.name: s for s in stage.specimens if s.name not in stage.unready}
    quiet = _Quiet(env, [s.dag_id for s in stage.specimens if _waits_for_another(s)])
    deadline = Deadline.after(FINISH_WITHIN)

    def step() -> bool:
        for name in [n for n, s in waiting.items() if ended(env, stage, s)]:
            del waiting[name]
        return not waiting or deadline.passed or quiet.step()

    eventually(step, "the runs to end", FINISH_WITHIN + STUCK, 0.2)
    seen = env.clock.outlook()
    told = [*seen.at_work, *(f"{due.what} at {due.moment:%Y-%m-%d %H:%M}" for due in seen.due)]
    return {
        name: "; ".join(t for t in told if f" {specimen.dag_id}" in t)[:500]
        for name, specimen in waiting.items()
    }


def _waits_for_another(specimen: Specimen) -> bool:
    """Whether a task of it is scheduled until another task of the same run ends."""
    return specimen.hold is Hold.ITSELF and "scheduled" in specimen.at.values()


class _Quiet:
    """Moves the clock to the next due moment whenever nothing has changed for long enough.

    Scheduled tasks of the DAGs `waiting` wait for other tasks, and are not at work.
    """

    def __init__(self, env: Environment, waiting: Sequence[str]) -> None:
        self._env = env
        self._waiting = waiting
        self._seen = ""
        self._settled = Deadline.after(SETTLED)
        self._stuck = Deadline.after(STUCK)

    def step(self) -> bool:
        """Jump if it is time to. Whether nothing is left to be waited for."""
        seen = self._env.clock.outlook()
        busy = [why for why in seen.at_work if not self._only_waits(why)]
        now = json.dumps([self._env.database.rows(STATES), sorted(busy)], default=str)
        if now != self._seen:
            self._seen = now
            self._settled, self._stuck = Deadline.after(SETTLED), Deadline.after(STUCK)
            return False
        if not (self._stuck if busy else self._settled).passed:
            return False
        due = min(
            (
                d
                for d in seen.due
                if d.moment > self._env.clock.now() and not d.passive and "schedule" not in d.what
            ),
            key=lambda d: d.moment,
            default=None,
        )
        if due is None:
            return self._stuck.passed
        self._env.clock.jump_to(due)
        self._seen = ""
        return False

    def _only_waits(self, why: str) -> bool:
        return why.endswith(" is scheduled") and any(f" of {dag}, " in why for dag in self._waiting)
