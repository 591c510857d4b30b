"""Airflow's lock around migrations, as a row that its holder has locked.

CockroachDB has no session-level advisory locks, transaction-level ones only from v26.3 on; a row lock
works on every version. It needs a connection of its own: DDL commits the transaction it runs in
(``autocommit_before_ddl``), which would release a lock taken on Airflow's connection.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, ProgrammingError

from airflow_cockroachdb.fix import DIALECT, Fix, function, replace
from airflow_cockroachdb.fixes.isolation import ISOLATION_LEVEL

TABLE = "airflow_cockroachdb_lock"


@contextlib.contextmanager
def row_lock(engine: Any, lock_id: int, timeout: int) -> Iterator[None]:
    """Hold the lock ``lock_id`` of this database.

    :param engine: an SQLAlchemy engine; two connections are taken from it, one after the other
    :param timeout: seconds to wait for whoever holds it
    :raises sqlalchemy.exc.OperationalError: SQLSTATE 55P03 when that takes longer
    """
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        # Two that create the table at once: the slower one fails, and the table is there.
        with contextlib.suppress(IntegrityError, ProgrammingError):
            connection.execute(text(f"CREATE TABLE IF NOT EXISTS {TABLE} (id INT8 PRIMARY KEY)"))
        insert = f"INSERT INTO {TABLE} (id) VALUES (:id) ON CONFLICT (id) DO NOTHING"  # noqa: S608
        connection.execute(text(insert), {"id": lock_id})
    with (
        engine.connect().execution_options(isolation_level=ISOLATION_LEVEL) as connection,
        connection.begin(),
    ):
        connection.execute(text(f"SET LOCAL lock_timeout = '{int(timeout)}s'"))
        select = f"SELECT id FROM {TABLE} WHERE id = :id FOR UPDATE"  # noqa: S608
        connection.execute(text(select), {"id": lock_id})
        yield


def _global_lock(module: ModuleType) -> None:
    original = function(module, "create_global_lock", "session", "lock", "lock_timeout")

    @contextlib.contextmanager
    def create_global_lock(session: Any, lock: Any, lock_timeout: int = 1800) -> Iterator[None]:
        bind = session.get_bind()
        if bind.dialect.name == DIALECT:
            held = row_lock(bind.engine, lock.value, lock_timeout)
        else:
            held = original(session=session, lock=lock, lock_timeout=lock_timeout)
        with held:
            yield

    replace(module, "create_global_lock", create_global_lock)


FIXES = (
    Fix(
        "global-lock",
        "airflow.utils.db",
        ">=2.11,<3.4",
        "no lock is taken: two migrations at once corrupt the schema",
        _global_lock,
    ),
)
