"""Transactions that repeat themselves when the server asks for it (SQLSTATE 40001, 40P01).

CockroachDB may end any transaction with 40001, at COMMIT too, and asks its client to do all of it again.
Airflow repeats few of its transactions. Here the connection itself does it: it keeps what it was told and
what it answered, tells the server the same again, and goes on if all answers are the same. Then nobody above
can tell that the transaction ran twice. Where an answer differs, others have changed what this transaction
looked at, and what was decided from it may be wrong: the error is handed on, as without this module.
(Google's JDBC driver for Spanner repeats aborted transactions like this. CockroachDB's documentation:
"Transaction Retry Error Reference", "Client-side retry handling".)

Left out: COPY, server-side cursors and stored procedures, whose answers are not kept; and asyncpg.
"""

from __future__ import annotations

import logging
import random
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import psycopg2
from psycopg2 import extensions

log = logging.getLogger(__name__)

RETRY = frozenset({"40001", "40P01"})
"""Serialization failure and deadlock: the transaction is gone, and doing it again is the remedy."""

ATTEMPTS = 8
FIRST_PAUSE = 0.01
LONGEST_PAUSE = 1.0
"""Seconds between attempts: doubled each time and then cut to a random share, so that two do not meet again."""

SHOWN = 60
"""Characters of a statement that a message has; its parameters are apart from it, and in no message."""

MOST_STATEMENTS = 5000
"""A longer transaction is not kept: its error is handed on."""

ID = re.compile(r"\s*SELECT\s+(nextval|unique_rowid)\s*\(", re.IGNORECASE)
"""Asks for an id. Sequences are not rolled back, so an id that was handed out is still nobody else's."""


class _Differs(Exception):
    """The server answered otherwise than the first time; the message says how."""


@dataclass(eq=False)
class Statement:
    """One statement of a transaction and what came of it: rows that were fetched, or the error's SQLSTATE."""

    method: str
    arguments: tuple[Any, ...]
    count: int = -1
    fetched: list[Any] = field(default_factory=list)
    error: str | None = None
    reading: bool = False
    """Whether more of its rows can be fetched still."""

    def __str__(self) -> str:
        text = " ".join(str(self.arguments[0]).split())
        return f"'{text[:SHOWN]}...'" if len(text) > SHOWN else f"'{text}'"

    def repeat(self, cursor: Any) -> None:
        """Run it again on another cursor. Raises :class:`_Differs`, and psycopg2's errors that ask for a retry."""
        if isinstance(self.arguments[0], str) and ID.match(self.arguments[0]):
            return
        try:
            getattr(cursor, self.method)(*self.arguments)
        except psycopg2.Error as error:
            if error.pgcode in RETRY or error.pgcode != self.error:
                raise
            return
        if self.error is not None:
            raise _Differs(f"{self} succeeds, which failed with {self.error}")
        if cursor.rowcount != self.count:
            raise _Differs(f"{self} is about {cursor.rowcount} rows, not {self.count}")
        if self.fetched and cursor.fetchmany(len(self.fetched)) != self.fetched:
            raise _Differs(f"{self} finds other rows")
        if self.reading and len(self.fetched) < self.count:
            raise _Differs(f"the rows of {self} were not all fetched")


class ReplayingCursor(extensions.cursor):
    """A cursor that tells its :class:`ReplayingConnection` all it does."""

    _statement: Statement | None = None

    def execute(self, query: Any, vars: Any = None) -> None:
        self._run("execute", query, vars)

    def executemany(self, query: Any, vars_list: Any) -> None:
        self._run("executemany", query, list(vars_list))

    def _run(self, method: str, *arguments: Any) -> None:
        self._stop_reading()
        self._statement = Statement(method, arguments)
        call = getattr(super(), method)
        self.connection.run(self._statement, lambda: call(*arguments))
        self._statement.count = self.rowcount
        self._statement.reading = self.description is not None

    def fetchone(self) -> Any:
        row = super().fetchone()
        self._fetched([] if row is None else [row])
        return row

    def fetchmany(self, size: int | None = None) -> list[Any]:
        rows = super().fetchmany(self.arraysize if size is None else size)
        self._fetched(rows)
        return rows

    def fetchall(self) -> list[Any]:
        rows = super().fetchall()
        self._fetched(rows)
        return rows

    def __iter__(self) -> Iterator[Any]:
        while (row := self.fetchone()) is not None:
            yield row

    def close(self) -> None:
        self._stop_reading()
        super().close()

    def _fetched(self, rows: list[Any]) -> None:
        if self._statement is not None:
            self._statement.fetched += rows

    def _stop_reading(self) -> None:
        if self._statement is not None:
            self._statement.reading = False

    def callproc(self, *arguments: Any) -> Any:
        self.connection.give_up("a stored procedure")
        return super().callproc(*arguments)

    def copy_expert(self, *arguments: Any, **keywords: Any) -> None:
        self.connection.give_up("COPY")
        super().copy_expert(*arguments, **keywords)

    def copy_from(self, *arguments: Any, **keywords: Any) -> None:
        self.connection.give_up("COPY")
        super().copy_from(*arguments, **keywords)

    def copy_to(self, *arguments: Any, **keywords: Any) -> None:
        self.connection.give_up("COPY")
        super().copy_to(*arguments, **keywords)


