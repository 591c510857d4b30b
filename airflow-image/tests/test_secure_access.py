"""Airflow reaches a database with TLS and a password as a secure topology tells it to: both drivers, both kept to it.

The server is the stand-in with a certificate; what a CockroachDB does to the same clients no test here can say.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme
from docker_cli import Docker

from harness.prepare import Prepared
from harness.services import cockroach, database
from harness.topology import fill
from harness.waits import eventually

pytestmark = pytest.mark.itest
PASSWORD = "a-password_of-this-test"
START = (
    "cp /tmp/tls/* $PGDATA/ && chmod 600 $PGDATA/server.key && exec postgres -c ssl=on"
    " -c ssl_cert_file=server.crt -c ssl_key_file=server.key -c hba_file=$PGDATA/tls_hba.conf"
)
ASK = """
import asyncio
from airflow import settings
from sqlalchemy import text

ENCRYPTED = text("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")

async def ask():
    async with settings.async_engine.connect() as connection:
        print("asyncpg encrypted:", await connection.scalar(ENCRYPTED))
    await settings.async_engine.dispose()

with settings.engine.connect() as connection:
    print("psycopg2 encrypted:", connection.scalar(ENCRYPTED))
asyncio.run(ask())
"""


@dataclass
class Secure:
    """A stand-in that takes nobody without TLS and a password."""

    docker: Docker
    network: str
    image: str

    def airflow(
        self, authority: trustme.CA, folder: Path, password: str = PASSWORD
    ) -> subprocess.CompletedProcess[str]:
        """Ask it from an Airflow container that trusts `authority`."""
        access = database.SECURE
        placeholders = {"ITEST_DATABASE_PASSWORD": password}
        told = {
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": fill(access.url, placeholders),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC": fill(access.async_url, placeholders),
            "CONNECTION_CHECK_MAX_COUNT": "0",
            **access.environment,
        }
        trusted = folder / cockroach.CERTIFICATES.strip("/")
        trusted.mkdir(parents=True)
        authority.cert_pem.write_to_path(trusted / "ca.crt")
        environment = (f"--env={name}={value}" for name, value in told.items())
        options = (f"--network={self.network}", "--entrypoint=python", *environment)
        name = self.docker.create(f"airflow-{folder.name}", self.image, "-c", ASK, options=options)
        self.docker("cp", str(trusted), f"{name}:/")
        return self.docker("start", "--attach", name, check=False)


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def secure(
    docker: Docker, prepared: Prepared, airflow_image: str, authority: trustme.CA, tmp_path: Path
) -> Secure:
    if prepared.database != "stand-in":
        pytest.skip("the server's side is set up as PostgreSQL's")
    files = tmp_path / "tls"
    files.mkdir()
    issued = authority.issue_cert(database.NAME)
    issued.cert_chain_pems[0].write_to_path(files / "server.crt")
    issued.private_key_pem.write_to_path(files / "server.key")
    (files / "server.key").chmod(0o644)  # read by another user, who then closes it
    (files / "tls_hba.conf").write_text("local all all trust\nhostssl all all all scram-sha-256\n")
    network = docker.network()
    options = (f"--network={network}", f"--network-alias={database.NAME}")
    name = docker.create(database.NAME, prepared.references["database"], "sh", "-c", START, options=options)
    docker("cp", str(files), f"{name}:/tmp/")
    docker("start", name)
    psql = ("exec", name, "psql", "-Atqc")
    eventually(lambda: docker(*psql, "SELECT 1", check=False).returncode == 0, "the stand-in to answer", 60)
    docker(*psql, f"ALTER ROLE {cockroach.USER} PASSWORD '{PASSWORD}'")
    return Secure(docker, network, airflow_image)


def test_both_drivers_reach_it(secure: Secure, authority: trustme.CA, tmp_path: Path) -> None:
    asked = secure.airflow(authority, tmp_path / "known")
    assert asked.returncode == 0, asked.stderr
    assert "psycopg2 encrypted: True" in asked.stdout
    assert "asyncpg encrypted: True" in asked.stdout


def test_a_server_of_another_authority_is_not_spoken_to(secure: Secure, tmp_path: Path) -> None:
    asked = secure.airflow(trustme.CA(), tmp_path / "unknown")
    assert asked.returncode != 0
    assert "certificate verify failed" in asked.stderr


def test_a_wrong_password_is_refused(secure: Secure, authority: trustme.CA, tmp_path: Path) -> None:
    asked = secure.airflow(authority, tmp_path / "wrong", password="another")
    assert asked.returncode != 0
    assert "password authentication failed" in asked.stderr
