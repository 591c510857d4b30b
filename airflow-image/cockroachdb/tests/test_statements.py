"""What the fixed places say to CockroachDB. Nothing here connects."""

from __future__ import annotations

import os
from argparse import Namespace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import airflow  # noqa: F401  (installs the fixes)
import pytest
import sqlalchemy as sa
from airflow import settings
from airflow.utils import sqlalchemy as utils
from airflow_cockroachdb.fixes.async_engine import to_asyncpg
from airflow_cockroachdb.fixes.connections import connect_arguments
from airflow_cockroachdb.fixes.db_shell import psql_environment
from airflow_cockroachdb.replay import ReplayingConnection
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError
from support import AIRFLOW, driver_error, only_airflow_3, run_python

TABLE = sa.Table("t", sa.MetaData(), sa.Column("k", sa.String, primary_key=True), sa.Column("v", sa.String))
DIALECT = make_url("cockroachdb://").get_dialect()()
SESSION: Any = SimpleNamespace(get_bind=lambda: SimpleNamespace(dialect=DIALECT), bind=None)


def sql(statement: Any) -> str:
    return " ".join(str(statement.compile(dialect=DIALECT)).split())


@only_airflow_3
@pytest.mark.proves("upsert")
def test_an_upsert_names_the_conflict() -> None:
    statement = utils.build_upsert_stmt("cockroachdb", TABLE, ["k"], {"k": "a", "v": "b"}, {"v": "b"})
    assert "ON CONFLICT (k) DO UPDATE SET v" in sql(statement)


@only_airflow_3
def test_an_upsert_for_an_unknown_database_is_still_refused() -> None:
    with pytest.raises(ValueError, match="oracle"):
        utils.build_upsert_stmt("oracle", TABLE, ["k"], {"k": "a"}, {"k": "a"})


@only_airflow_3
@pytest.mark.proves("random-uuid")
def test_a_random_id_comes_from_the_database() -> None:
    assert sql(sa.select(utils.random_db_uuid())).startswith("SELECT gen_random_uuid()")


@only_airflow_3
@pytest.mark.proves("json-extract")
def test_a_response_of_a_human_is_read_out_of_json() -> None:
    from airflow.models.hitl import HITLDetail

    assert "json_extract_path_text(" in sql(sa.select(HITLDetail.responded_by_user_id))


@only_airflow_3
@pytest.mark.proves("task-duration")
def test_a_task_that_ends_gets_its_duration() -> None:
    from airflow.models.taskinstance import TaskInstance

    now = datetime(2026, 1, 1, tzinfo=UTC)
    update = TaskInstance.duration_expression_update(
        now, sa.update(TaskInstance), SimpleNamespace(dialect=DIALECT)
    )
    assert "EXTRACT(EPOCH FROM" in sql(update)
    assert "timestampdiff" not in sql(update)


@only_airflow_3
@pytest.mark.proves("calendar")
@pytest.mark.parametrize(("granularity", "expected"), [("hourly", "date_trunc("), ("daily", "timezone(")])
def test_the_calendar_truncates_times(granularity: Any, expected: str) -> None:
    from airflow.api_fastapi.core_api.services.ui.calendar import CalendarService

    expression = CalendarService()._get_time_truncation_expression(
        sa.column("logical_date"), granularity, "cockroachdb"
    )
    assert expected in sql(sa.select(expression))


@only_airflow_3
@pytest.mark.proves("asset-activation")
def test_assets_are_activated_with_a_statement_that_can_be_sent() -> None:
    from airflow.dag_processing.collection import AssetModelOperation

    sent: list[str] = []
    session = SimpleNamespace(
        get_bind=SESSION.get_bind,
        bind=SESSION.get_bind(),
        execute=lambda statement, rows: sent.append(sql(statement)),
    )
    asset = SimpleNamespace(name="a", uri="s3://a")
    AssetModelOperation.activate_assets_if_possible(None, [asset], session=session)
    assert "ON CONFLICT DO NOTHING" in sent[0]


