"""The metadata database: CockroachDB, or the stand-in where CockroachDB cannot be had.

Both answer at ``cockroachdb:26257`` and hold the database and user ``airflow``, so that nothing else in a topology
depends on which of the two it is: without TLS, but for CockroachDB in a `secure` topology.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from harness.images import DatabaseKind
from harness.services import cockroach
from harness.services.cockroach import Cluster
from harness.topology import After, Healthcheck, Mount, Service

NAME = cockroach.NAME
PORT = cockroach.PORT


@dataclass(frozen=True, slots=True)
class Access:
    """How Airflow reaches the database: two URLs, and what its containers need besides."""

    url: str
    async_url: str
    environment: dict[str, str] = field(default_factory=dict)
    mounts: tuple[Mount, ...] = ()


OPEN = Access(
    f"cockroachdb://airflow@{NAME}:{PORT}/airflow?sslmode=disable",
    f"cockroachdb+asyncpg://airflow@{NAME}:{PORT}/airflow?ssl=disable",
)

SECURE = Access(
    f"cockroachdb://airflow:{cockroach.PASSWORD}@{NAME}:{PORT}/airflow?sslmode=verify-full",
    f"cockroachdb+asyncpg://airflow:{cockroach.PASSWORD}@{NAME}:{PORT}/airflow?ssl=verify-full",
    # libpq (psycopg2) and asyncpg both read it; as a parameter of the URL they would spell it differently.
    {"PGSSLROOTCERT": cockroach.AUTHORITY},
    (cockroach.CERTIFICATES_MOUNT,),
)
"""TLS, the server's certificate verified, and a password: as in production."""

URL = OPEN.url

FAILURES_SETTING = "itest.commit_failures"
"""The stand-in's setting for percent of writing COMMITs that fail with 40001 (its README.md)."""

TEMPLATE = "database-template"
"""Image key of the database with Airflow's schema in it, made once for an Airflow image (`harness.template`)."""


def database(
    kind: DatabaseKind,
    settings: Mapping[str, str] | None = None,
    nodes: int = 1,
    secure: bool = False,
    migrated: bool = True,
) -> tuple[Service, ...]:
    """The database's services as a stack starts them: with Airflow's schema (`TEMPLATE`), or empty.

    `kind` also decides which image their keys stand for. `settings` are the stand-in's, by name, beside those in its
    image; `nodes` is 1 or 3 and `secure` asks for TLS and passwords, on CockroachDB.
    """
    image = TEMPLATE if migrated else "database"
    if kind == "stand-in":
        return (stand_in(image, settings),)
    return Cluster(nodes, secure, image, restored=migrated).services()


def keep(kind: DatabaseKind, after: After) -> tuple[Service, ...]:
    """What has to run after a migration on one node so that its files hold the schema: CockroachDB's backup."""
    if kind == "stand-in":
        return ()
    return (Cluster().sql(cockroach.BACKUP, (cockroach.BACK_UP,), (after,)),)


def ready(kind: DatabaseKind) -> After:
    """What has to have happened before the database can be used."""
    return After(NAME) if kind == "stand-in" else After(cockroach.SETTINGS, "completed")


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
