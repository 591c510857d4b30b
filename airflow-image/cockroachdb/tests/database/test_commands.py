"""Airflow's command line on a live database."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
import sqlalchemy as sa
from airflow import settings
from support import only_airflow_3, run_python

DAG = """
from airflow.sdk import dag, task


@dag(schedule=None)
def commanded():
    @task
    def only():
        return 1

    only()


commanded()
"""


@pytest.fixture(scope="module", autouse=True)
def migrated(database: str) -> None:
    """All of these need the schema."""


COMMANDS = """
import json, sys
from airflow.cli import cli_parser
parser = cli_parser.get_parser()
for words in json.loads(sys.stdin.read()):
    print(SEPARATOR)
    arguments = parser.parse_args(words)
    arguments.func(arguments)
"""
SEPARATOR = "---- command ----"


def succeed(*commands: str, **environment: str) -> list[str]:
    """Standard output of each of these commands of Airflow's, all of which have to succeed in one process."""
    words = json.dumps([shlex.split(command) for command in commands])
    ran = run_python(COMMANDS.replace("SEPARATOR", repr(SEPARATOR)), words, **environment)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout.split(SEPARATOR)[1:]


def test_a_variable_is_set_read_and_deleted() -> None:
    said = succeed(
        "variables set commanded first",
        "variables set commanded second",
        "variables get commanded",
        "variables delete commanded",
        "variables list",
    )
    assert said[2].split()[-1] == "second"
    assert "commanded" not in said[4]


def test_a_connection_is_added_listed_and_deleted() -> None:
    said = succeed(
        "connections add commanded --conn-uri http://u:p@h:1/x",
        "connections list --output json",
        "connections delete commanded",
        "connections list --output json",
    )
    assert "commanded" in said[1]
    assert "commanded" not in said[3]


@only_airflow_3
def test_a_dag_is_written_listed_and_run(tmp_path: Path) -> None:
    (tmp_path / "commanded.py").write_text(DAG)
    said = succeed(
        "dags reserialize",
        "dags list --output json",
        "tasks list commanded",
        "dags test commanded",
        AIRFLOW__CORE__DAGS_FOLDER=str(tmp_path),
        AIRFLOW__CORE__LOAD_EXAMPLES="False",
    )
    assert "commanded" in said[1]
    assert "only" in said[2]
    with settings.engine.connect() as connection:
        found = connection.execute(sa.text("SELECT state FROM dag_run WHERE dag_id = 'commanded'"))
        assert [state for (state,) in found] == ["success"]


def test_old_rows_are_cleaned_and_archived() -> None:
    with settings.engine.begin() as connection:
        connection.execute(
            sa.text("INSERT INTO log (event, dttm) VALUES ('ancient', '2001-01-01 00:00:00+00')")
        )
    succeed("db clean --clean-before-timestamp 2002-01-01 --tables log --yes")
    with settings.engine.connect() as connection:
        assert connection.scalar(sa.text("SELECT count(*) FROM log WHERE event = 'ancient'")) == 0
        archived = sa.inspect(connection).get_table_names()
    assert [name for name in archived if name.startswith("_airflow_deleted__log")]
    succeed("db drop-archived --yes")


def test_the_database_shell_reaches_the_database() -> None:
    # The command itself wants a terminal; what it runs is psql with this environment.
    shell = (
        "import subprocess, sys\n"
        "from airflow import settings\n"
        "from airflow_cockroachdb.fixes.db_shell import psql_environment\n"
        "environment = psql_environment(settings.engine.url)\n"
        "sys.exit(subprocess.run(['psql', '-Atc', 'SELECT 6 * 7'], env=environment).returncode)"
    )
    asked = run_python(shell)
    assert asked.returncode == 0, asked.stderr
    assert asked.stdout.split()[-1] == "42"
