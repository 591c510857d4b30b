"""READ COMMITTED for every connection, and conflicts that end a transaction count as a busy lock.

Airflow is written for READ COMMITTED (PostgreSQL's default, and what it asks MySQL for). CockroachDB's
default is SERIALIZABLE, where any statement and any COMMIT may fail with SQLSTATE 40001 and be the
client's to repeat, which most of Airflow does not do, and where row locks are best effort. Under READ
COMMITTED the server repeats statements itself and row locks hold, which Airflow's critical sections,
``SELECT ... FOR UPDATE NOWAIT`` on the pools, rely on. (CockroachDB's documentation, "Read Committed
Transactions"; it must not be switched off in the cluster: sql.txn.read_committed_isolation.enabled.)
"""

from __future__ import annotations

import functools
import sys
from types import ModuleType
from typing import Any

from airflow_cockroachdb.fix import DIALECT, Fix, function, replace
from airflow_cockroachdb.replay import RETRY

ISOLATION_LEVEL = "READ COMMITTED"


def is_conflict(error: Any) -> bool:
    """Whether an error of SQLAlchemy's says that the transaction is gone, and to do it again.

    So does the error of a statement that came after such a one, as where Airflow repeats a statement alone.
    """
    return any(
        getattr(one, "pgcode", None) in RETRY for one in (error.orig, getattr(error.orig, "__cause__", None))
    )


def _sync_engine(module: ModuleType) -> None:
    original = function(module, "prepare_engine_args", "disable_connection_pool", "pool_class")

    @functools.wraps(original)
    def prepare_engine_args(disable_connection_pool: bool = False, pool_class: Any = None) -> dict[str, Any]:
        arguments: dict[str, Any] = original(disable_connection_pool, pool_class)
        if str(vars(module)["SQL_ALCHEMY_CONN"]).startswith(DIALECT):
            arguments.setdefault("isolation_level", ISOLATION_LEVEL)
        return arguments

    replace(module, "prepare_engine_args", prepare_engine_args)


def _reloaded_settings(module: ModuleType) -> None:
    original = function(module, "reload_configuration_for_dag_processing")

    @functools.wraps(original)
    def reload_configuration_for_dag_processing() -> None:
        original()
        # It has executed airflow.settings anew, which has undone what was changed there, and has made an engine.
        settings = sys.modules["airflow.settings"]
        _sync_engine(settings)
        function(settings, "reconfigure_orm")()

    replace(module, "reload_configuration_for_dag_processing", reload_configuration_for_dag_processing)


def _async_engine(module: ModuleType) -> None:
    original = function(module, "create_async_metadata_engine", "sql_alchemy_conn_async")

    @functools.wraps(original)
    def create_async_metadata_engine(sql_alchemy_conn_async: str, **kwargs: Any) -> Any:
        if sql_alchemy_conn_async.startswith(DIALECT):
            defaults = {"isolation_level": ISOLATION_LEVEL}
            kwargs["engine_args"] = defaults | (kwargs.get("engine_args") or {})
        return original(sql_alchemy_conn_async, **kwargs)

    replace(module, "create_async_metadata_engine", create_async_metadata_engine)


def _busy_lock(module: ModuleType) -> None:
    original = function(module, "is_lock_not_available_error", "error")

    @functools.wraps(original)
    def is_lock_not_available_error(error: Any) -> bool:
        return is_conflict(error) or bool(original(error))

    replace(module, "is_lock_not_available_error", is_lock_not_available_error)


FIXES = (
    Fix(
        "isolation",
        "airflow.settings",
        ">=2.11,<3.4",
        "transactions are SERIALIZABLE, and conflicts end components that never repeat a transaction",
        _sync_engine,
    ),
    Fix(
        "reloaded-isolation",
        "airflow.dag_processing.manager",
        ">=2.11,<3",
        "DAG files are processed in SERIALIZABLE transactions, and a conflict leaves a DAG without its serialized form",
        _reloaded_settings,
    ),
    Fix(
        "async-isolation",
        "airflow.settings",
        ">=3.2,<3.4",
        "transactions of the asynchronous engine are SERIALIZABLE",
        _async_engine,
    ),
    Fix(
        "busy-lock",
        "airflow.utils.sqlalchemy",
        ">=2.11,<3.4",
        "a conflict in the scheduler's critical section ends the scheduler",
        _busy_lock,
    ),
)