@only_airflow_3
@pytest.mark.parametrize(
    "module",
    [
        pytest.param("airflow.models.deadline", marks=pytest.mark.proves("deadline")),
        pytest.param(
            "airflow.serialization.definitions.deadline", marks=pytest.mark.proves("serialized-deadline")
        ),
    ],
)
def test_deadlines_take_the_branch_of_postgresql(module: str) -> None:
    import importlib

    assert importlib.import_module(module).get_dialect_name(SESSION) == "postgresql"
    assert utils.get_dialect_name(SESSION) == "cockroachdb"


@pytest.mark.proves("nulls-first")
def test_runs_never_looked_at_come_first() -> None:
    assert sql(sa.select(TABLE).order_by(utils.nulls_first(TABLE.c.v, SESSION))).endswith("NULLS FIRST")


@pytest.mark.parametrize(
    "code",
    [*(pytest.param(code, marks=pytest.mark.proves("busy-lock")) for code in ("40001", "40P01")), "55P03"],
)
def test_a_conflict_counts_as_a_busy_lock(code: str) -> None:
    assert utils.is_lock_not_available_error(OperationalError("", {}, driver_error(code)))


def test_another_error_is_no_busy_lock() -> None:
    assert not utils.is_lock_not_available_error(OperationalError("", {}, driver_error("42P01")))


@pytest.mark.proves("isolation")
def test_the_engine_asks_for_read_committed() -> None:
    assert settings.prepare_engine_args()["isolation_level"] == "READ COMMITTED"


@pytest.mark.skipif(AIRFLOW.startswith("3."), reason="Airflow 3 does not load its settings again")
@pytest.mark.proves("reloaded-isolation")
def test_engines_of_dag_processing_are_read_committed_too() -> None:
    # In a process of its own: what it loads again would be another module to the tests that follow.
    unfixed = (
        "from airflow_cockroachdb import install; install.ALL = ()\n"
        if os.environ.get("WITHOUT_FIXES")
        else ""
    )
    asked = run_python(
        f"{unfixed}from airflow.dag_processing import manager\n"
        "manager.reload_configuration_for_dag_processing()\n"
        "from airflow import settings\n"
        "print(settings.prepare_engine_args().get('isolation_level'))\n"
        "print(settings.engine.dialect.isolation_level)"
    )
    assert asked.stdout.splitlines()[-2:] == ["READ COMMITTED"] * 2, asked.stderr


def test_an_isolation_level_that_the_operator_chose_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = '{"isolation_level": "SERIALIZABLE"}'
    monkeypatch.setenv("AIRFLOW__DATABASE__SQL_ALCHEMY_ENGINE_ARGS", chosen)
    assert settings.prepare_engine_args()["isolation_level"] == "SERIALIZABLE"


IMPORT = """
import os
from airflow_cockroachdb import install
if os.environ.get("WITHOUT_FIXES"):
    install.ALL = ()
from airflow import settings
print(settings.SQL_ALCHEMY_CONN_ASYNC)
"""


@pytest.mark.skipif(not AIRFLOW.startswith("3.3"), reason="earlier ones derive none")
@pytest.mark.proves("async-engine")
def test_airflow_can_be_imported() -> None:
    imported = run_python(IMPORT)
    assert "cockroachdb+asyncpg://airflow@" in imported.stdout, imported.stderr


@only_airflow_3
def test_the_asynchronous_connection_is_derived() -> None:
    assert os.environ.get("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC") is None
    assert (settings.SQL_ALCHEMY_CONN_ASYNC or "").startswith("cockroachdb+asyncpg://airflow@")
    assert settings.async_engine is not None


@pytest.mark.parametrize(
    ("sync", "expected"),
    [
        ("cockroachdb://u@h:26257/d", "cockroachdb+asyncpg://u@h:26257/d"),
        ("cockroachdb+psycopg2://u:p%40ss@h/d", "cockroachdb+asyncpg://u:p%40ss@h/d"),
        ("cockroachdb://u@h/d?sslmode=verify-full", "cockroachdb+asyncpg://u@h/d?ssl=verify-full"),
    ],
)
def test_a_url_is_translated_for_asyncpg(sync: str, expected: str) -> None:
    assert to_asyncpg(sync) == expected


