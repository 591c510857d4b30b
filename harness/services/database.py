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


def database(kind: DatabaseKind) -> Service:
    """The database service; `kind` also decides which image the key ``database`` stands for."""
    return _cockroachdb() if kind == "cockroachdb" else _stand_in()


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
        healthcheck=Healthcheck(("sh", "-c", ask)),
        forwarded_ports=(PORT,),
    )


def _stand_in() -> Service:
    ask = f"psql -h 127.0.0.1 -p {PORT} -U airflow -d airflow -Atqc 'SELECT 1'"
    return Service(
        name=NAME,
        image="database",
        healthcheck=Healthcheck(("sh", "-c", ask)),
        forwarded_ports=(PORT,),
    )
