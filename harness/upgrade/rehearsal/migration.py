"""The two ways from the old schema to the new, and the way back. Nothing may be connected to the database meanwhile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal, get_args

from harness.labels import Owner
from harness.prepare import Prepared
from harness.runtime.base import Runtime, StartError
from harness.runtime.docker import DockerRuntime
from harness.services import database
from harness.services.database import OPEN
from harness.settings import StackSettings
from harness.topology import After, Healthcheck, Service, Topology, in_sandbox
from harness.upgrade.rehearsal.stack import quietly

Way = Literal["crdb-upgrade", "stock"]
WAYS: tuple[Way, ...] = get_args(Way)

READ = "Read the words of the migration above."
ADVICE: Mapping[Way, str] = {
    "crdb-upgrade": f"{READ} Nothing was switched: the old version can be started again.",
    "stock": f"{READ} The database may be between the two versions: put back its backup before the old version is"
    " started again. `--migration crdb-upgrade` leaves it as it is until all went well.",
}
"""What to do when the database does not arrive."""

SCRATCH = "scratch"
NEW = "airflow_new"
FORMER = "airflow_before_upgrade"
"""Where the database of the old version is after the migration, whichever way it went."""
LEFT = "airflow_after_upgrade"
"""Where the new version's database is after the way back."""

PLAIN_POSTGRESQL = (
    "postgres",
    *("-c", "search_path=public"),
    *("-c", "shared_preload_libraries="),
    *("-c", "default_transaction_isolation=read committed"),
)
"""The stand-in's PostgreSQL without what makes it the stand-in."""


class MigrationError(RuntimeError):
    """The database could not be brought to the other version; the message has the last words of what tried."""


def migrate(former: Runtime, settings: StackSettings, new: Prepared, way: Way) -> None:
    """Bring the database to the schema of `new`; the old one stays as `FORMER`. Raises `MigrationError`."""
    chosen = services(new, way)
    if way == "crdb-upgrade":
        sql(former, f"CREATE DATABASE {NEW} OWNER airflow")
    else:
        sql(former, f"CREATE DATABASE {FORMER} TEMPLATE airflow OWNER airflow")
    topology = Topology("migration", new.topology.airflow, chosen, ())
    owner = Owner.this_process()
    runtime = DockerRuntime(former.stack, topology, new.references, settings.placeholders, owner)
    try:
        runtime.start(chosen, quietly)
    except StartError as error:
        raise MigrationError(str(error)) from error
    finally:
        runtime.discard(chosen)


def services(new: Prepared, way: Way) -> tuple[Service, ...]:
    """What is started to migrate, beside the stack's own database."""
    return _by_crdb_upgrade(new) if way == "crdb-upgrade" else _stock(new)


def _by_crdb_upgrade(new: Prepared) -> tuple[Service, ...]:
    ask = f"psql -h 127.0.0.1 -p {database.PORT} -U root -d airflow -Atqc 'SELECT 1'"
    scratch = Service(
        name=SCRATCH,
        image="database",
        command=PLAIN_POSTGRESQL,
        memory=1024,
        healthcheck=Healthcheck(("sh", "-c", ask), "database system is ready to accept connections"),
    )
    environment = {
        **new.line.components.environment(OPEN, faithful=True),
        "CONNECTION_CHECK_MAX_COUNT": "0",
        "CRDB_UPGRADE_SOURCE": database.URL,
        "CRDB_UPGRADE_TARGET": database.URL.replace("/airflow?", f"/{NEW}?"),
        "CRDB_UPGRADE_SCRATCH": f"postgresql+psycopg2://root@{SCRATCH}:{database.PORT}/airflow",
    }
    folder = "/tmp/upgrade"  # noqa: S108 - in a container of its own
    upgrade = Service(
        name="crdb-upgrade",
        image="airflow",
        memory=2048,
        command=("bash", "-c", f"exec crdb-upgrade --folder {folder} --switch"),
        environment=environment,
        after=(After(SCRATCH),),
        one_shot=True,
    )
    return (scratch, *in_sandbox(upgrade))


def _stock(new: Prepared) -> tuple[Service, ...]:
    sandbox, migration = new.line.components.migrate(After(database.NAME))
    return sandbox, replace(migration, after=(After(sandbox.name),))


def go_back(former: Runtime) -> None:
    """Put the old version's database in the place of the new one's, which stays as `LEFT`. Raises `MigrationError`."""
    sql(former, f"ALTER DATABASE airflow RENAME TO {LEFT}")
    sql(former, f"ALTER DATABASE {FORMER} RENAME TO airflow")


def sql(runtime: Runtime, statement: str, name: str = "postgres") -> str:
    """Run one statement on the stand-in as its superuser; what it says. Raises `MigrationError`."""
    ask = ["psql", "-U", "root", "-d", name, "-v", "ON_ERROR_STOP=1", "-Atqc", statement]
    done = runtime.exec(database.NAME, ask)
    if done.exit_code:
        raise MigrationError(f"{statement}: {done.output.strip()[-1000:]}")
    return done.output


def lost(runtime: Runtime) -> dict[str, int]:
    """By table: how many rows the new version has written. To be asked right after `go_back`."""
    found = {}
    for table in ("dag_run", "task_instance", "xcom", "log"):
        query = f"SELECT count(*) FROM {table}"  # noqa: S608 - of the names above
        after, before = (int(sql(runtime, query, name)) for name in (LEFT, "airflow"))
        found[table] = after - before
    return found
