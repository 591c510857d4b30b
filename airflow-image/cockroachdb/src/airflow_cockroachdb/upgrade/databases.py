"""One of the three databases of an upgrade: what tables it has, and their rows in and out."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Any

import psycopg2
from psycopg2 import extras, sql
from sqlalchemy.engine import URL, make_url

from airflow_cockroachdb.replay import ReplayingConnection
from airflow_cockroachdb.upgrade.rows import Fingerprint

BATCH = 500
"""Rows in one statement and one transaction: CockroachDB advises against large ones."""

NEXTVAL = re.compile(r"nextval\('([^']+)'")


class DatabaseError(Exception):
    """A database that this upgrade cannot work with; the message says why and what to do."""


class Database:
    """A connection to one database. With `read_only` the server refuses every change."""

    def __init__(self, role: str, url: str, read_only: bool = False) -> None:
        self.role = role
        self.url: URL = make_url(url)
        self.read_only = read_only
        try:
            self._connection = psycopg2.connect(
                host=self.url.host,
                port=self.url.port,
                user=self.url.username,
                password=self.url.password,
                dbname=self.url.database,
                connection_factory=None if read_only else ReplayingConnection,
                **{key: str(value) for key, value in self.url.query.items()},
            )
        except psycopg2.OperationalError as error:
            raise DatabaseError(f"cannot connect to the {role} database {self.name}: {error}") from error
        self._connection.set_session(readonly=read_only)
        for register in (extras.register_default_json, extras.register_default_jsonb):
            register(self._connection, loads=lambda text: text)

    @property
    def name(self) -> str:
        """The URL for people, without its password."""
        return self.url.render_as_string(hide_password=True)

    def close(self) -> None:
        self._connection.close()

    def query(self, query: Any, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Rows of one query, in a transaction of its own."""
        with self._connection, self._connection.cursor() as cursor:
            cursor.execute(query, parameters)
            return list(cursor.fetchall())

    def execute_alone(self, statement: Any) -> None:
        """Run one statement outside of any transaction. Raises `psycopg2.Error`."""
        self._connection.autocommit = True
        with self._connection.cursor() as cursor:
            cursor.execute(statement)

    # ---- shape

    def tables(self) -> list[str]:
        """Names of the tables, sorted."""
        found = self.query(
            "SELECT table_name FROM information_schema.tables"
            " WHERE table_schema = 'public' AND table_type = 'BASE TABLE' ORDER BY table_name"
        )
        return [name for (name,) in found]

    def columns(self, table: str) -> dict[str, bool]:
        """Columns that can be written, in a fixed order, and whether each holds JSON."""
        found = self.query(
            "SELECT column_name, udt_name FROM information_schema.columns"
            " WHERE table_schema = 'public' AND table_name = %s AND is_generated = 'NEVER'"
            " ORDER BY column_name",
            [table],
        )
        return {name: "json" in udt for name, udt in found}

    def revisions(self) -> dict[str, str]:
        """Each Alembic version table and the revision in it."""
        tables = [name for name in self.tables() if name.startswith("alembic_version")]
        found = {}
        for table in tables:
            rows = self.query(sql.SQL("SELECT version_num FROM {}").format(sql.Identifier(table)))
            if rows:
                found[table] = str(rows[0][0])
        return found

    def count(self, table: str) -> int:
        return int(self.query(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table)))[0][0])

    def in_order(self, tables: Iterable[str]) -> list[str]:
        """The tables, each after those that its foreign keys point to. Raises `DatabaseError` for a circle."""
        wanted = sorted(tables)
        needs: dict[str, set[str]] = {name: set() for name in wanted}
        for table, other in self.query(
            "SELECT t.relname, o.relname FROM pg_catalog.pg_constraint c"
            " JOIN pg_catalog.pg_class t ON t.oid = c.conrelid JOIN pg_catalog.pg_class o ON o.oid = c.confrelid"
            " WHERE c.contype = 'f'"
        ):
            if table in needs and other in needs and other != table:
                needs[table].add(other)
        try:
            return list(TopologicalSorter(needs).static_order())
        except CycleError as error:
            raise DatabaseError(f"foreign keys go in a circle in the {self.role}: {error.args[1]}") from error

    # ---- rows

    def rows(self, table: str, columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        """All rows of one moment, fetched in batches."""
        query = sql.SQL("SELECT {} FROM {}").format(
            sql.SQL(", ").join(map(sql.Identifier, columns)), sql.Identifier(table)
        )
        with self._connection, self._connection.cursor(name="rows") as cursor:
            cursor.itersize = BATCH
            cursor.execute(query)
            yield from cursor

    def fingerprint(self, table: str, columns: dict[str, bool]) -> Fingerprint:
        """Count and checksum of a table, over these columns; each is read as JSON or not."""
        found = Fingerprint()
        as_json = list(columns.values())
        for row in self.rows(table, list(columns)):
            found = found.add(row, as_json)
        return found

    def empty(self, table: str) -> None:
        """Delete all rows of a table."""
        with self._connection, self._connection.cursor() as cursor:
            cursor.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(table)))

    def insert(
        self,
        table: str,
        columns: Sequence[str],
        rows: Iterable[tuple[Any, ...]],
        wrote: Callable[[int], None],
    ) -> None:
        """Write rows, a transaction for each batch; `wrote` is told how many rows each had."""
        statement = sql.SQL("INSERT INTO {} ({}) VALUES %s").format(
            sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns))
        )
        batch: list[tuple[Any, ...]] = []
        for row in rows:
            batch.append(row)
            if len(batch) == BATCH:
                self._insert(statement, batch, wrote)
                batch = []
        if batch:
            self._insert(statement, batch, wrote)

    def _insert(self, statement: Any, batch: list[tuple[Any, ...]], wrote: Callable[[int], None]) -> None:
        with self._connection, self._connection.cursor() as cursor:
            extras.execute_values(cursor, statement, batch, page_size=len(batch))
        wrote(len(batch))

    def ignore_foreign_keys(self) -> None:
        """Let rows come in any order on this connection. PostgreSQL, as a superuser."""
        try:
            with self._connection, self._connection.cursor() as cursor:
                cursor.execute("SET session_replication_role = replica")
        except psycopg2.errors.InsufficientPrivilege as error:
            raise DatabaseError(f"the {self.role} database needs a superuser: {self.name}") from error

    def advance_sequences(self, table: str) -> None:
        """Let the ids that the database makes go on after those that were copied."""
        found = self.query(
            "SELECT column_name, column_default FROM information_schema.columns"
            " WHERE table_schema = 'public' AND table_name = %s AND column_default LIKE 'nextval%%'",
            [table],
        )
        for column, default in found:
            if match := NEXTVAL.match(default):
                query = sql.SQL("SELECT setval(%s, coalesce(max({}), 0) + 1, false) FROM {}")
                self.query(query.format(sql.Identifier(column), sql.Identifier(table)), [match[1]])
