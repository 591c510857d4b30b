"""What would be told to a real CockroachDB, and which image it would be made of."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest

from harness import images
from harness.catalog import BUILDABLE, build
from harness.database import Database
from harness.images import ImageError
from harness.paths import CACHE, ROOT
from harness.prepare import OptionError, Options, Prepared, percent
from harness.services import cockroach, database
from harness.services.cockroach import Cluster
from harness.services.database import FAILURES_SETTING
from harness.settings import StackSettings
from harness.topology import After, Healthcheck, TopologyError, fill

NO_CHECK = Healthcheck((), "")

FAKE = ROOT / "airflow-image" / "tests" / "cockroach" / "cockroach"
"""Runs in containers too (`airflow-image/tests/test_cockroach_cluster.py`), where it is started for real."""


@pytest.fixture
def fake(tmp_path: Path) -> Path:
    """A copy of the fake `cockroach`, as a user's own program."""
    program = tmp_path / "cockroach"
    program.write_bytes(FAKE.read_bytes())
    program.chmod(0o755)
    return program


def test_one_node_is_in_memory_and_set_up_once_it_answers() -> None:
    node, settings = Cluster().services()
    assert node.command[:3] == ("start-single-node", "--insecure", "--store=type=mem,size=0.25")
    assert settings.command[:3] == ("sql", "--insecure", "--host=cockroachdb:26257")
    assert "--execute=CREATE DATABASE IF NOT EXISTS airflow" in settings.command
    assert "--execute=SET CLUSTER SETTING sql.stats.automatic_collection.enabled = false" in settings.command
    assert settings.one_shot
    assert settings.after == (After("cockroachdb", "healthy"),)


def test_three_nodes_know_each_other_and_are_joined_once() -> None:
    *nodes, init, settings = Cluster(3).services()
    names = [node.name for node in nodes]
    assert len(names) == 3
    for node in nodes:
        assert node.command[0] == "start"
        assert f"--join={','.join(f'{name}:26257' for name in names)}" in node.command
        assert f"--advertise-addr={node.name}:26257" in node.command
    assert init.command == ("init", "--insecure", "--host=cockroachdb:26257")
    assert {after.service for after in init.after} == set(names)
    assert [after.service for after in settings.after] == [init.name]


def test_the_mirror_starts_once_the_cluster_is_set_up() -> None:
    topology = build("cockroach3", "cockroachdb")
    assert After(cockroach.SETTINGS, "completed") in topology.service("scheduler").after
    empty = build("cockroach3", "cockroachdb", template=False)
    assert After(cockroach.SETTINGS, "completed") in empty.service("migrate").after


@pytest.mark.parametrize("name", ["cockroach3", "cockroach3-secure"])
def test_the_stand_in_is_no_cluster(name: str) -> None:
    assert [kind for built, kind in BUILDABLE if built == name] == ["cockroachdb"]
    with pytest.raises(TopologyError, match="--require-cockroachdb"):
        build(name, "stand-in")


def test_with_certificates_nothing_is_insecure_and_everybody_has_what_he_needs() -> None:
    topology = build("cockroach3-secure", "cockroachdb")
    for service in topology.services():
        if service.image != database.TEMPLATE:
            continue
        assert "insecure" not in " ".join((*service.command, *(service.healthcheck or NO_CHECK).command))
        assert f"--certs-dir={cockroach.CERTIFICATES}" in service.command
        assert cockroach.CERTIFICATES in [mount.target for mount in service.mounts]
    for pod in topology.pods:
        assert pod.main.environment["PGSSLROOTCERT"] == cockroach.AUTHORITY
        assert "sslmode=verify-full" in pod.main.environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]
        assert cockroach.CERTIFICATES_MOUNT in pod.main.mounts
        assert cockroach.AUTHORITY_KEY_MOUNT not in pod.main.mounts
    assert "ITEST_DATABASE_PASSWORD" in topology.settings()


