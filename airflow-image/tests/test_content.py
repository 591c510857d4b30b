"""The content's own tests, run inside the image: the same Airflow, Python and packages as in production."""

from __future__ import annotations

import pytest
from docker_cli import Docker

from harness.paths import ROOT

pytestmark = pytest.mark.itest
NEEDED = ("content", "tests/content", "tests/data")


def test_the_content_does_what_its_tests_say(docker: Docker, tests_image: str) -> None:
    name = docker.create(
        "content",
        tests_image,
        *("-m", "pytest", "--color=no", "-p", "no:cacheprovider", "tests/content/airflow"),
        options=(
            "--entrypoint=python",
            "--workdir=/work",
            "--network=none",
            "--env=PYTHONDONTWRITEBYTECODE=1",
            "--env=PYTHONPATH=/work/content/plugins:/work/content/shared",
        ),
    )
    for folder in NEEDED:
        docker("cp", "--archive", f"{ROOT / folder}/.", f"{name}:/work/{folder}")
    ran = docker("start", "--attach", name, check=False)
    assert ran.returncode == 0, ran.stdout
    assert " passed" in ran.stdout
