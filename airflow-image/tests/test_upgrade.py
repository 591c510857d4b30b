"""`crdb-upgrade`: a populated database of Airflow 3.2.2 becomes one of 3.3.2, killed on the way; a run goes on."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest
from cryptography.fernet import Fernet
from docker_cli import Docker

from harness import prepare
from harness.paths import ROOT
from harness.prepare import Prepared
from harness.services import database
from harness.waits import eventually

pytestmark = [pytest.mark.itest, pytest.mark.slow]
OLD = "3.2.2"
BEYOND_INTEGER = 2**53
FILES = ROOT / "airflow-image" / "tests" / "upgrade"
FOLDER = "/tmp/upgrade"
NEW_URL = database.URL.replace("/airflow?", "/airflow_new?")
# The stand-in's PostgreSQL without what makes it the stand-in.
PLAIN_POSTGRESQL = (
    "postgres",
    *("-c", "search_path=public"),
    *("-c", "shared_preload_libraries="),
    *("-c", "default_transaction_isolation=read committed"),
)
AIRFLOW = {
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database.URL,
    "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
    "AIRFLOW__CORE__FERNET_KEY": Fernet.generate_key().decode(),
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__API_AUTH__JWT_SECRET": "0123456789abcdef" * 4,
    # The API server builds the tasks' API when it is first asked, which takes longer than 5 s on a busy machine.
    "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "60",
    "CONNECTION_CHECK_MAX_COUNT": "0",
}
UPGRADE = {
    "CONNECTION_CHECK_MAX_COUNT": "0",
    "CRDB_UPGRADE_SOURCE": database.URL,
    "CRDB_UPGRADE_TARGET": NEW_URL,
    "CRDB_UPGRADE_SCRATCH": f"postgresql+psycopg2://root@scratch:{database.PORT}/airflow",
}
COUNTED = (
    "task_instance",
    "xcom",
    "trigger",
    "connection",
    "variable",
    "dag_version",
    "rendered_task_instance_fields",
)


VERSIONS = {"alembic_version", "alembic_version_fab"}
"""Tables that are the new schema's own."""


@dataclass
class Databases:
    """The containers of this test: `cockroachdb` and `scratch` answer on one network."""

    docker: Docker
    network: str

    def ask(self, query: str, name: str = "airflow") -> list[str]:
        """Lines that a query gives on the stand-in."""
        ask = (
            "exec",
            f"{self.docker.name}-{database.NAME}",
            "psql",
            "-U",
            "airflow",
            "-d",
            name,
            "-Atqc",
            query,
        )
        return self.docker(*ask).stdout.splitlines()

    def create(self, name: str, image: str, *command: str, environment: dict[str, str]) -> str:
        options = (f"--network={self.network}", *(f"--env={k}={v}" for k, v in environment.items()))
        return self.docker.create(name, image, *command, options=options)

    def airflow(self, name: str, image: str) -> str:
        """Start a whole Airflow with the DAG `waits`."""
        container = self.create(name, image, "standalone", environment=AIRFLOW)
        self.docker("cp", f"{FILES}/dags", f"{container}:/opt/airflow/content/")
        self.docker("cp", f"{FILES}/.", f"{container}:/tmp/files")
        self.docker("start", container)
        return container


@pytest.fixture
def databases(docker: Docker, prepared: Prepared) -> Databases:
    """Both databases, answering."""
    if prepared.database != "stand-in":
        pytest.skip("the scratch PostgreSQL is made of the stand-in's image")
    network = docker.network()
    for alias, command in ((database.NAME, ()), ("scratch", PLAIN_POSTGRESQL)):
        options = (f"--network={network}", f"--network-alias={alias}")
        name = docker.start(alias, prepared.references["database"], *command, options=options)
        ask = ("exec", name, "psql", "-Atqc", "SELECT 1")
        eventually(lambda ask=ask: docker(*ask, check=False).returncode == 0, f"{name} to answer", 60)
    return Databases(docker, network)


