"""What would be told to a real CockroachDB, held against a `cockroach` that only writes it down."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from harness import images
from harness.catalog import BUILDABLE, build
from harness.images import ImageError
from harness.paths import CACHE, ROOT
from harness.prepare import OptionError, Options, percent
from harness.services import cockroach
from harness.services.database import FAILURES_SETTING
from harness.topology import TopologyError

FAKE = """#!/usr/bin/env python3
import json, pathlib, sys
with pathlib.Path(sys.argv[0]).with_name("told.jsonl").open("a") as told:
    told.write(json.dumps(sys.argv[1:]) + "\\n")
known = {"start", "start-single-node", "init", "sql", "cert"}
sys.exit(sys.argv[1] not in known or "--insecure" in sys.argv and any("--certs-dir" in a for a in sys.argv))
"""


@pytest.fixture
def fake(tmp_path: Path) -> Path:
    """A `cockroach` that takes the commands of the documentation and writes down its arguments."""
    program = tmp_path / "cockroach"
    program.write_text(FAKE)
    program.chmod(0o755)
    return program


def tell(fake: Path, *command: str) -> list[str]:
    """Run the fake; what it was told, as it saw it."""
    subprocess.run([str(fake), *command], check=True)
    told = fake.with_name("told.jsonl").read_text().splitlines()
    return [str(word) for word in json.loads(told[-1])]


def test_one_node_is_in_memory_and_set_up_once_it_answers(fake: Path) -> None:
    node, settings = cockroach.single_node()
    assert tell(fake, *node.command)[:3] == ["start-single-node", "--insecure", "--store=type=mem,size=0.25"]
    told = tell(fake, *settings.command)
    assert told[:3] == ["sql", "--insecure", "--host=cockroachdb:26257"]
    assert "--execute=CREATE DATABASE IF NOT EXISTS airflow" in told
    assert "--execute=SET CLUSTER SETTING sql.stats.automatic_collection.enabled = false" in told
    assert settings.one_shot
    assert [after.condition for after in settings.after] == ["healthy"]


def test_three_nodes_know_each_other_and_are_joined_once(fake: Path) -> None:
    *nodes, init, settings = cockroach.three_nodes()
    names = [node.name for node in nodes]
    for node in nodes:
        told = tell(fake, *node.command)
        assert told[0] == "start"
        assert f"--join={','.join(f'{name}:26257' for name in names)}" in told
        assert f"--advertise-addr={node.name}:26257" in told
    assert tell(fake, *init.command) == ["init", "--insecure", "--host=cockroachdb:26257"]
    assert {after.service for after in init.after} == set(names)
    assert [after.service for after in settings.after] == [init.name]


def test_the_mirror_migrates_once_the_cluster_is_set_up() -> None:
    topology = build("cockroach3", "cockroachdb")
    assert cockroach.SETTINGS in [after.service for after in topology.service("migrate").after]


def test_the_stand_in_is_no_cluster() -> None:
    assert [kind for name, kind in BUILDABLE if name == "cockroach3"] == ["cockroachdb"]
    with pytest.raises(TopologyError, match="--require-cockroachdb"):
        build("cockroach3", "stand-in")


def test_with_certificates_nothing_is_insecure(fake: Path) -> None:
    for command in cockroach.certificates("/certs", ("cockroachdb", "localhost")):
        assert "--certs-dir=/certs" in tell(fake, *command)
    for service in cockroach.three_nodes():
        told = tell(fake, *cockroach.secure(service.command, "/certs"))
        assert "--insecure" not in told
        assert "--certs-dir=/certs" in told


def test_a_password_cannot_end_its_literal() -> None:
    assert cockroach.set_password("it's") == "ALTER USER airflow WITH PASSWORD 'it''s'"


def test_a_template_is_a_backup_and_a_copy_is_restored_from_it() -> None:
    assert cockroach.backup("airflow", "template") == "BACKUP DATABASE airflow INTO 'nodelocal://1/template'"
    assert cockroach.restore("airflow", "template", "copy") == (
        "RESTORE DATABASE airflow FROM LATEST IN 'nodelocal://1/template' WITH new_db_name = 'copy'"
    )


def test_an_image_is_made_around_a_binary(fake: Path) -> None:
    staged = images.stage_binary(fake, CACHE)
    plan = images.plan(("database",), registry=False, database="cockroachdb", binary=staged)
    assert plan["database"].how == "built"
    assert plan["database"].base == "debian"
    assert (ROOT / plan["database"].context / "cockroach").read_text() == FAKE
    fake.write_text(FAKE + "# another version\n")
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
