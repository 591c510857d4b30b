"""The tests of airflow-cockroachdb, run inside the image: they need the Airflow that it patches."""

from __future__ import annotations

import subprocess

import pytest
from conftest import Tell
from docker_cli import Docker

from harness.paths import ROOT
from harness.prepare import Prepared
from harness.services import database
from harness.waits import eventually

pytestmark = pytest.mark.itest
TESTS = ROOT / "airflow-image" / "cockroachdb" / "tests"


@pytest.fixture
def network(docker: Docker, prepared: Prepared) -> str:
    """A network on which an empty database answers under its usual name."""
    network = docker.network()
    image = prepared.references["database"]
    for service in database.database(prepared.database, migrated=False):
        options = (f"--network={network}", f"--network-alias={service.name}")
        if service.one_shot:
            docker.run(image, *service.command, options=options)
            continue
        name = docker.start(service.name, image, *service.command, options=options)
        ask = service.healthcheck.command if service.healthcheck else ("true",)
        eventually(
            lambda name=name, ask=ask: docker("exec", name, *ask, check=False).returncode == 0,
            what=f"{prepared.database_name} to answer",
            timeout=120,
            describe=lambda name=name: docker("logs", "--tail", "20", name, check=False).stderr,
        )
    return network


def test_every_fix_says_what_it_should(docker: Docker, tests_image: str) -> None:
    ran = pytest_inside(docker, tests_image, ("--ignore=database", "--ignore=conformance", "."))
    assert ran.returncode == 0, ran.stdout


def test_airflow_works_on_the_database(docker: Docker, tests_image: str, network: str) -> None:
    url = f"--env=AIRFLOW__DATABASE__SQL_ALCHEMY_CONN={database.URL}"
    ran = pytest_inside(docker, tests_image, ("database",), options=(f"--network={network}", url))
    assert ran.returncode == 0, ran.stdout


def test_each_fix_has_a_test_that_fails_without_it(
    docker: Docker, tests_image: str, network: str, tell: Tell
) -> None:
    options = (
        f"--network={network}",
        f"--env=AIRFLOW__DATABASE__SQL_ALCHEMY_CONN={database.URL}",
        "--env=WITHOUT_FIXES=1",
    )
    ran = pytest_inside(docker, tests_image, ("--ignore=conformance", "-m", "proves", "."), options=options)
    told = [line for line in ran.stdout.splitlines() if line.startswith("support package: ")]
    tell(told)
    assert ran.returncode == 0, ran.stdout
    assert told


def test_the_database_does_what_its_documentation_says(
    docker: Docker, tests_image: str, network: str, tell: Tell
) -> None:
    url = f"--env=AIRFLOW__DATABASE__SQL_ALCHEMY_CONN={database.URL}"
    ran = pytest_inside(docker, tests_image, ("conformance",), options=(f"--network={network}", url))
    told = [line for line in ran.stdout.splitlines() if line.startswith("conformance: ")]
    tell(told)
    assert ran.returncode == 0, ran.stdout
    assert told


def pytest_inside(
    docker: Docker, image: str, arguments: tuple[str, ...], options: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    """Run pytest in the image on a copy of the tests."""
    name = docker.create(
        "pytest",
        image,
        *("-m", "pytest", "--color=no", *arguments),
        options=("--entrypoint=python", "--workdir=/work/tests", "--env=PYTHONDONTWRITEBYTECODE=1", *options),
    )
    docker("cp", f"{TESTS}/.", f"{name}:/work/tests")
    return docker("start", "--attach", name, check=False)
