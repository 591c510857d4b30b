"""The metadata database as the driver reads it, through the gateway; Airflow itself never notices.

One connection, used from one thread at a time. The same SQL runs on CockroachDB and on the stand-in.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, LiteralString

import psycopg
from psycopg import sql

CONNECT_WITHIN = 10
USER = "root"


class Database:
    """A lazily opened connection, reopened when it broke: as the superuser `root`, or as another, by TLS and password.

    The certificate is not verified: the driver reaches the database by another name than the pods.
    """

    def __init__(self, host: str, port: int, user: str = USER, password: str = "") -> None:
        self._address = (host, port)
        self._user = user
        self._password = password
        self._lock = threading.Lock()
        self._connection: psycopg.Connection[tuple[Any, ...]] | None = None

    def rows(
        self, query: LiteralString | sql.Composed, parameters: Sequence[Any] = ()
    ) -> list[tuple[Any, ...]]:
        """What a query returns. Raises `psycopg.Error` when the database cannot be asked twice in a row."""
        with self._lock:
            try:
                return self._connected().execute(query, parameters).fetchall()
            except psycopg.OperationalError:
                self._drop()
                return self._connected().execute(query, parameters).fetchall()

    def run(self, statement: LiteralString | sql.Composed) -> None:
        """Run one statement that returns nothing, outside of any transaction. Raises `psycopg.Error`."""
        with self._lock:
            self._connected().execute(statement)

    def transaction(self, statements: Sequence[sql.Composable]) -> None:
        """Run `statements` in one transaction; nothing of them stays when one fails. Raises `psycopg.Error`."""
        with self._lock, self._connected().transaction():
            for statement in statements:
                self._connected().execute(statement.as_bytes(self._connected()))

    def close(self) -> None:
        """Close the connection; a later query opens another."""
        with self._lock:
            self._drop()

    def _connected(self) -> psycopg.Connection[tuple[Any, ...]]:
        if self._connection is None or self._connection.closed:
            host, port = self._address
            self._connection = psycopg.connect(
                host=host,
                port=port,
                user=self._user,
                password=self._password or None,
                dbname="airflow",
                sslmode="require" if self._password else "disable",
                connect_timeout=CONNECT_WITHIN,
                autocommit=True,
            )
        return self._connection

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
