"""The database that is up does what CockroachDB's documentation says, row by row.

On the stand-in it shows where that is honest; on a real CockroachDB, where the table or the stand-in is wrong.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import psycopg2
import pytest
from conformance import catalog, ddl, transactions, types
from conformance.rows import Row, run
from sqlalchemy.engine import make_url

ROWS = (*types.ROWS, *ddl.ROWS, *transactions.ROWS, *catalog.ROWS)
LEFT_BY_ROWS = (
    "DROP VIEW IF EXISTS v",
    "DROP TABLE IF EXISTS u",
    "DROP TABLE IF EXISTS t",
    "DROP SEQUENCE IF EXISTS s",
    "DROP TYPE IF EXISTS e",
    "DROP TYPE IF EXISTS c",
)
Connect = Callable[[], Any]
counts: Counter[str] = Counter()


@pytest.fixture(scope="session")
def connect() -> Iterator[Connect]:
    """Opens connections to a database of these tests' own."""
    url = make_url(os.environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"])

    def connect(database: str = "conformance") -> Any:
        return psycopg2.connect(host=url.host, port=url.port, user=url.username, dbname=database)

    with closing(connect(str(url.database))) as administration:
        administration.autocommit = True
        with administration.cursor() as cursor:
            cursor.execute("CREATE DATABASE conformance")
        yield connect
        with administration.cursor() as cursor:
            cursor.execute("DROP DATABASE conformance")


@pytest.fixture(scope="session")
def is_stand_in(connect: Connect) -> bool:
    with closing(connect()) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT version()")
        return "stand-in" in cursor.fetchone()[0]


@pytest.fixture
def clean(connect: Connect) -> None:
    """A database without what rows make."""
    with closing(connect()) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            for statement in LEFT_BY_ROWS:
                cursor.execute(statement)


@pytest.fixture(scope="session", autouse=True)
def summary(request: pytest.FixtureRequest) -> Iterator[None]:
    """Tell how many rows there were of each kind, in the line that the caller looks for."""
    yield
    told = ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))
    reporter = request.config.pluginmanager.getplugin("terminalreporter")
    reporter.write_line(f"\nconformance: {len(ROWS)} rows: {told}")


@pytest.mark.usefixtures("clean")
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name.replace(" ", "-"))
def test_row(row: Row, connect: Connect, is_stand_in: bool) -> None:
    seen = run(row, connect)
    if row.outcome.kind == "unknown":
        counts["unknown"] += 1
        return
    right = row.outcome.allows(seen)
    if is_stand_in and row.differs:
        counts["known to differ on the stand-in"] += 1
        assert not right, f"the stand-in does it right: remove {row.differs!r}"
        return
    counts["as documented" if right else "wrong"] += 1
    assert right, f"{row.url} says {row.outcome}, seen {seen}"


def test_rows_have_names_of_their_own() -> None:
    assert [name for name, count in Counter(row.name for row in ROWS).items() if count > 1] == []
