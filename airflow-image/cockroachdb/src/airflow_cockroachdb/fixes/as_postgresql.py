"""Places where Airflow's PostgreSQL branch is right for CockroachDB, and no branch fits by default.

The dialect's name is mapped for these functions only. Mapping it everywhere would make migrations call
``pg_advisory_lock`` and the scheduler take an advisory lock, which CockroachDB lacks.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

from airflow_cockroachdb.fix import DIALECT, Fix, function, member, replace

POSTGRESQL = "postgresql"


def _map(dialect: str | None) -> str | None:
    return POSTGRESQL if dialect == DIALECT else dialect


def _upsert(name: str) -> Callable[[ModuleType], None]:
    def apply(module: ModuleType) -> None:
        original = function(module, name, "dialect", "model", "conflict_cols", "values", "update_fields")

        @functools.wraps(original)
        def build_upsert(dialect: str | None, *args: Any, **kwargs: Any) -> Any:
            return original(_map(dialect), *args, **kwargs)

        replace(module, name, build_upsert)

    return apply


def _dialect_name(module: ModuleType) -> None:
    """Map the name inside one module; only for modules in which each use of it wants PostgreSQL's branch."""
    original = function(module, "get_dialect_name", "session")

    @functools.wraps(original)
    def get_dialect_name(session: Any) -> str | None:
        return _map(original(session))

    module.__dict__["get_dialect_name"] = get_dialect_name


def _task_duration(module: ModuleType) -> None:
    owner = member(module, "TaskInstance")
    original = function(owner, "duration_expression_update", "cls", "end_date", "query", "bind")

    @functools.wraps(original)
    def duration_expression_update(cls: Any, end_date: Any, query: Any, bind: Any) -> Any:
        if bind.dialect.name == DIALECT:
            bind = SimpleNamespace(dialect=SimpleNamespace(name=POSTGRESQL))
        return original(cls, end_date, query, bind)

    owner.duration_expression_update = classmethod(duration_expression_update)


def _calendar(module: ModuleType) -> None:
    owner = member(module, "CalendarService")
    original = function(owner, "_get_time_truncation_expression", "self", "column", "granularity", "dialect")

    @functools.wraps(original)
    def get_time_truncation_expression(self: Any, column: Any, granularity: Any, dialect: Any) -> Any:
        return original(self, column, granularity, _map(dialect))

    owner._get_time_truncation_expression = get_time_truncation_expression


FIXES = (
    Fix(
        "upsert",
        "airflow.utils.sqlalchemy",
        ">=3.3,<3.4",
        "ValueError on rendered fields and variables: every task start fails with a 500",
        _upsert("build_upsert_stmt"),
    ),
    Fix(
        "state-store-upsert",
        "airflow.state.metastore",
        ">=3.3,<3.4",
        "task and asset state is written with SQLite's form of the statement",
        _upsert("_build_upsert_stmt"),
    ),
    Fix(
        "variable-upsert",
        "airflow.models.variable",
        ">=3.2,<3.3",
        "variables are written with SQLite's form of the statement",
        _dialect_name,
    ),
    Fix(
        "asset-activation",
        "airflow.dag_processing.collection",
        ">=3.2,<3.4",
        "SQLite's form of the statement ends the DAG processor at the first DAG with an asset",
        _dialect_name,
    ),
    Fix(
        "task-duration",
        "airflow.models.taskinstance",
        ">=3.2,<3.4",
        "a finished task is recorded with MySQL's timestampdiff(), an unknown function",
        _task_duration,
    ),
    Fix(
        "calendar",
        "airflow.api_fastapi.core_api.services.ui.calendar",
        ">=3.2,<3.4",
        "ValueError in the calendar view",
        _calendar,
    ),
    Fix(
        "deadline",
        "airflow.models.deadline",
        ">=3.2,<3.4",
        "ValueError when a deadline relies on average run times",
        _dialect_name,
    ),
    Fix(
        "serialized-deadline",
        "airflow.serialization.definitions.deadline",
        ">=3.2,<3.4",
        "ValueError when a deadline relies on average run times",
        _dialect_name,
    ),
)
