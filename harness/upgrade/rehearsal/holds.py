"""Keeping runs where they are, and letting them go: gates, queues, pools, pauses, answers."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable

from harness.airflow import AirflowError
from harness.environment import Environment
from harness.runtime.base import Runtime
from harness.upgrade.rehearsal.specimens import Hold, Specimen

GATES = "/tmp/rehearsal"  # noqa: S108 - in the workers
QUEUE = "rehearsal_later"
CLOSED, ONE = "rehearsal_closed", "rehearsal_one"
CONSUMER, SECOND = "rehearsal_consumer", "rehearsal_second"
CELERY = (
    "import os,sys,celery;"
    "app=celery.Celery(broker=os.environ['AIRFLOW__CELERY__BROKER_URL']);"
    "sys.exit(not getattr(app.control,sys.argv[1])(sys.argv[2],reply=True,timeout=10))"
)


class HoldError(RuntimeError):
    """Something that keeps runs where they are could not be set or released; the message says what."""


def workers(env: Environment) -> list[str]:
    return [pod.name for pod in env.topology.pods if pod.name.startswith("worker")]


def set_all(env: Environment, specimens: Iterable[Specimen]) -> None:
    """Keep back what `release` lets go."""
    set_pool(env, ONE, 1)
    for specimen in specimens:
        if specimen.hold is Hold.POOL:
            set_pool(env, CLOSED, 0)
        elif specimen.hold is Hold.QUEUE:
            consume(env, "cancel_consumer")
        elif specimen.hold is Hold.PAUSED:
            pause(env, specimen.dag_id, True)


def release(env: Environment, specimen: Specimen, run_id: str) -> None:
    """Let the run of a specimen go on."""
    match specimen.hold:
        case Hold.GATE | Hold.LATE_GATE:
            open_gate(env, run_id)
        case Hold.POOL:
            set_pool(env, CLOSED, 1)
        case Hold.QUEUE:
            consume(env, "add_consumer")
        case Hold.PAUSED:
            pause(env, specimen.dag_id, False)
        case Hold.ASSET:
            env.airflow.trigger(SECOND, run_id=f"{run_id}-second")
        case Hold.HUMAN:
            path = f"/dags/{specimen.dag_id}/dagRuns/{run_id}/taskInstances/ask/-1/hitlDetails"
            env.airflow.call("PATCH", path, json={"chosen_options": ["yes"], "params_input": {}})
        case Hold.ITSELF | Hold.BACKFILL:
            pass


def open_gate(env: Environment, run_id: str) -> None:
    """Let a task that waits at its gate go on, in whichever worker."""
    for worker in workers(env):
        open_in(env.runtime, worker, run_id)


def open_in(runtime: Runtime, worker: str, run_id: str) -> None:
    """The same in one worker."""
    _exec(runtime, worker, ["sh", "-c", f"mkdir -p {GATES} && touch '{GATES}/{run_id}'"])


def consume(env: Environment, what: str) -> None:
    """Have the workers begin (``add_consumer``) or cease (``cancel_consumer``) to serve the late queue."""
    for worker in workers(env)[:1]:
        _exec(env.runtime, worker, ["python", "-c", CELERY, what, QUEUE])


def set_pool(env: Environment, name: str, slots: int) -> None:
    """Make the pool, or give it so many slots. One that is deferred keeps its slot."""
    body = {"name": name, "slots": slots, "description": "of the rehearsal", "include_deferred": True}
    with contextlib.suppress(AirflowError):
        env.airflow.call("POST", "/pools", json=body)
        return
    env.airflow.call("PATCH", f"/pools/{name}", params={"update_mask": "slots"}, json=body)


def pause(env: Environment, dag_id: str, paused: bool) -> None:
    env.airflow.call("PATCH", f"/dags/{dag_id}", json={"is_paused": paused})


def _exec(runtime: Runtime, service: str, command: list[str]) -> str:
    done = runtime.exec(service, command)
    if done.exit_code:
        raise HoldError(
            f"{' '.join(command)[:200]} in {service} failed ({done.exit_code}): {done.output.strip()[-500:]}"
        )
    return done.output
