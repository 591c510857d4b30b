"""What a fresh migration sends holds nothing that is risky on CockroachDB and that nobody has reviewed.

The stand-in with Airflow's schema, from which every mirror starts, still has the classes of statements that made it. So
each session of integration tests audits them too; this test needs no mirror.
"""

from __future__ import annotations

import json

import pytest
from conftest import Tell
from docker_cli import Docker

from harness import audit, prepare, statement_log
from harness.database import USER
from harness.prepare import Options
from harness.services import database
from harness.waits import eventually

pytestmark = pytest.mark.itest


def test_every_risky_statement_of_a_migration_was_reviewed(docker: Docker, tell: Tell) -> None:
    mirror = prepare.decide(Options.from_environment())
    if mirror.database != "stand-in":
        pytest.skip("the stand-in records statements")
    prepare.obtain(mirror)
    name = docker.start("migrated", mirror.references[database.TEMPLATE])
    psql = ("exec", name, "psql", "-U", USER, "-d", "airflow", "-Atqc")
    eventually(lambda: docker(*psql, "SELECT 1", check=False).returncode == 0, "the stand-in to answer", 60)
    docker(*psql, statement_log.EXTENSION)
    listed = docker(*psql, f"SELECT json_agg(sent.query) FROM ({statement_log.QUERY}) AS sent").stdout
    verdict = audit.judge(json.loads(listed), audit.reviewed())
    tell(verdict.lines())
    assert verdict.statements > 100
    assert not verdict.new
