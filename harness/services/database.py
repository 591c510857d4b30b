"""The metadata database: CockroachDB, or the stand-in where CockroachDB cannot be had.

Both answer at ``cockroachdb:26257`` without TLS and hold the database and user ``airflow``, so that nothing
else in a topology depends on which of the two it is.
"""

from __future__ import annotations

from collections.abc import Mapping

from harness.images import DatabaseKind
from harness.services import cockroach
from harness.topology import After, Healthcheck, Service

NAME = cockroach.NAME
PORT = cockroach.PORT
URL = f"cockroachdb://airflow@{NAME}:{PORT}/airflow?sslmode=disable"
ASYNC_URL = f"cockroachdb+asyncpg://airflow@{NAME}:{PORT}/airflow?ssl=disable"

FAILURES_SETTING = "itest.commit_failures"
"""The stand-in's setting for percent of writing COMMITs that fail with 40001 (its README.md)."""

TEMPLATE = "database-template"
"""Image key of the stand-in with Airflow's schema in it, made once for an Airflow image (`harness.template`)."""


def database(
    kind: DatabaseKind, settings: Mapping[str, str] | None = None, nodes: int = 1
) -> tuple[Service, ...]:
    """The database's services as a stack starts them; `kind` also decides which image their key stands for.

    The stand-in has Airflow's schema already (`is_migrated`); on CockroachDB a stack migrates at its start.
    `settings` are the stand-in's, by name, beside those in its image; `nodes` is 1 or 3, on CockroachDB.
    """
    if kind == "stand-in":
        return (stand_in(TEMPLATE, settings),)
    return cockroach.single_node() if nodes == 1 else cockroach.three_nodes()


def ready(kind: DatabaseKind) -> After:
    """What has to have happened before the database can be used."""
    return After(NAME) if kind == "stand-in" else After(cockroach.SETTINGS, "completed")


def is_migrated(kind: DatabaseKind) -> bool:
    """Whether `database` holds Airflow's schema from its start."""
    return kind == "stand-in"


def stand_in(image: str = "database", settings: Mapping[str, str] | None = None) -> Service:
    """The stand-in from one of its two images: empty, or `TEMPLATE`. `settings` as for `database`."""
    options = tuple(word for name, value in (settings or {}).items() for word in ("-c", f"{name}={value}"))
    ask = f"psql -h 127.0.0.1 -p {PORT} -U airflow -d airflow -Atqc 'SELECT 1'"
    return Service(
        name=NAME,
        image=image,
        command=("postgres", *options) if options else (),
        memory=1024,
        healthcheck=Healthcheck(("sh", "-c", ask), "database system is ready to accept connections"),
        forwarded_ports=(PORT,),
    )