@pytest.mark.parametrize(
    ("name", "user", "password", "sslmode"),
    [("cockroach3-secure", "itest", "secret", "require"), ("cockroach3", "root", None, "disable")],
)
def test_the_driver_logs_in_as_the_cluster_asks(
    name: str, user: str, password: str | None, sslmode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: dict[str, object] = {}

    def connect(**arguments: object) -> None:
        told.update(arguments)
        raise psycopg.OperationalError("nobody there")

    monkeypatch.setattr(psycopg, "connect", connect)
    options = Options(topology=name, database="cockroachdb")
    prepared = Prepared(options, build(name, "cockroachdb"), "cockroachdb", False, {})
    known, secret = prepared.login
    driver = Database("gateway", 1, known, fill(secret, {"ITEST_DATABASE_PASSWORD": "secret"}))
    with pytest.raises(psycopg.OperationalError):
        driver.run("SELECT 1")
    assert (told["user"], told["password"], told["sslmode"]) == (user, password, sslmode)
    if password:
        assert f"GRANT admin TO {user}" in cockroach.SECURE_USERS


def test_a_stacks_password_needs_no_quoting_in_a_url_or_a_statement() -> None:
    password = StackSettings.generate("s").placeholders["ITEST_DATABASE_PASSWORD"]
    assert len(password) >= 32
    assert quote(password, safe="") == password


def test_a_template_is_a_backup_and_a_stack_restores_it() -> None:
    [kept] = database.keep("cockroachdb", After("migrate", "completed"))
    assert kept.command[-1] == "--execute=BACKUP DATABASE airflow INTO 'nodelocal://1/airflow'"
    assert database.keep("stand-in", After("migrate", "completed")) == ()
    for nodes in (1, 3):
        made = database.database("cockroachdb", nodes=nodes)
        assert {service.image for service in made} == {database.TEMPLATE}
        told = made[-1].command
        assert "--execute=RESTORE DATABASE airflow FROM LATEST IN 'nodelocal://1/airflow'" in told
        assert not [word for word in told if "CREATE DATABASE" in word]
        for node in made[:nodes]:
            assert f"--external-io-dir={cockroach.TEMPLATE_FOLDER}" in node.command


def test_an_image_is_made_around_a_binary(fake: Path) -> None:
    staged = images.stage_binary(fake, CACHE)
    plan = images.plan(("database",), registry=False, database="cockroachdb", binary=staged)
    assert plan["database"].how == "built"
    assert plan["database"].base == "debian"
    assert (ROOT / plan["database"].context / "cockroach").read_bytes() == FAKE.read_bytes()
    fake.write_bytes(FAKE.read_bytes() + b"# another version\n")
    other = images.plan(
        ("database",), registry=False, database="cockroachdb", binary=images.stage_binary(fake, CACHE)
    )
    assert other["database"].reference != plan["database"].reference


def test_what_is_no_program_is_no_binary(tmp_path: Path) -> None:
    (tmp_path / "cockroach").write_text("not executable")
    for path in (tmp_path, tmp_path / "cockroach", tmp_path / "missing"):
        with pytest.raises(ImageError, match="COCKROACH_BINARY"):
            images.stage_binary(path, CACHE)


def test_an_image_and_a_binary_are_one_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COCKROACH_IMAGE", "mine:1")
    assert Options.from_environment().given["database"] == "mine:1"
    monkeypatch.setenv("COCKROACH_BINARY", "/usr/bin/cockroach")
    with pytest.raises(OptionError, match="unset one"):
        Options.from_environment()


def test_a_template_can_be_done_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ITEST_TEMPLATE", raising=False)
    assert Options.from_environment().template
    monkeypatch.setenv("ITEST_TEMPLATE", "never")
    assert not Options.from_environment().template
    monkeypatch.setenv("ITEST_TEMPLATE", "sometimes")
    with pytest.raises(OptionError, match="auto, never"):
        Options.from_environment()


@pytest.mark.parametrize(("text", "value"), [("5%", 5), ("0.5", 0.5), ("0", 0), ("100%", 100)])
def test_a_rate_is_in_percent(text: str, value: float) -> None:
    assert percent(text) == value


@pytest.mark.parametrize("text", ["-1", "101%", "often", "", "nan"])
def test_another_rate_is_refused(text: str) -> None:
    with pytest.raises(OptionError, match="0% to 100%"):
        percent(text)


def test_the_rate_reaches_the_stand_in() -> None:
    options = Options.from_environment(failures="5%")
    topology = build("default", "stand-in", settings=options.stand_in_settings)
    assert f"{FAILURES_SETTING}=5" in topology.service("cockroachdb").command
    assert build("default", "stand-in").service("cockroachdb").command == ()
