"""These tests need a database: AIRFLOW__DATABASE__SQL_ALCHEMY_CONN names an empty one they may fill."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

PLACEHOLDER = "localhost:26257"


def airflow_command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run Airflow's command line to its end; asserts nothing."""
    return subprocess.run(
        ["airflow", *arguments], capture_output=True, text=True, env=os.environ | environment, check=False
    )


@pytest.fixture(scope="session")
def database() -> str:
    """The URL of the migrated metadata database."""
    url = os.environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]
    assert PLACEHOLDER not in url, "set AIRFLOW__DATABASE__SQL_ALCHEMY_CONN to a database for these tests"
    migrated = airflow_command("db", "migrate")
    assert migrated.returncode == 0, migrated.stderr
    return url


@pytest.fixture
def session(database: str) -> Iterator[Any]:
    """A session of Airflow's own, rolled back at the end."""
    from airflow.utils.session import create_session

    with create_session() as session:
        yield session
        session.rollback()
