"""The fixes, one module for each concern. ``ALL`` lists them in the order of the README's table."""

from __future__ import annotations

from airflow_cockroachdb.fix import Fix
from airflow_cockroachdb.fixes import (
    as_postgresql,
    async_engine,
    celery_results,
    compile_rules,
    connections,
    db_shell,
    global_lock,
    ids,
    isolation,
    ordering,
    scheduler,
    triggers,
)

ALL: tuple[Fix, ...] = (
    *async_engine.FIXES,
    *isolation.FIXES,
    *connections.FIXES,
    *ids.FIXES,
    *scheduler.FIXES,
    *triggers.FIXES,
    *as_postgresql.FIXES,
    *compile_rules.FIXES,
    *ordering.FIXES,
    *global_lock.FIXES,
    *celery_results.FIXES,
    *db_shell.FIXES,
)
