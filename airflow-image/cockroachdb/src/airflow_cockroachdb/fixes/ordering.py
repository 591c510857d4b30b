"""NULLs come first only where nobody changed CockroachDB's ``null_ordered_last``: say so explicitly."""

from __future__ import annotations

import functools
from types import ModuleType
from typing import Any

from sqlalchemy import nullsfirst

from airflow_cockroachdb.fix import DIALECT, Fix, function, replace


def _nulls_first(module: ModuleType) -> None:
    original = function(module, "nulls_first", "col", "session")

    @functools.wraps(original)
    def nulls_first(col: Any, session: Any) -> Any:
        if session.get_bind().dialect.name == DIALECT:
            return nullsfirst(col)
        return original(col, session)

    replace(module, "nulls_first", nulls_first)


FIXES = (
    Fix(
        "nulls-first",
        "airflow.utils.sqlalchemy",
        ">=2.11,<3.4",
        "with null_ordered_last set, runs that were never looked at are scheduled last",
        _nulls_first,
    ),
)
