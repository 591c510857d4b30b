"""SQL constructs of Airflow that have a rule per dialect and none for CockroachDB."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from sqlalchemy.ext.compiler import compiles

from airflow_cockroachdb.fix import DIALECT, Fix, function, member


def _random_uuid(module: ModuleType) -> None:
    def compile_random_uuid(element: Any, compiler: Any, **kwargs: Any) -> str:
        return "gen_random_uuid()"

    compiles(member(module, "random_db_uuid"), DIALECT)(compile_random_uuid)


def _json_extract(module: ModuleType) -> None:
    rule = function(module, "compile_postgres", "element", "compiler")
    compiles(member(module, "JSONExtract"), DIALECT)(rule)


FIXES = (
    Fix(
        "random-uuid",
        "airflow.utils.sqlalchemy",
        ">=3.2,<3.4",
        "UnsupportedCompilationError when the scheduler queues tasks for an executor that wants their ids",
        _random_uuid,
    ),
    Fix(
        "json-extract",
        "airflow.models.hitl",
        ">=3.2,<3.4",
        "UnsupportedCompilationError when human-in-the-loop responses are listed",
        _json_extract,
    ),
)