def test_a_url_that_asyncpg_may_not_understand_is_refused_without_its_password() -> None:
    with pytest.raises(ValueError, match="sslrootcert") as error:
        to_asyncpg("cockroachdb://u:secret@h/d?sslmode=verify-full&sslrootcert=/ca.crt")
    assert "secret" not in str(error.value)


def test_the_database_shell_connects_where_airflow_does() -> None:
    environment = psql_environment(make_url("cockroachdb://u:p@h/d?sslmode=verify-full&sslrootcert=/ca.crt"))
    assert (
        environment.items()
        >= {
            "PGHOST": "h",
            "PGPORT": "26257",
            "PGUSER": "u",
            "PGPASSWORD": "p",
            "PGDATABASE": "d",
            "PGSSLMODE": "verify-full",
            "PGSSLROOTCERT": "/ca.crt",
        }.items()
    )


@pytest.mark.proves("db-shell")
def test_the_database_shell_is_psql(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from airflow.cli.commands import db_command
    from airflow.utils import process_utils

    class NoTerminal(Exception):
        pass

    def refuse(stream: object) -> None:
        raise NoTerminal

    # The first thing that the shell needs; who gets there has found out what to run.
    monkeypatch.setattr(process_utils.termios, "tcgetattr", refuse)
    with caplog.at_level("INFO"), pytest.raises(NoTerminal):
        db_command.shell(Namespace())
    assert "Executing cmd: psql" in caplog.text


@pytest.mark.proves("celery-results")
def test_celerys_result_tables_get_their_ids_from_the_database() -> None:
    from celery.backends.database.models import Task, TaskSet

    for model in (Task, TaskSet):
        created = sql(sa.schema.CreateTable(model.__table__))
        assert "id SERIAL NOT NULL" in created


@only_airflow_3
@pytest.mark.proves("connections")
def test_airflow_connects_with_what_repeats_transactions() -> None:
    assert settings._get_connect_args("sync")["connection_factory"] is ReplayingConnection


@only_airflow_3
def test_connections_repeat_their_transactions_and_ask_for_small_ids() -> None:
    arguments = connect_arguments("cockroachdb://u@h/d", {"connect_timeout": 3})
    assert arguments["connection_factory"] is ReplayingConnection
    assert arguments["options"] == "-c serial_normalization=sql_sequence_cached"
    assert arguments["connect_timeout"] == 3


def test_what_the_operator_chose_for_connections_stays() -> None:
    assert "options" not in connect_arguments("cockroachdb://u@h/d?options=-c%20x%3Dy", {})
    assert connect_arguments("cockroachdb://u@h/d", {"options": "mine"})["options"] == "mine"


@pytest.mark.parametrize("url", ["postgresql://u@h/d", "cockroachdb+psycopg://u@h/d"])
def test_other_drivers_connect_as_they_do(url: str) -> None:
    assert connect_arguments(url, {}) == {}


@only_airflow_3
@pytest.mark.proves("ids")
def test_the_id_of_a_row_is_asked_for_before_it_is_inserted() -> None:
    from airflow.models.log import Log

    inserted = sql(sa.insert(Log).values(event="x"))
    assert "RETURNING" not in inserted
    assert "id" in inserted.partition("VALUES")[0]


@only_airflow_3
@pytest.mark.proves("ids")
def test_no_table_of_airflow_makes_an_id_while_it_inserts() -> None:
    """Those that Airflow has imported before the fixes, too: its configuration imports that of connections."""
    from airflow.models import import_all_models
    from airflow.models.base import Base

    import_all_models()
    makes_ids = [t for t in Base.metadata.tables.values() if t._autoincrement_column is not None]
    first = {t.name: next(c.name for c in t.columns if not c.primary_key) for t in makes_ids}
    assert {"connection", "dag_run", "log"} <= first.keys()
    returning = {t.name for t in makes_ids if "RETURNING" in sql(sa.insert(t).values({first[t.name]: None}))}
    assert returning == set()
