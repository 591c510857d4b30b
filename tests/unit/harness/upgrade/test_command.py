"""`itest upgrade`: what is asked for is checked first, content is what git says, the container can reach nothing."""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest
from upgrade_facts import EMPTY

from harness import cli
from harness.content import ContentError
from harness.images import ImageError
from harness.prepare import OptionError, Options
from harness.upgrade import air_rules, collect, command, sides, snapshot
from harness.upgrade.facts import FactsError, Questions, parse
from harness.upgrade.findings import Assessment, Finding, Severity, Side
from harness.upgrade.snapshot import Snapshot

CONTENT = Snapshot("the test's", {"dags/a.py": b"import this\n", "plugins/operators/b.py": b""})


def assessed(severity: Severity) -> Assessment:
    side = Side("3.2.2", "i", "sha256:1", "3.2.2", "3.11.9")
    return Assessment(side, side, "x", (Finding(severity, "dags", "d", "is gone"),))


@pytest.mark.parametrize(
    ("severity", "options", "code"),
    [
        (Severity.NOTE, ["--strict"], 0),
        (Severity.DEGRADES, [], 0),
        (Severity.DEGRADES, ["--strict"], 1),
        (Severity.BREAKS, [], 2),
        (Severity.UNKNOWN, [], 3),
    ],
)
def test_the_verdict_is_the_exit_code_and_reports_are_written(
    severity: Severity, options: list[str], code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "_assess", lambda arguments: assessed(severity))
    files = [f"--{kind}={tmp_path / kind}" for kind in ("json", "junit", "html")]
    assert cli.main(["upgrade", "--static", "--from", "3.2.2", *files, *options]) == code
    assert json.loads((tmp_path / "json").read_text())["findings"][0]["subject"] == "d"
    assert "<testsuite " in (tmp_path / "junit").read_text()
    assert (tmp_path / "html").read_text().startswith("<!doctype html>")


def test_a_report_that_cannot_be_written_is_told_before_anything_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "_assess", lambda arguments: pytest.fail("was done"))
    missing = tmp_path / "no" / "x.json"
    assert cli.main(["upgrade", "--static", "--from", "3.2.2", "--json", str(missing)]) == 3
    assert str(missing) in capsys.readouterr().err


def test_a_version_without_a_lock_is_told_with_those_that_have_one() -> None:
    with pytest.raises(ImageError, match=r"no lock for Airflow 9\.9\.9, only for .*3\.2\.2, 3\.3\.2"):
        sides.image("9.9.9", Options())


def test_settings_are_read_and_a_wrong_line_is_named(tmp_path: Path) -> None:
    file = tmp_path / "production.env"
    file.write_text("# production\n\nAIRFLOW__CORE__A=1\nexport AIRFLOW__CORE__B='x=y'\n")
    assert command.read_settings(file) == {"AIRFLOW__CORE__A": "1", "AIRFLOW__CORE__B": "x=y"}
    file.write_text("AIRFLOW__CORE__A=1\nno setting\n")
    with pytest.raises(OptionError, match=r"production\.env:2"):
        command.read_settings(file)
    with pytest.raises(OptionError, match="cannot be read"):
        command.read_settings(tmp_path / "missing")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    def git(*arguments: str) -> None:
        identity = ("-c", "user.name=t", "-c", "user.email=t@localhost")
        subprocess.run(["git", *identity, *arguments], cwd=tmp_path, check=True, capture_output=True)

    (tmp_path / "content" / "dags").mkdir(parents=True)
    (tmp_path / "content" / "README.md").write_text("not for pods")
    (tmp_path / "content" / "dags" / "a.py").write_text("first")
    git("init", "-q")
    git("add", "-A")
    git("commit", "-qm", "first")
    (tmp_path / "content" / "dags" / "a.py").write_text("second")
    return tmp_path


def test_content_is_the_working_trees_or_a_revisions(repository: Path) -> None:
    assert snapshot.take(repository, None).files == {"dags/a.py": b"second"}
    assert snapshot.take(repository, "HEAD").files == {"dags/a.py": b"first"}
    assert snapshot.take(repository, None).digest != snapshot.take(repository, "HEAD").digest
    with pytest.raises(ContentError, match="no revision 'nope'"):
        snapshot.take(repository, "nope")


def test_content_without_dags_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ContentError, match="holds no dags"):
        snapshot.folder(tmp_path, "the folder")
    with pytest.raises(ContentError, match="no folder"):
        snapshot.folder(tmp_path / "missing", "the folder")


def test_the_container_has_no_network_and_no_privileges_and_writes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(collect.engine, "docker_cli", lambda: "docker")
    made = " ".join(collect.command("name", "image", False))
    for option in ("--network none", "--read-only", "--cap-drop ALL", "no-new-privileges", "--user 50000:0"):
        assert option in made
    assert "--volume" not in made
    assert "--mount" not in made


def test_the_container_is_given_probe_content_and_questions() -> None:
    questions = Questions(classes=["a.B"], dags={})
    with tarfile.open(fileobj=io.BytesIO(collect.archive(CONTENT, questions))) as archive:
        names = archive.getnames()
    assert {
        "opt/airflow/content/dags/a.py",
        "tmp/upgrade/probe/__main__.py",
        "tmp/upgrade/questions.json",
    } <= set(names)


def test_facts_are_kept_by_image_and_content_but_not_when_a_section_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collect, "CACHE", tmp_path)
    told: list[dict[str, Any]] = []

    def run(image: str, content: Snapshot, questions: object) -> dict[str, Any]:
        told.append({**EMPTY, "failed": {"schema": "no"} if image == "broken" else {}})
        return told[-1]

    monkeypatch.setattr(collect, "_run", run)
    other = Snapshot("other", {**CONTENT.files, "dags/c.py": b""})
    for content in (CONTENT, CONTENT, other):
        collect.facts("image", "sha256:1", content)
    assert len(told) == 2
    collect.facts("image", "sha256:2", CONTENT)
    collect.facts("image", "sha256:1", CONTENT, fresh=True)
    assert len(told) == 4
    for _ in range(2):
        collect.facts("broken", "sha256:3", CONTENT)
    assert len(told) == 6


def test_facts_of_another_shape_are_refused() -> None:
    with pytest.raises(FactsError, match=r"old\.json holds no facts of format"):
        parse({"format": 0}, "old.json")
    with pytest.raises(FactsError, match=r"lacks .*triggers"):
        parse({"format": EMPTY["format"]}, "image")


def test_ruff_finds_what_airflow_removed_and_the_upgrade_decides_whether_that_is_new() -> None:
    text = b"from airflow import DAG\nfrom airflow.datasets import Dataset\nDAG(schedule_interval='@daily')\n"
    violations = air_rules.look(Snapshot("the test's", {"dags/a.py": text}))
    assert {v["code"] for v in violations} >= {"AIR301"}
    to_three = air_rules.judge(violations, "2.11.2", "3.3.2")
    assert any(f.severity is Severity.BREAKS and f.where == ("dags/a.py:3",) for f in to_three)
    assert {f.severity for f in air_rules.judge(violations, "3.2.2", "3.3.2")} == {Severity.NOTE}
    assert not air_rules.judge(violations, "2.10.0", "2.11.2")
