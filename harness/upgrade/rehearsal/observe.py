"""Read how runs ended: from Airflow's API where a person would look, from the mocks' ledger what they did outside."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import quote

import httpx

from harness.airflow import AirflowError, DagRun, TaskInstance
from harness.environment import Environment
from harness.mocks.ledger import Effect, Kind
from harness.upgrade.rehearsal.judge import Shown
from harness.upgrade.rehearsal.outcome import Outcome, RunEnd, TaskEnd
from harness.waits import Deadline, WaitTimeout, eventually

RunKey = tuple[str, str]

LOGS = "airflow-logs/"
"""Where logs go: no effect of a task's own. Whether they can be read is looked at instead."""
WORKED = frozenset({"success", "failed", "up_for_retry", "up_for_reschedule", "deferred"})
"""States of a task that has run, and so has a log."""

UPLOADED_WITHIN = 10
"""Seconds for the workers to upload the logs of all tasks whose states they have already told."""
LINES = 8
"""More than Airflow writes in place of a log that it does not find."""

XCOMS = "SELECT task_id, map_index, key FROM xcom WHERE dag_id = %s AND run_id = %s ORDER BY 1, 2, 3"


def patience() -> Deadline:
    """Until when logs are waited for, by those who look at several outcomes at one time."""
    return Deadline.after(UPLOADED_WITHIN)


def observe(
    env: Environment, runs: Sequence[RunKey], logs: Deadline, differing: Collection[str] = ()
) -> Outcome:
    """The outcome of these runs as they are now, ended or not, without the XComs that are `differing` anyway.

    A log that is not there is waited for until `logs`.
    """
    effects = env.ledger()
    try:
        return Outcome(tuple(_run(env, env.airflow.run(*key), effects, logs, differing) for key in runs))
    except (AirflowError, httpx.HTTPError) as error:
        return Outcome((), f"the API does not tell: {error}")


def shown_by(env: Environment) -> Shown:
    """What the API shows of all runs, and the newest event's id."""
    ((newest,),) = env.database.rows("SELECT max(id) FROM log")
    return Shown(frozenset(f"{run['dag_id']} {run['dag_run_id']}" for run in env.airflow.runs()), newest or 0)


def _run(
    env: Environment, run: DagRun, effects: Sequence[Effect], logs: Deadline, differing: Collection[str]
) -> RunEnd:
    instances = run.task_instances()
    pushed = {
        f"{task}{'' if index < 0 else f'[{index}]'}/{key}": (task, key, index)
        for task, index, key in env.database.rows(XCOMS, [run.dag_id, run.run_id])
    }
    return RunEnd(
        run.state,
        {str(t): TaskEnd(t.state, t.try_number) for t in instances},
        {
            name: _value(run, *place)
            for name, place in pushed.items()
            if not any(fnmatchcase(name, pattern) for pattern in differing)
        },
        tuple(sorted(_told(e, run.run_id) for e in effects if e.run_id == run.run_id and not _is_log(e))),
        tuple(str(t) for t in instances if t.state in WORKED and t.try_number and not _speaks(run, t, logs)),
    )


def _value(run: DagRun, task: str, key: str, index: int) -> Any:
    """As the API tells it; its refusal where it does not."""
    try:
        return run.xcom(task, key, index)
    except AirflowError as error:
        return f"cannot be read: {str(error)[:200]}"


def _speaks(run: DagRun, task: TaskInstance, until: Deadline) -> bool:
    """Whether the log of the last try can be read: it has the line that the specimens' tasks write, or many others."""
    path = f"/dags/{run.dag_id}/dagRuns/{quote(run.run_id, safe='')}/taskInstances/{task.task_id}/logs"

    def look() -> bool:
        answer = run.airflow.call(
            "GET",
            f"{path}/{task.try_number}",
            params={"map_index": task.map_index, "full_content": True},
        )
        text = run.airflow.rest.read_log(answer)
        return f"{task.task_id} speaks" in text or text.count("\n") >= LINES

    try:
        return eventually(look, f"the log of {task}", until.left)
    except (AirflowError, WaitTimeout):
        return False


def _is_log(effect: Effect) -> bool:
    return effect.kind == Kind.S3_PUT and effect.target.startswith(LOGS)


def _told(effect: Effect, run_id: str) -> str:
    detail = {key: value for key, value in effect.detail.items() if key not in ("ts", "id")}
    text = (
        f"{effect.task_id}: {effect.kind} {effect.target} {json.dumps(detail, sort_keys=True, default=str)}"
    )
    return text.replace(run_id, "RUN")
