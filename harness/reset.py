"""Back to pristine without a restart: the metadata database as it was when the stack became ready, and proof of it.

The components go on running meanwhile, so their sessions must survive. Dropping the database and making it anew from
a template would end them, and with them the scheduler; instead a schema `pristine` holds the rows of then, and one
transaction puts them back. Row locks of Airflow's own transactions are waited for so briefly that Airflow is never
the one that a deadlock ends.
"""

from __future__ import annotations

import psycopg
from psycopg import sql

from harness.database import Database
from harness.lines.tables import Tables
from harness.waits import eventually

SCHEMA = "pristine"

KEPT = frozenset({"alembic_version", "alembic_version_fab", "job", "airflow_cockroachdb_lock"})
"""Tables that a reset leaves alone: versions, the lock's rows, and who is running (they go on running)."""

LIVING = frozenset({"dag", "dag_bundle", "dag_version", "serialized_dag", "dag_code", "log", "asset_active"})
"""Tables that the DAG processor writes to at any moment: compared by what they are about, not row by row."""

LOCK_PATIENCE_MS = 150
"""Far below PostgreSQL's deadlock_timeout of a second: whoever waits for us gets on before anybody is ended."""

BUSY = (psycopg.errors.LockNotAvailable, psycopg.errors.SerializationFailure, psycopg.errors.DeadlockDetected)


class ResetError(RuntimeError):
    """The stack could not be brought back to pristine; the message says what differs. A fresh one is needed."""


def can_reset(database_name: str) -> bool:
    """Whether stacks on this kind of database can be reset. On CockroachDB they are made anew for now."""
    return database_name == "stand-in"


def tables(database: Database, schema: Tables) -> list[str]:
    """The tables that a reset puts back."""
    found = database.rows(
        "SELECT table_name FROM information_schema.tables"
        " WHERE table_schema = 'public' AND table_type = 'BASE TABLE' ORDER BY table_name"
    )
    return [name for (name,) in found if name not in KEPT | schema.kept]


def take(database: Database, schema: Tables) -> None:
    """Keep the rows of now as the pristine ones."""
    names = tables(database, schema)
    copies = [sql.SQL("CREATE TABLE {} AS TABLE {}").format(_pristine(name), _live(name)) for name in names]
    database.transaction(
        [
            sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(SCHEMA)),
            sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(SCHEMA)),
            *copies,
        ]
    )


def restore(database: Database, timeout: float) -> None:
    """Put the pristine rows back, in one transaction. Raises `WaitTimeout` when Airflow is never quiet enough."""
    names = [
        name for (name,) in database.rows("SELECT tablename FROM pg_tables WHERE schemaname = 'pristine'")
    ]
    every = sql.SQL(", ").join(map(_live, names))
    statements = [
        # Foreign keys are not looked at row by row: all tables are put back together.
        sql.SQL("SET LOCAL session_replication_role = replica"),
        sql.SQL("SET LOCAL lock_timeout = {}").format(sql.Literal(LOCK_PATIENCE_MS)),
        sql.SQL("LOCK TABLE {} IN EXCLUSIVE MODE").format(every),
        *(sql.SQL("DELETE FROM {}").format(_live(name)) for name in names),
        *(sql.SQL("INSERT INTO {} TABLE {}").format(_live(name), _pristine(name)) for name in names),
        # The DAG processor knows when it last parsed each file. Rows that say they are much older than that
        # (`stale_dag_threshold`) are those of DAGs that have gone from their file, which it would take away.
        sql.SQL("UPDATE {} SET last_parsed_time = now()").format(_live("dag")),
    ]

    def attempt() -> bool:
        try:
            database.transaction(statements)
        except BUSY:
            return False
        return True

    eventually(
        attempt, "a moment in which no transaction of Airflow's holds the tables", timeout, interval=0.02
    )


def differences(database: Database, schema: Tables) -> list[str]:
    """What of the database is not as in the pristine state, a line each; empty when nothing is."""
    found = []
    for name in tables(database, schema):
        if name not in LIVING:
            rows = database.rows(_difference(name))[0][0]
            if rows:
                found.append(f"table {name}: {rows} rows differ")
    there = set(database.rows(schema.living_dags))
    then = set(database.rows(schema.pristine_dags))
    if there != then:
        found.append(f"DAGs differ: {sorted(str(dag) for (dag,) in there ^ then)}")
    return found


def _difference(name: str) -> sql.Composed:
    """How many rows are only here or only there. Compared as text: not every type has an equality."""
    live, pristine = _live(name), _pristine(name)
    return sql.SQL(
        "SELECT count(*) FROM ("
        "(SELECT t::text FROM {live} t EXCEPT ALL SELECT t::text FROM {pristine} t) UNION ALL "
        "(SELECT t::text FROM {pristine} t EXCEPT ALL SELECT t::text FROM {live} t)) AS different"
    ).format(live=live, pristine=pristine)


def _live(name: str) -> sql.Identifier:
    return sql.Identifier("public", name)


def _pristine(name: str) -> sql.Identifier:
    return sql.Identifier(SCHEMA, name)
