"""`itest upgrade` with runs in flight, on images that differ by what was seeded: each breakage is caught and named."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from docker_cli import Docker

from harness import cli
from harness.prepare import Options
from harness.upgrade import sides
from harness.upgrade.rehearsal.specimens import OWN

pytestmark = [pytest.mark.itest, pytest.mark.slow]
SEEDS = Path(__file__).parent / "upgrade" / "seeds"
VERSIONS = {"old": "3.2.2", "new": "3.3.2"}
DOCKERFILE = """\
ARG IMAGE
FROM ${IMAGE}
COPY --chown=50000:0 . /tmp/site
RUN python -c "import shutil, sysconfig as s; shutil.copytree('/tmp/site', s.get_path('purelib'), dirs_exist_ok=True)"
"""

Report = dict[str, Any]


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The two versions, each with what only it has."""
    docker = Docker("upgrade-rehearsal")
    made: dict[str, str] = {}
    try:
        for side, version in VERSIONS.items():
            dockerfile = tmp_path_factory.mktemp(side) / "Dockerfile"
            dockerfile.write_text(DOCKERFILE)
            made[side] = f"itest/upgrade-rehearsal:{side}-{uuid.uuid4().hex[:8]}"
            base = sides.image(version, Options.from_environment())
            options = ("--network=none", f"--build-arg=IMAGE={base}", "-f", str(dockerfile), "-t", made[side])
            docker("build", "-q", *options, str(SEEDS / side))
        yield made
    finally:
        for reference in made.values():
            docker("rmi", reference, check=False)


@pytest.fixture(scope="module")
def report(images: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Report:
    """What a rehearsal of the seeded runs, and of those that it has itself, has found."""
    written = tmp_path_factory.mktemp("report") / "upgrade.json"
    runs = f"all,{SEEDS}"
    asked = [
        "upgrade",
        "--from",
        images["old"],
        "--to",
        images["new"],
        "--runs",
        runs,
        "--json",
        str(written),
    ]
    assert cli.main(asked) == 2
    found: Report = json.loads(written.read_text())
    return found


def breakages(report: Report, subject: str) -> list[Report]:
    return [f for f in report["findings"] if f["severity"] == "breaks" and f["subject"].startswith(subject)]


def test_a_module_that_the_new_image_lacks_is_named_with_the_file_that_imports_it(report: Report) -> None:
    (found,) = breakages(report, "dags/seeded_module.py")
    assert "airflow.providers.standard.seeded" in found["reason"]
    assert breakages(report, "seeded_module")


def test_a_value_that_the_new_version_cannot_read_is_named(report: Report) -> None:
    (found,) = breakages(report, "seeded_xcom")
    assert "read is failed; ModuleNotFoundError" in found["reason"]
    assert "airflow.providers.standard.seeded_value" in found["reason"]


def test_a_trigger_that_moved_is_named(report: Report) -> None:
    (found,) = breakages(report, "seeded_trigger")
    assert "airflow.providers.standard.triggers.former" in found["reason"] + found["detail"]
    assert "wait is " in found["reason"]


def test_what_nothing_was_done_to_ends_as_it_does_in_every_rehearsal(report: Report) -> None:
    verdicts = {row["specimen"]: row["verdict"] for row in report["rows"]}
    others = {name: verdict for name, verdict in verdicts.items() if verdict != "survives"}
    assert len(verdicts) == len(OWN) + 3
    assert others == {
        # Killed at the end of the workers' grace period, and tried again.
        "running": "degraded",
        # All pods stop at once: when it has ended, there is no API that it could tell.
        "finishing": "breaks",
        "seeded_module": "breaks",
        "seeded_xcom": "breaks",
        "seeded_trigger": "breaks",
    }


def test_what_had_ended_before_is_shown_as_it_was(report: Report) -> None:
    assert [f for f in report["findings"] if f["check"] == "history" and f["severity"] != "note"] == []
