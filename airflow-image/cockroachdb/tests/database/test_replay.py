"""Transactions repeat themselves when the server asks for it, and nobody above can tell."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from typing import Any

import airflow  # noqa: F401  (installs the fixes)
import psycopg2
import pytest
import sqlalchemy as sa
from airflow import settings
from airflow_cockroachdb.replay import ATTEMPTS, ReplayingConnection
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session
from support import only_airflow_3

pytestmark = [only_airflow_3, pytest.mark.usefixtures("table")]
Connect = Callable[..., Any]


@pytest.fixture
def connect(database: str) -> Iterator[Connect]:
    """Open connections to the database; psycopg2's own with `factory=None`."""
    url = make_url(database)
    opened = []

    def connect(factory: Any = ReplayingConnection) -> Any:
        opened.append(
            psycopg2.connect(
                host=url.host,
                port=url.port,
                user=url.username,
                dbname=url.database,
                connection_factory=factory,
            )
        )
        return opened[-1]

    yield connect
    for connection in opened:
        connection.close()


@pytest.fixture
def table(connect: Connect) -> None:
    """A table `replayed` with one row: key 1, value 10."""
    connection = connect(None)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("SELECT version()")
        if "stand-in" not in cursor.fetchone()[0]:
            pytest.skip("errors are injected by the stand-in's settings")
        cursor.execute("DROP TABLE IF EXISTS replayed")
        cursor.execute("CREATE TABLE replayed (k INT PRIMARY KEY, v INT)")
        cursor.execute("INSERT INTO replayed VALUES (1, 10)")


def fail_commits(connection: Any, times: int) -> None:
    """Let the next `times` COMMITs of the connection fail with 40001."""
    with connection.cursor() as cursor:
        cursor.execute(f"SET itest.fail_commits = {times}")
    connection.commit()


def rows(connection: Any) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT k, v FROM replayed ORDER BY k")
        found = cursor.fetchall()
    connection.rollback()
    return list(found)


def read_and_add(cursor: Any) -> None:
    """Add a row whose value is one more than row 1's."""
    cursor.execute("SELECT v FROM replayed WHERE k = 1")
    value = cursor.fetchone()[0]
    cursor.execute("INSERT INTO replayed VALUES (%s, %s)", (2, value + 1))


def test_the_stand_in_does_fail_a_commit(connect: Connect) -> None:
    plain = connect(None)
    fail_commits(plain, 1)
    with plain.cursor() as cursor:
        read_and_add(cursor)
    with pytest.raises(psycopg2.errors.SerializationFailure, match="restart transaction"):
        plain.commit()


@pytest.mark.parametrize("times", [1, 3])
def test_a_commit_that_fails_is_repeated_with_all_that_was_before_it(connect: Connect, times: int) -> None:
    connection = connect()
    fail_commits(connection, times)
    with connection.cursor() as cursor:
        read_and_add(cursor)
    connection.commit()
    assert rows(connection) == [(1, 10), (2, 11)]


def test_many_parameters_are_repeated(connect: Connect) -> None:
    connection = connect()
    fail_commits(connection, 1)
    with connection.cursor() as cursor:
        cursor.executemany("INSERT INTO replayed VALUES (%s, %s)", iter([(2, 1), (3, 1)]))
    connection.commit()
    assert rows(connection) == [(1, 10), (2, 1), (3, 1)]


def test_a_savepoint_that_was_rolled_back_is_rolled_back_again(connect: Connect) -> None:
    connection = connect()
    fail_commits(connection, 1)
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO replayed VALUES (2, 0)")
        cursor.execute("SAVEPOINT s")
        with pytest.raises(psycopg2.errors.UniqueViolation):
            cursor.execute("INSERT INTO replayed VALUES (1, 0)")
        cursor.execute("ROLLBACK TO SAVEPOINT s")
        cursor.execute("INSERT INTO replayed VALUES (3, 0)")
    connection.commit()
    assert rows(connection) == [(1, 10), (2, 0), (3, 0)]


def test_a_statement_that_fails_is_repeated_with_all_that_was_before_it(connect: Connect) -> None:
    connection = connect()
    with connection.cursor() as cursor:
        cursor.execute("SET itest.fail_statements = 1")
        connection.commit()
        read_and_add(cursor)
    connection.commit()
    assert rows(connection) == [(1, 10), (2, 11)]


def test_a_decision_from_what_others_changed_is_not_repeated(connect: Connect) -> None:
    connection, other = connect(), connect(None)
    fail_commits(connection, 1)
    with connection.cursor() as cursor, other.cursor() as elsewhere:
        read_and_add(cursor)
        elsewhere.execute("UPDATE replayed SET v = 20 WHERE k = 1")
        other.commit()
    with pytest.raises(psycopg2.errors.SerializationFailure):
        connection.commit()
    connection.rollback()
    assert rows(connection) == [(1, 20)]


