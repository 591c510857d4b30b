"""Airflow's own code on a live database."""

from __future__ import annotations

import asyncio
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import airflow  # noqa: F401  (installs the fixes)
import pytest
import sqlalchemy as sa
from airflow import settings
from airflow.utils import db
from airflow.utils import sqlalchemy as utils
from airflow_cockroachdb.fixes.global_lock import row_lock
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session
from support import only_airflow_3, run_python

from database.conftest import airflow_command

NOW = datetime(2026, 1, 1, 12, 30, tzinfo=UTC)


def test_the_database_is_checked_and_up_to_date(database: str) -> None:
    for command in (["db", "check"], ["db", "check-migrations"]):
        checked = airflow_command(*command)
        assert checked.returncode == 0, checked.stderr


def test_migrating_again_changes_nothing(database: str) -> None:
    again = airflow_command("db", "migrate")
    assert again.returncode == 0, again.stderr


CREATE_TABLES = """
from airflow.models import import_all_models
from airflow.utils import db
from airflow.utils.session import create_session
import_all_models()
with create_session() as session:
    db._create_db_from_orm(session)
"""


def test_two_migrations_at_once_both_succeed(database: str) -> None:
    # Airflow's own tables only: it creates those of the FAB provider outside of its lock, on any database.
    name = f"race_{uuid.uuid4().hex}"
    with settings.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
    url = make_url(database).set(database=name).render_as_string(hide_password=False)
    with ThreadPoolExecutor() as pool:
        runs = [
            pool.submit(run_python, CREATE_TABLES, AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=url) for _ in range(2)
        ]
    for run in runs:
        assert run.result().returncode == 0, run.result().stderr


def test_the_global_lock_has_one_holder_at_a_time(database: str) -> None:
    with row_lock(settings.engine, 1, timeout=5):
        with pytest.raises(OperationalError) as refused, row_lock(settings.engine, 1, timeout=1):
            pass
        with row_lock(settings.engine, 2, timeout=1):
            pass
    assert refused.value.orig.pgcode == "55P03"
    with row_lock(settings.engine, 1, timeout=1):
        pass


@pytest.mark.proves("global-lock")
def test_airflows_own_global_lock_has_one_holder_at_a_time(database: str) -> None:
    lock = db.DBLocks.MIGRATIONS
    with (
        Session(settings.engine) as first,
        Session(settings.engine) as second,
        db.create_global_lock(first, lock, lock_timeout=5),
        pytest.raises(OperationalError) as refused,
        db.create_global_lock(second, lock, lock_timeout=1),
    ):
        pass
    assert refused.value.orig.pgcode == "55P03"


def test_connections_are_read_committed(session: Any) -> None:
    assert session.scalar(sa.text("SHOW transaction_isolation")) == "read committed"


@only_airflow_3
@pytest.mark.proves("async-isolation")
def test_asynchronous_connections_are_read_committed(database: str) -> None:
    async def ask() -> object:
        async with settings.AsyncSession() as session:
            level = await session.scalar(sa.text("SHOW transaction_isolation"))
        await settings.async_engine.dispose()
        return level

    assert asyncio.run(ask()) == "read committed"


def test_a_second_scheduler_finds_the_critical_section_busy(session: Any) -> None:
    from airflow.models.pool import Pool

    Pool.slots_stats(lock_rows=True, session=session)
    with Session(settings.engine) as second, pytest.raises(OperationalError) as refused:
        Pool.slots_stats(lock_rows=True, session=second)
    assert utils.is_lock_not_available_error(refused.value)


def test_a_variable_is_set_twice(session: Any) -> None:
    from airflow.models.variable import Variable

    for value in ("first", "second"):
        Variable.set("twice", value, session=session)
        session.flush()
    assert [v.val for v in session.scalars(sa.select(Variable).where(Variable.key == "twice"))] == ["second"]


@only_airflow_3
def test_an_upsert_updates_the_row_that_is_there(session: Any) -> None:
    from airflow.models.pool import Pool

    for slots in (1, 2):
        values = {"pool": "upserted", "slots": slots, "include_deferred": False}
        statement = utils.build_upsert_stmt(
            utils.get_dialect_name(session), Pool, ["pool"], values, {"slots": slots}
        )
        session.execute(statement)
    found = session.scalars(sa.select(Pool.slots).where(Pool.pool == "upserted")).all()
    assert found == [2]


@only_airflow_3
@pytest.mark.proves("state-store-upsert")
def test_task_state_is_written_and_overwritten(session: Any) -> None:
    from airflow.models.pool import Pool
    from airflow.state.metastore import _build_upsert_stmt

    for slots in (1, 2):
        values = {"pool": "stored", "slots": slots, "include_deferred": False}
        session.execute(_build_upsert_stmt("cockroachdb", Pool, ["pool"], values, {"slots": slots}))
    assert session.scalars(sa.select(Pool.slots).where(Pool.pool == "stored")).all() == [2]


@only_airflow_3
def test_fixed_expressions_run(session: Any) -> None:
    from airflow.api_fastapi.core_api.services.ui.calendar import CalendarService
    from airflow.models.hitl import HITLDetail
    from airflow.models.taskinstance import TaskInstance

    assert uuid.UUID(str(session.scalar(sa.select(utils.random_db_uuid()))))
    session.execute(sa.select(HITLDetail.responded_by_user_id, HITLDetail.responded_by_user_name)).all()
    session.execute(TaskInstance.duration_expression_update(NOW, sa.update(TaskInstance), session.get_bind()))
    for granularity, expected in (
        ("hourly", NOW.replace(minute=0)),
        ("daily", NOW.replace(hour=0, minute=0)),
    ):
        moment = sa.literal(NOW, type_=sa.TIMESTAMP(timezone=True))
        expression = CalendarService()._get_time_truncation_expression(moment, granularity, "cockroachdb")
        assert session.scalar(sa.select(expression)) == expected


def test_celery_results_are_kept_in_the_database(database: str) -> None:
    from celery import Celery

    app = Celery(backend=f"db+{database}")
    task_id = uuid.uuid4().hex
    app.backend.store_result(task_id, {"answer": 42}, "SUCCESS")
    assert app.backend.get_result(task_id) == {"answer": 42}
