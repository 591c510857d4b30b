"""Every setting that makes the mirror quick, and departs from production for it. `--faithful` leaves all of them out.

Each entry says what it changes against production and which measurement justifies it, in one place; the figures
are from `make bench` on two cores (`bench/README.md`) unless they say otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from harness.releases import LINES, LineName
from harness.topology import DEFAULT_CPU_SHARES, SHARED_DIR


@dataclass(frozen=True, slots=True)
class Setting:
    """One environment variable of the Airflow containers: its value here, what that `changes` against production.

    `justified_by` is the measurement or the test that says why; `lines` are those of Airflow that have it.
    """

    variable: str
    value: str
    changes: str
    justified_by: str
    lines: tuple[LineName, ...] = LINES


AIRFLOW_2: tuple[LineName, ...] = ("2.11",)
AIRFLOW_3: tuple[LineName, ...] = ("3",)


SETTINGS: tuple[Setting, ...] = (
    Setting(
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME",
        "0.1",
        "The scheduler starts its next round 0.1 s after an idle one instead of 1 s; it uses more CPU when idle.",
        "Each step of a run waits for one round or two: a one-task run takes about 1 s less.",
    ),
    Setting(
        "ITEST_SCHEDULER_REST",
        "0.4",
        "A scheduler that has just started, or has had nothing to do for 30 rounds in a row, starts its next round "
        "after "
        "0.4 s, until it has something to do. Airflow has no setting for that either "
        "(`harness/mocks/pods_site/itest_pace.py`).",
        "An idle scheduler takes 7 % of a core instead of 20 %, its database 5 % instead of 9 %; while the others "
        "boot, it "
        "took 1 CPU-second.",
    ),
    Setting(
        "ITEST_DEPENDENCIES",
        "reachable",
        "The scheduler evaluates no task instance that waits for one that has not ended, unless something that it "
        "depends on has ended in a way that decides. What becomes of them is the same, in the same round "
        "(`harness/mocks/pods_site/itest_ready.py`).",
        "A rollout to three subnets, of a DAG for 30 batches, takes 7 CPU-seconds of the scheduler instead of 12.7, "
        "and 3.3 of the database instead of 5.8; it is done in 14 s instead of 21.",
    ),
    Setting(
        "ITEST_TRIGGERER_PAUSE",
        "0.2",
        "The triggerer looks for triggers every 0.2 s instead of every second, and Airflow 3's hands an event over at "
        "once. Airflow has no setting for that: the pods replace the number (`harness/mocks/pods_site/itest_pace.py`).",
        "A deferral takes about 2 s less.",
    ),
    Setting(
        "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL",
        "1",
        "A task's supervisor looks after its process at least every second instead of every five.",
        "A finished task frees its worker slot up to 4 s sooner.",
        lines=AIRFLOW_3,
    ),
    Setting(
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL",
        "1",
        "DAG files are listed every second instead of every five minutes.",
        "A pushed DAG is parsed about 3 s after the push instead of minutes.",
        lines=AIRFLOW_3,
    ),
    Setting(
        "AIRFLOW__DAG_PROCESSOR__BUNDLE_REFRESH_CHECK_INTERVAL",
        "1",
        "Whether a listing is due is looked at every second instead of every five.",
        "As above.",
        lines=AIRFLOW_3,
    ),
    Setting(
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL",
        "120",
        "A DAG file that has not changed is parsed every two minutes instead of every 30 s; a changed one at once. So "
        "what a push to operators or shared code does to the shape of DAGs shows that much later.",
        "Five files took the DAG processor 16 % of a core even when nothing changed; now half of that.",
        lines=AIRFLOW_3,
    ),
    Setting(
        "AIRFLOW__SCHEDULER__DAG_DIR_LIST_INTERVAL",
        "1",
        "DAG files are listed every second instead of every five minutes.",
        "A pushed DAG is parsed about 3 s after the push instead of minutes.",
        lines=AIRFLOW_2,
    ),
    Setting(
        "AIRFLOW__SCHEDULER__MIN_FILE_PROCESS_INTERVAL",
        "120",
        "A DAG file that has not changed is parsed every two minutes instead of every 30 s; a changed one at once.",
        "As for Airflow 3, whose setting is the one above.",
        lines=AIRFLOW_2,
    ),
    Setting(
        "AIRFLOW__CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL",
        "0",
        "A DAG that has changed is stored when it is parsed, not only 30 s after it was stored before.",
        "A test that pushes a DAG twice would wait for half a minute.",
        lines=AIRFLOW_2,
    ),
    Setting(
        "AIRFLOW__CORE__MIN_SERIALIZED_DAG_FETCH_INTERVAL",
        "0",
        "Scheduler and webserver look at each use whether a stored DAG has changed, instead of every ten seconds.",
        "A run that is triggered right after a push would have the tasks of before.",
        lines=AIRFLOW_2,
    ),
    Setting(
        "AIRFLOW__SCHEDULER__SCHEDULER_ZOMBIE_TASK_THRESHOLD",
        "60",
        "A task whose process has died is noticed a minute after its last heartbeat instead of five. Airflow 3 notices "
        "at once, by what Celery tells of it.",
        "tests/itest/test_side_effects.py::test_a_worker_that_dies_after_its_post_leaves_a_duplicate_in_the_ledger",
        lines=AIRFLOW_2,
    ),
    Setting(
        "AIRFLOW__WEBSERVER__WORKERS",
        "2",
        "Two web processes instead of four, for two cores; each answers one request at a time.",
        "Each holds some 150 MiB, and more of them do not answer sooner.",
        lines=AIRFLOW_2,
    ),
    Setting(
        "AIRFLOW__CELERY__WORKER_CONCURRENCY",
        "8",
        "Eight task slots a worker instead of sixteen, for two cores; never changes an outcome, only what queues.",
        "Eight forks at the start instead of sixteen, and as many tasks at once as two cores can carry.",
    ),
    Setting(
        "AIRFLOW__LOGGING__LOGGING_CONFIG_CLASS",
        "itest_logging.LOGGING_CONFIG",
        "Names the S3 log handler instead of letting each component find it among all providers' handlers.",
        "1 CPU-second less (Google's cloud storage library is not imported) in each of five processes at boot.",
        lines=AIRFLOW_3,
    ),
    Setting(
        "ITEST_GC_THRESHOLD",
        "400000,50,100",
        "Python's cyclic garbage collector runs for every 400,000 new objects instead of 700: what an import of "
        "Airflow "
        "makes fits in, and nothing of that is garbage.",
        "15 to 20 % less CPU for importing Airflow: 7.8 instead of 9.5 CPU-seconds in the API server with 100,000, "
        "which still left three collections of 0.07 s each in every pod.",
    ),
    Setting(
        "ITEST_EXECUTION_API",
        "newest",
        "The execution API is built for its newest version only, which is what tasks of the same image speak; pods of "
        "an older Airflow could not use it (`harness/mocks/pods_site/itest_versions.py`).",
        "Building it takes 0.6 instead of 4.3 CPU-seconds, and 40 MiB less, in the API server at boot and wherever "
        "else it is built (triggerer, DAG processor).",
        lines=AIRFLOW_3,
    ),
    Setting(
        "ITEST_ROUTES",
        "lazy",
        "The API server examines an endpoint's parameters when it is first asked for, not whenever a route is made: "
        "each first request takes some 10 ms longer (`harness/mocks/pods_site/itest_routes.py`).",
        "The API server's application is made in 2.0 instead of 8.8 CPU-seconds, most of which went into routes that "
        "are copied on and never asked for.",
        lines=AIRFLOW_3,
    ),
    Setting(
        "ITEST_IMPORTS",
        "late",
        "Some of what a component imports at its start is imported when it is first used: FastAPI for a log server "
        "that "
        "does not run, the DAG processor's own execution API, Alembic, libcst, a terminal toolkit "
        "(`harness/mocks/pods_site/itest_late.py`).",
        "A scheduler imports 1,500 modules instead of 2,200. CPU-seconds at boot: 0.4 for the log server in three "
        "pods, 1.2 "
        "for the DAG processor's API, 0.25 for libcst and 0.2 for Alembic in each.",
    ),
    Setting(
        "ITEST_TASK_MODULES",
        "late",
        "What only running tasks use is imported with its first use: the S3 log handler with the AWS SDK, and the task "
        "runner, which Airflow imports to see whether a secret has to be told to it. Not so in a worker (below).",
        "0.4 CPU-seconds for the AWS SDK in four pods, up to 0.5 for the task runner in API server and scheduler.",
        lines=AIRFLOW_3,
    ),
    Setting(
        "AIRFLOW__DATABASE__CHECK_MIGRATIONS",
        "False",
        "A component does not look whether the schema is the image's own; the mirror has just seen to that.",
        "0.2 CPU-seconds a pod, most of them for importing Alembic.",
    ),
    Setting(
        "ITEST_START",
        "cheap",
        "YAML is parsed in C, what providers say of themselves is not checked against a schema, and Celery's children "
        "ask the kernel without a compiler for C declarations; requests to S3 do not tell which operator they are for, "
        "clients of Google's have no docstrings, and a task's first heartbeat comes a second after its start "
        "(`harness/mocks/pods_site/itest_cheap.py`).",
        "0.3 CPU-seconds a pod for the YAML of Airflow's metrics and the schema; 0.1 for each of a worker's eight "
        "children; 0.08 for each reading of a spreadsheet; one of a task's nine requests.",
    ),
    Setting(
        "ITEST_PREIMPORT",
        "airflow.sdk.definitions.decorators,airflow.sdk.bases.sensor,airflow.providers.standard.triggers.temporal,"
        "airflow.providers.slack.hooks.slack",
        "A worker imports these before it forks, for all its tasks, and builds what reads a supervisor's messages "
        "(`harness/mocks/pods_site/itest_early.py`).",
        "0.04 CPU-seconds a task for what every DAG file needs, 0.2 for one that posts to Slack; a rollout's worker "
        "takes 7 % less.",
        lines=AIRFLOW_3,
    ),
    Setting(
        "ITEST_PREIMPORT",
        "airflow.decorators,airflow.sensors.base,airflow.triggers.temporal,airflow.providers.slack.hooks.slack",
        "As above.",
        "As for Airflow 3.",
        lines=AIRFLOW_2,
    ),
    Setting(
        "CONNECTION_CHECK_MAX_COUNT",
        "0",
        "The entrypoint does not wait for database and broker: a pod starts when they are ready anyway.",
        "About 3 CPU-seconds of imports a pod.",
    ),
)

API_SERVER_CPU_SHARES = 4 * DEFAULT_CPU_SHARES
"""Where the cores do not suffice, the API server goes first: it has the longest way at boot, and tasks wait for it."""

NO_LOG_SERVER = ("--skip-serve-logs",)
"""Worker and triggerer do not serve the log of a task that is still running; a finished one's is in S3. A process less
in each of them, which takes 0.6 CPU-seconds at boot."""

LOGGING_MODULE_DIR = f"{SHARED_DIR}/python"
"""On the pods' PYTHONPATH: `sitecustomize` and `itest_logging`, put there by the mocks."""


WORKER: Mapping[LineName, Mapping[str, str]] = {"3": {"ITEST_TASK_MODULES": "early"}, "2.11": {}}
"""What a worker has instead: its tasks are forks of it, so what it imports at its start they need not."""


def of_line(line: LineName) -> tuple[Setting, ...]:
    """The settings that this line of Airflow has."""
    return tuple(s for s in SETTINGS if line in s.lines)


def environment(line: LineName, faithful: bool) -> dict[str, str]:
    """The line's settings as environment variables; none of them for a `faithful` mirror."""
    return {} if faithful else {s.variable: s.value for s in of_line(line)}


def worker(line: LineName) -> dict[str, str]:
    """What a worker's environment has instead, as variables."""
    return dict(WORKER[line])
