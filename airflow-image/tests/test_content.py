"""The content's own tests, run inside the image: the same Airflow, Python and packages as in production."""

from __future__ import annotations

import pytest
from docker_cli import Docker

from harness import prepare
from harness.paths import ROOT
from harness.prepare import Prepared

pytestmark = pytest.mark.itest
NEEDED = ("content", "tests", "scripts")


def test_the_content_does_what_its_tests_say(docker: Docker, tests_image: str) -> None:
    run_content_tests(docker, tests_image)


@pytest.mark.slow
def test_the_same_content_does_it_on_airflow_2_11(docker: Docker, prepared: Prepared) -> None:
    older = prepare.with_images(prepared, ("airflow-tests",), airflow="2.11.2")
    run_content_tests(docker, older.references["airflow-tests"])


def run_content_tests(docker: Docker, image: str) -> None:
    """Run tests/content/airflow in a container of `image` without a network, on a copy of the content.

    On every core: each process has an Airflow of its own, and nothing else to share.
    """
    name = docker.create(
        "content",
        image,
        *("-m", "pytest", "--numprocesses=auto", "--color=no", "-p", "no:cacheprovider"),
        "tests/content/airflow",
        options=(
            "--entrypoint=python",
            "--workdir=/work",
            "--network=none",
            "--env=PYTHONDONTWRITEBYTECODE=1",
            "--env=PYTHONPATH=/work/content/plugins:/work/content/shared:/work/content/dags",
        ),
    )
    for folder in NEEDED:
        docker("cp", f"{ROOT / folder}/.", f"{name}:/work/{folder}")
    ran = docker("start", "--attach", name, check=False)
    assert ran.returncode == 0, ran.stdout
    assert " passed" in ran.stdout
