"""Ids are asked for before a row is inserted, not returned by the INSERT.

A transaction that is repeated (:mod:`airflow_cockroachdb.replay`) must be answered the same, and Airflow keeps the
ids it was told. An id that the INSERT itself makes would be another one the second time.
"""

from __future__ import annotations

import functools
import sys
from types import ModuleType
from typing import Any

from sqlalchemy import Table, event

from airflow_cockroachdb.fix import DIALECT, Fix, function, member

FIND_DEFAULT = (
    "SELECT column_default FROM information_schema.columns"
    " WHERE table_schema = current_schema() AND table_name = '{table}' AND column_name = '{column}'"
)


def _before_inserts(module: ModuleType) -> None:
    context = member(module, "PGExecutionContext")
    original = function(context, "get_insert_default", "self", "column")

    @functools.wraps(original)
    def get_insert_default(self: Any, column: Any) -> Any:
        if self.dialect.name != DIALECT or column is not column.table._autoincrement_column:
            return original(self, column)
        # One dialect belongs to one engine, so to one database.
        known = vars(self.dialect).setdefault("airflow_cockroachdb_defaults", {})
        if column not in known:
            found = FIND_DEFAULT.format(table=column.table.name, column=column.name)
            known[column] = self._execute_scalar(found, None)
        if known[column] is None:
            return original(self, column)
        return self._execute_scalar(f"SELECT {known[column]}", column.type)

    context.get_insert_default = get_insert_default
    # Airflow's configuration imports the table of connections before anything of ours is loaded.
    base = sys.modules.get("airflow.models.base")
    for table in base.Base.metadata.tables.values() if base is not None else ():
        _without_returning(table, None)
    event.listen(Table, "after_parent_attach", _without_returning)


def _without_returning(table: Any, metadata: object) -> None:
    """Let SQLAlchemy ask for the ids of this table beforehand, where the database makes them."""
    column = table._autoincrement_column
    if column is not None and column.default is None:
        table.implicit_returning = False


FIXES = (
    Fix(
        "ids",
        "sqlalchemy.dialects.postgresql.base",
        ">=3.2,<3.4",
        "a transaction with an INSERT cannot be repeated",
        _before_inserts,
    ),
)