class ReplayingConnection(extensions.connection):
    """A psycopg2 connection (``connection_factory``) whose transactions repeat themselves."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self.cursor_factory = ReplayingCursor
        self._statements: list[Statement] = []
        self._not_kept = ""
        self._lost: psycopg2.Error | None = None

    def cursor(self, *arguments: Any, **keywords: Any) -> Any:
        name = keywords.get("name", arguments[0] if arguments else None)
        if name is not None:
            self.give_up("a server-side cursor")
            keywords.setdefault("cursor_factory", extensions.cursor)
        return super().cursor(*arguments, **keywords)

    def give_up(self, why: str) -> None:
        """From here on this transaction is not repeated."""
        self._not_kept = why

    def run(self, statement: Statement, call: Callable[[], None]) -> None:
        """Make `call`, and what was before it in the transaction again whenever that is asked for."""
        if self._lost is not None:
            raise psycopg2.errors.InFailedSqlTransaction(
                "current transaction is aborted, commands ignored until end of transaction block"
            ) from self._lost
        # A schema change has committed what was before it: each statement is on its own then.
        alone = self._is_alone()
        again = self._nothing if alone else self._restore
        try:
            self._persist(call, again)
        except psycopg2.Error as error:
            statement.error = error.pgcode
            self._keep(statement)
            raise
        if alone or self.info.transaction_status == extensions.TRANSACTION_STATUS_IDLE:
            self._forget()
        else:
            self._keep(statement)

    def commit(self) -> None:
        if self._lost is not None:
            lost, self._lost = self._lost, None
            self.rollback()
            raise lost
        try:
            self._persist(super().commit, self._restore)
        finally:
            if self._lost is None:
                self._forget()

    def rollback(self) -> None:
        self._lost = None
        self._forget()
        super().rollback()

    def _is_alone(self) -> bool:
        began = self.status == extensions.STATUS_BEGIN
        outside = self.info.transaction_status == extensions.TRANSACTION_STATUS_IDLE
        return bool(self.autocommit or (began and outside))

    def _keep(self, statement: Statement) -> None:
        if len(self._statements) >= MOST_STATEMENTS:
            self.give_up("so long a transaction")
            self._statements.clear()
        self._statements.append(statement)

    def _forget(self) -> None:
        self._statements = []
        self._not_kept = ""

    def _nothing(self) -> None:
        """What is to be restored before a statement that is a transaction of its own."""

    def _persist(self, call: Callable[[], None], restore: Callable[[], None]) -> None:
        """Make `call`; after an error that asks for it `restore` and `call` again, or raise that error for good."""
        try:
            call()
            return
        except psycopg2.Error as error:
            if error.pgcode not in RETRY:
                raise
            first = error
        reason = self._not_kept or self._repeat(call, restore)
        if reason:
            log.info("a transaction is not repeated after SQLSTATE %s: %s", first.pgcode, reason)
            self._lose(first)
            raise first
        log.info("a transaction was repeated after SQLSTATE %s", first.pgcode)

    def _repeat(self, call: Callable[[], None], restore: Callable[[], None]) -> str:
        """Repeat until it works; the reason why it did not, or nothing. Raises what is no reason to repeat."""
        longest = FIRST_PAUSE
        for _ in range(ATTEMPTS):
            time.sleep(random.uniform(0, longest))  # noqa: S311 - nothing to guess
            longest = min(longest * 2, LONGEST_PAUSE)
            try:
                restore()
            except _Differs as difference:
                return str(difference)
            except psycopg2.Error as error:
                if error.pgcode in RETRY:
                    continue
                return f"a statement that succeeded fails with {error.pgcode}"
            try:
                call()
                return ""
            except psycopg2.Error as error:
                if error.pgcode not in RETRY:
                    raise
        return f"{ATTEMPTS} repetitions failed too"

    def _restore(self) -> None:
        """Bring a new transaction to where the lost one was."""
        super().rollback()
        with extensions.cursor(self) as cursor:
            for statement in self._statements:
                statement.repeat(cursor)

    def _lose(self, error: psycopg2.Error) -> None:
        """Refuse everything until the client rolls back, as the server does after an error."""
        if not self.closed:
            super().rollback()
        self._lost = error
