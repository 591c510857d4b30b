"""Ids for Celery's result tables, where results are kept in the database.

Redis is the better place: each result in the database costs a transaction of its own.
"""

from __future__ import annotations

from types import ModuleType

from sqlalchemy import Sequence

from airflow_cockroachdb.fix import Fix, FixDoesNotApply, member


def _optional_sequences(module: ModuleType) -> None:
    """Let the dialect make the ids: it ignores sequences, so these columns would have no default."""
    for name in ("Task", "TaskSet"):
        sequence = member(module, name).__table__.c.id.default
        if not isinstance(sequence, Sequence):
            raise FixDoesNotApply(f"{name}.id has no sequence")
        sequence.optional = True


FIXES = (
    Fix(
        "celery-results",
        "celery.backends.database.models",
        ">=2.11,<3.4",
        "NotNullViolation when Celery keeps results in the database",
        _optional_sequences,
    ),
)
