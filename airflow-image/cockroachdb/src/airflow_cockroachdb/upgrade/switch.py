"""The switch: source and target exchange their names, so that Airflow finds the new one where the old one was.

(CockroachDB's documentation, "ALTER DATABASE … RENAME TO": cockroachlabs.com/docs/stable/alter-database#rename-to.)
"""

from __future__ import annotations

import psycopg2
from psycopg2 import sql

from airflow_cockroachdb.upgrade.databases import Database, DatabaseError

ADMINISTRATION = ("defaultdb", "postgres")
"""Databases that one can be connected to while others are renamed; every CockroachDB cluster has both."""


def kept_as(source: Database) -> str:
    """The name under which the source stays."""
    return f"{source.url.database}_before_upgrade"


def switch(source: Database, target: Database) -> None:
    """Rename source and target; both connections are closed. Raises `DatabaseError`, and then nothing is renamed."""
    if (source.url.host, source.url.port) != (target.url.host, target.url.port):
        raise DatabaseError(
            "source and target are on different clusters: switch by pointing Airflow at the target instead"
        )
    live, new = str(source.url.database), str(target.url.database)
    source.close()
    target.close()
    administration = _administration(target)
    try:
        _rename(administration, live, kept_as(source))
        try:
            _rename(administration, new, live)
        except DatabaseError:
            _rename(administration, kept_as(source), live)
            raise
    finally:
        administration.close()


def _administration(target: Database) -> Database:
    for name in ADMINISTRATION:
        try:
            url = target.url.set(database=name)
            return Database("administration", url.render_as_string(hide_password=False))
        except DatabaseError:
            continue
    raise DatabaseError(f"neither {' nor '.join(ADMINISTRATION)} can be connected to on {target.url.host}")


def _rename(administration: Database, old: str, new: str) -> None:
    statement = sql.SQL("ALTER DATABASE {} RENAME TO {}").format(sql.Identifier(old), sql.Identifier(new))
    try:
        administration.execute_alone(statement)
    except psycopg2.Error as error:
        raise DatabaseError(f"cannot rename {old} to {new}: {error}") from error
