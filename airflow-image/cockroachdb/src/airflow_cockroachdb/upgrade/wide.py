"""Airflow's command line, with PostgreSQL's INTEGER as wide as CockroachDB's.

    python -m airflow_cockroachdb.upgrade.wide db migrate

On CockroachDB ``INTEGER`` is ``INT8``, and ids of ``unique_rowid()`` use most of its bits (CockroachDB's documentation:
"INT", "SERIAL"). PostgreSQL has 32 bits for it, and Airflow's migrations name the type again when they change a column:
whatever they make or change is a BIGINT here, or none of those ids would fit.
"""

from __future__ import annotations

import functools
from importlib import import_module
from typing import Any

from sqlalchemy.dialects.postgresql.base import PGDDLCompiler, PGTypeCompiler


def widen() -> None:
    """Have SQLAlchemy write BIGINT for INTEGER, and BIGSERIAL for SERIAL, on PostgreSQL; in this process."""
    specify = PGDDLCompiler.get_column_specification

    @functools.wraps(specify)
    def get_column_specification(compiler: Any, column: Any, **options: Any) -> str:
        return specify(compiler, column, **options).replace(" SERIAL", " BIGSERIAL")

    PGDDLCompiler.get_column_specification = get_column_specification
    PGTypeCompiler.visit_INTEGER = PGTypeCompiler.visit_BIGINT


if __name__ == "__main__":
    widen()
    import_module("airflow.__main__").main()
