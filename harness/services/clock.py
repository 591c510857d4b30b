"""The virtual clock: its container, and what lets the others live by it (`harness/containers/clock`, ADR 0023).

A stack with it is another topology, since Airflow has to stand jumps: what it would take for a dead component is
one whose last sign of life is suddenly days old. `SETTINGS` are the departures from production that this needs. Quick
pods also make their rounds when the clock's bell rings, which is for speed alone (ADR 0023).
"""

from __future__ import annotations

from dataclasses import replace

from harness.releases import LineName
from harness.services.speed import AIRFLOW_2, AIRFLOW_3, Setting
from harness.topology import After, Healthcheck, Mount, Pod, Service

NAME = "clock"
PORT = 8097
FOLDER = "/opt/clock"
MOUNT = Mount(NAME, FOLDER)

ENVIRONMENT = {
    "LD_PRELOAD": f"{FOLDER}/libvirtualclock.so",
    "VIRTUAL_CLOCK": FOLDER,
}

PREIMPORT = "ITEST_PREIMPORT"
SHEETS = "airflow.providers.google.suite.hooks.sheets"
"""What a quick mirror's worker imports, beside the rest, for all its tasks (`speed.py`). A rollout over days reads its
sheet every six hours, and each reading would import 332 modules: 1.5 CPU-seconds of some 2. In real time it reads once
or twice, which is not worth as much at each boot."""

TEN_YEARS = str(10 * 365 * 86400)
HEARTBEAT = "tests/itest/test_clock.py::test_a_running_task_survives_jumps_of_hours_days_and_months"
JUMPS = "tests/itest/test_clock.py::test_components_count_as_healthy_right_after_a_jump"

SETTINGS: tuple[Setting, ...] = (
    Setting(
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT",
        TEN_YEARS,
        "A task whose heartbeats stopped is not noticed for ten years instead of five minutes.",
        HEARTBEAT,
        lines=AIRFLOW_3,
    ),
    Setting(
        "AIRFLOW__EXECUTION_API__JWT_EXPIRATION_TIME",
        TEN_YEARS,
        "A task's token is valid for ten years instead of ten minutes.",
        HEARTBEAT,
        lines=AIRFLOW_3,
    ),
    Setting(
        "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT",
        TEN_YEARS,
        "A task may stay queued for ten years instead of ten minutes.",
        "tests/itest/test_clock.py::test_a_task_that_waits_for_a_worker_during_a_jump_is_not_taken_for_a_lost_one",
    ),
    Setting(
        "AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT",
        TEN_YEARS,
        "The broker hands a task that nobody acknowledged to another worker after ten years instead of a day.",
        "tests/itest/test_clock.py::test_a_task_that_runs_during_a_jump_is_handed_to_no_other_process",
    ),
    Setting(
        "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD",
        TEN_YEARS,
        "A silent scheduler counts as alive for ten years instead of 30 s.",
        JUMPS,
    ),
    Setting(
        "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD",
        TEN_YEARS,
        "The same for triggerers: their triggers do not move to another one at a jump.",
        JUMPS,
    ),
    Setting(
        "AIRFLOW__DAG_PROCESSOR__HEALTH_CHECK_THRESHOLD",
        TEN_YEARS,
        "The same for the DAG processor.",
        JUMPS,
        lines=AIRFLOW_3,
    ),
    Setting(
        "AIRFLOW__DAG_PROCESSOR__STALE_DAG_THRESHOLD",
        TEN_YEARS,
        "A DAG whose file was not parsed for ten years, instead of 50 s, counts as gone.",
        "A jump between the two moments that are stored of one parse: seen on 3.3.2, and too short for a test to hit.",
        lines=AIRFLOW_3,
    ),
    Setting(
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL",
        TEN_YEARS,
        "A DAG file that has not changed is not parsed again for ten years, instead of 30 s; a changed one at once.",
        "tests/itest/test_clock.py::test_a_jump_parses_no_file_again_and_what_is_pushed_after_it_is_parsed_at_once. "
        "Every jump would have all files parsed again: a second of CPU each.",
        lines=AIRFLOW_3,
    ),
    Setting(
        "AIRFLOW__SCHEDULER__SCHEDULER_ZOMBIE_TASK_THRESHOLD",
        TEN_YEARS,
        "A task whose heartbeats stopped is not noticed for ten years instead of five minutes, nor does it end itself.",
        HEARTBEAT,
        lines=AIRFLOW_2,
    ),
    Setting(
        "AIRFLOW__SCHEDULER__STALE_DAG_THRESHOLD",
        TEN_YEARS,
        "A DAG whose file was not parsed for ten years, instead of 50 s, counts as gone.",
        "As for Airflow 3.",
        lines=AIRFLOW_2,
    ),
    Setting(
        "AIRFLOW__SCHEDULER__DAG_STALE_NOT_SEEN_DURATION",
        TEN_YEARS,
        "A DAG that nobody has seen for ten years, instead of ten minutes, counts as gone.",
        "As for Airflow 3.",
        lines=AIRFLOW_2,
    ),
    Setting(
        "AIRFLOW__SCHEDULER__MIN_FILE_PROCESS_INTERVAL",
        TEN_YEARS,
        "A DAG file that has not changed is not parsed again for ten years, instead of 30 s; a changed one at once.",
        "As for Airflow 3.",
        lines=AIRFLOW_2,
    ),
    Setting(
        "AIRFLOW__API_AUTH__JWT_EXPIRATION_TIME",
        TEN_YEARS,
        "A login is valid for ten years instead of a day.",
        "The driver logs in again by itself; a person in the UI does not.",
        lines=AIRFLOW_3,
    ),
    Setting(
        "AIRFLOW__SCHEDULER__TRIGGER_TIMEOUT_CHECK_INTERVAL",
        "1",
        "Time-outs of deferred tasks are looked for every second instead of every 15, which are real seconds.",
        "Without it, each skipped time-out costs up to 15 s of waiting.",
    ),
)


def clock() -> Service:
    """The process that keeps and moves the clock; it lives in real time itself."""
    ask = f"import urllib.request as u;u.urlopen('http://127.0.0.1:{PORT}/',timeout=5)"
    return Service(
        name=NAME,
        image="clock",
        memory=48,
        command=(FOLDER, str(PORT)),
        mounts=(MOUNT,),
        healthcheck=Healthcheck(("python3", "-c", ask), "clock: serving"),
        forwarded_ports=(PORT,),
    )


def by_the_clock(service: Service) -> Service:
    """`service` living by the virtual clock."""
    return replace(
        service,
        environment={**service.environment, **ENVIRONMENT},
        mounts=(*service.mounts, MOUNT),
        after=(*service.after, After(NAME)),
    )


def pod_by_the_clock(pod: Pod, line: LineName) -> Pod:
    """All containers of a pod living by it, and Airflow, which is of that line, standing its jumps."""
    main = by_the_clock(pod.main)
    survival = {s.variable: s.value for s in SETTINGS if line in s.lines}
    if PREIMPORT in main.environment:
        survival[PREIMPORT] = f"{main.environment[PREIMPORT]},{SHEETS}"
    return replace(
        pod,
        main=replace(main, environment={**main.environment, **survival}),
        syncer_environment={**pod.syncer_environment, **ENVIRONMENT},
        syncer_mounts=(*pod.syncer_mounts, MOUNT),
        syncer_after=(*pod.syncer_after, After(NAME)),
    )