def test_an_upgrade_that_is_killed_goes_on_and_airflow_goes_on_with_a_deferred_run(
    databases: Databases, prepared: Prepared, docker: Docker, airflow_image: str
) -> None:
    old_image = prepare.with_images(prepared, ("airflow",), airflow=OLD).references["airflow"]
    populate(databases, old_image)
    then = counts(databases)
    every_table = all_counts(databases)
    assert then["task_instance"] > 5000
    assert min(then.values()) > 0, then
    databases.ask("CREATE DATABASE airflow_new")

    dry = databases.create("dry", airflow_image, *command("--dry-run"), environment=UPGRADE)
    told = docker("start", "--attach", dry).stdout
    assert f"task_instance {then['task_instance']}" in " ".join(told.split())
    assert databases.ask(
        "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'", "airflow_new"
    ) == ["0"]

    upgrade = databases.create("upgrade", airflow_image, *command("--switch"), environment=UPGRADE)
    docker("start", upgrade)
    eventually(
        lambda: len(state(docker, upgrade).get("copied", {})) > 3, "some tables to be copied", 240, 0.05
    )
    docker("kill", "--signal", "KILL", upgrade)
    killed = state(docker, upgrade)
    assert "copy the scratch database to the target" not in killed["steps"]

    went_on = docker("start", "--attach", upgrade, check=False)
    assert went_on.returncode == 0, went_on.stdout + went_on.stderr
    assert "done before: migrate the scratch database" in went_on.stdout
    report = json.loads(read(docker, upgrade, "report.json"))
    assert set(report["left"]) >= {"airflow_cockroachdb_lock", "session"}
    for table in COUNTED:
        assert report["source"][table]["count"] == report["target"][table]["count"] == then[table], table
    assert counts(databases) == then
    assert all_counts(databases, "airflow_before_upgrade") == every_table
    copied = {table: fingerprint["count"] for table, fingerprint in report["source"].items()}
    told = {**copied, **report["left"]}
    assert {table: told.get(table) for table in every_table.keys() - VERSIONS} == {
        table: count for table, count in every_table.items() if table not in VERSIONS
    }, "each row was copied or is told to be left behind"
    assert sum(told.values()) == sum(every_table[table] for table in every_table.keys() - VERSIONS)
    arrived = {table: fingerprint["count"] for table, fingerprint in report["target"].items()}
    assert {table: count for table, count in all_counts(databases).items() if table in arrived} == arrived
    assert {table: count for table, count in copied.items() if arrived.get(table) != count} == {}

    databases.airflow("new", airflow_image)
    ended = "SELECT state FROM dag_run WHERE run_id LIKE 'manual%' AND state IN ('success', 'failed')"
    (became,) = eventually(
        lambda: databases.ask(ended),
        "the deferred run to end in the new Airflow",
        480,
        describe=lambda: last_words(docker, f"{docker.name}-new"),
    )
    assert became == "success", last_words(docker, f"{docker.name}-new")
    told_by = "SELECT value FROM xcom WHERE task_id = 'after' AND run_id LIKE 'manual%'"
    assert databases.ask(told_by) == ['"went on"']


def populate(databases: Databases, image: str) -> None:
    """Let the old Airflow defer a run, stop it, and fill its database."""
    docker = databases.docker
    old = databases.airflow("old", image)
    parsed = "SELECT count(*) FROM information_schema.tables WHERE table_name = 'dag'"
    eventually(lambda: databases.ask(parsed) == ["1"], "the old Airflow to have migrated", 120)
    waits = "SELECT count(*) FROM dag WHERE dag_id = 'waits'"
    eventually(lambda: databases.ask(waits) == ["1"], "the old Airflow to have parsed a DAG", 120)
    for words in (("unpause", "waits", "-y"), ("trigger", "waits")):
        docker("exec", old, "airflow", "dags", *words)
    deferred = "SELECT count(*) FROM task_instance WHERE state = 'deferred'"
    eventually(lambda: databases.ask(deferred) == ["1"], "a task to be deferred", 120)
    docker("exec", old, "python", "/tmp/files/populate.py")
    docker("rm", "--force", old)
    # What unique_rowid() gives, where nobody has asked for sequences: PostgreSQL's INTEGER cannot hold it.
    databases.ask(f"UPDATE connection SET id = id + {BEYOND_INTEGER}")


def command(*arguments: str) -> tuple[str, ...]:
    return ("bash", "-c", f"exec crdb-upgrade --folder {FOLDER} {' '.join(arguments)}")


def counts(databases: Databases, name: str = "airflow") -> dict[str, int]:
    return {table: int(databases.ask(f"SELECT count(*) FROM {table}", name)[0]) for table in COUNTED}


def all_counts(databases: Databases, name: str = "airflow") -> dict[str, int]:
    """The rows of every table."""
    rows = "query_to_xml(format('SELECT count(*) FROM %I', table_name), false, true, '')"
    query = (
        f"SELECT table_name, (xpath('//count/text()', {rows}))[1] FROM information_schema.tables"
        " WHERE table_schema = 'public' AND table_type = 'BASE TABLE'"
    )
    return {table: int(count) for table, count in (line.split("|") for line in databases.ask(query, name))}


def last_words(docker: Docker, container: str) -> str:
    """The end of a container's log, without the password that a standalone Airflow prints."""
    lines = docker("logs", "--tail", "30", container, check=False).stdout.splitlines()
    return "\n".join(line for line in lines if "Password" not in line)


def state(docker: Docker, container: str) -> dict[str, Any]:
    """The upgrade's state as it is on disk; empty before there is one."""
    text = read(docker, container, "state.json")
    return dict(json.loads(text)) if text else {}


def read(docker: Docker, container: str, file: str) -> str:
    """A file of the upgrade's folder, also of a container that has ended; empty when there is none."""
    path = f"{FOLDER}/{file}"
    shown = docker("exec", container, "cat", path, check=False)
    if shown.returncode == 0:
        return shown.stdout
    copied = docker(
        "cp", f"{container}:{path}", "-", check=False
    ).stdout  # a tar file, with the file in plain
    return copied[copied.index("{") : copied.rindex("}") + 1] if "{" in copied else ""
