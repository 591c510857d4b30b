"""The metadata database: CockroachDB, or the stand-in where CockroachDB cannot be had.

Both answer at ``cockroachdb:26257`` without TLS and hold the database and user ``airflow``, so that nothing
else in a topology depends on which of the two it is.
"""

from __future__ import annotations

from harness.images import DatabaseKind
from harness.topology import Healthcheck, Service

NAME = "cockroachdb"
PORT = 26257
URL = f"cockroachdb://airflow@{NAME}:{PORT}/airflow?sslmode=disable"
ASYNC_URL = f"cockroachdb+asyncpg://airflow@{NAME}:{PORT}/airflow?ssl=disable"

FAILURES_SETTING = "itest.commit_failures"
"""The stand-in's setting for percent of writing COMMITs that fail with 40001 (its README.md)."""

TEMPLATE = "database-template"
"""Image key of the stand-in with Airflow's schema in it, made once for an Airflow image (`harness.template`)."""


def database(kind: DatabaseKind, failures: float = 0) -> Service:
    """The database service as a stack starts it; `kind` also decides which image its key stands for.

    The stand-in has Airflow's schema already (`is_migrated`); on CockroachDB a stack migrates at its start.
    `failures` is how many percent of writing COMMITs the stand-in lets fail with SQLSTATE 40001.
    """
    return _cockroachdb() if kind == "cockroachdb" else stand_in(TEMPLATE, failures)


def is_migrated(kind: DatabaseKind) -> bool:
    """Whether `database` holds Airflow's schema from its start."""
    return kind == "stand-in"


def _cockroachdb() -> Service:
    """CockroachDB in memory, as its documentation's page on local testing starts it.

    The image creates ``COCKROACH_DATABASE`` and ``COCKROACH_USER`` at the first start of a single node.
    """
    ask = f"cockroach sql --insecure --host=localhost:{PORT} --database=airflow --execute='SELECT 1'"
    return Service(
        name=NAME,
        image="database",
        command=(
            "start-single-node",
            "--insecure",
            "--store=type=mem,size=0.25",
            f"--listen-addr=:{PORT}",
        ),
        environment={"COCKROACH_DATABASE": "airflow", "COCKROACH_USER": "airflow"},
        memory=2048,
        # The image's start-up script prints this once database and user are made.
        healthcheck=Healthcheck(("sh", "-c", ask), "CockroachDB node starting", confirm=True),
        forwarded_ports=(PORT,),
    )


def stand_in(image: str = "database", failures: float = 0) -> Service:
    """The stand-in from one of its two images: empty, or `TEMPLATE`. `failures` as for `database`."""
    ask = f"psql -h 127.0.0.1 -p {PORT} -U airflow -d airflow -Atqc 'SELECT 1'"
    return Service(
        name=NAME,
        image=image,
        command=("postgres", "-c", f"{FAILURES_SETTING}={failures:g}") if failures else (),
        memory=1024,
        healthcheck=Healthcheck(("sh", "-c", ask), "database system is ready to accept connections"),
        forwarded_ports=(PORT,),
    )