def test_after_an_error_that_is_handed_on_the_transaction_is_lost_until_rolled_back(connect: Connect) -> None:
    connection = connect()
    fail_commits(connection, 1)
    with connection.cursor() as cursor:
        read_and_add(cursor)
        connection.give_up("this test")
        with pytest.raises(psycopg2.errors.SerializationFailure):
            connection.commit()
        with pytest.raises(psycopg2.errors.InFailedSqlTransaction):
            cursor.execute("SELECT 1")
        connection.rollback()
        cursor.execute("SELECT 1")


def test_it_gives_up_in_the_end(connect: Connect) -> None:
    connection = connect()
    fail_commits(connection, ATTEMPTS + 1)
    with connection.cursor() as cursor:
        read_and_add(cursor)
    with pytest.raises(psycopg2.errors.SerializationFailure):
        connection.commit()
    connection.rollback()
    assert rows(connection) == [(1, 10)]


def test_what_a_schema_change_has_committed_is_not_done_twice(connect: Connect) -> None:
    connection = connect()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE replayed SET v = v + 1 WHERE k = 1")
        cursor.execute("CREATE INDEX ON replayed (v)")  # commits
        cursor.execute("SET itest.fail_commits = 1")
        cursor.execute("UPDATE replayed SET v = v + 100 WHERE k = 1")
    connection.commit()
    assert rows(connection) == [(1, 111)]


def test_a_statement_without_a_transaction_is_repeated_alone(connect: Connect) -> None:
    connection = connect()
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("SET itest.fail_commits = 2")
        cursor.execute("UPDATE replayed SET v = v + 1 WHERE k = 1")
        cursor.execute("SELECT v FROM replayed")
        assert cursor.fetchall() == [(11,)]


def test_a_server_side_cursor_is_not_repeated(connect: Connect) -> None:
    connection = connect()
    fail_commits(connection, 1)
    with connection.cursor("named") as cursor:
        cursor.execute("SELECT v FROM replayed FOR UPDATE")
        assert cursor.fetchall() == [(10,)]
    with pytest.raises(psycopg2.errors.SerializationFailure):
        connection.commit()


def test_a_row_of_airflow_keeps_the_id_that_airflow_was_told() -> None:
    from airflow.models.log import Log

    with Session(settings.engine) as session:
        session.execute(sa.text("SET itest.fail_commits = 1"))
        session.commit()
        entry = Log(event="replayed")
        session.add(entry)
        session.flush()
        told = entry.id
        session.commit()
        assert session.scalars(sa.select(Log.id).where(Log.event == "replayed")).all() == [told]
        session.delete(session.get(Log, told))
        session.commit()


def test_ids_are_small_enough_for_the_ui() -> None:
    with settings.engine.connect() as connection:
        found = connection.execute(
            sa.text(
                "SELECT table_name, column_default FROM information_schema.columns"
                " WHERE table_schema = 'public' AND table_name NOT LIKE 'celery%' AND column_name = 'id'"
            )
        ).all()
    generated = {
        name: default for name, default in found if default and re.search("nextval|unique_rowid", default)
    }
    assert {"dag_run", "log", "job"} <= generated.keys()
    assert {name for name, default in generated.items() if "unique_rowid" in default} == set()


def test_a_conflict_that_is_handed_on_says_so_to_sqlalchemy() -> None:
    with settings.engine.connect() as connection:
        connection.execute(sa.text("SET itest.fail_commits = 1"))
        connection.commit()
        connection.execute(sa.text("UPDATE replayed SET v = 0"))
        connection.connection.dbapi_connection.give_up("this test")
        with pytest.raises(OperationalError):
            connection.commit()


@pytest.mark.proves("triggers")
def test_what_the_triggerer_does_is_done_anew_when_others_changed_what_it_looked_at(connect: Connect) -> None:
    from airflow.models.trigger import Trigger

    add = "INSERT INTO trigger (id, classpath, kwargs, created_date) VALUES (%s, 'nobody.waits', '{}', now())"
    other = connect(None)
    other.autocommit = True

    def meanwhile(session: Session) -> None:
        with other.cursor() as cursor:
            cursor.execute(add, [-2])

    with other.cursor() as cursor:
        cursor.execute(add, [-1])
    with Session(settings.engine) as session:
        session.execute(sa.text("SET itest.fail_commits = 1"))
        session.commit()
    sa.event.listen(Session, "before_commit", meanwhile, once=True)
    Trigger.clean_unused()
    with other.cursor() as cursor:
        cursor.execute("SELECT id FROM trigger")
        assert cursor.fetchall() == []


def test_the_url_of_these_tests_has_no_options() -> None:
    assert "options" not in make_url(os.environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]).query
