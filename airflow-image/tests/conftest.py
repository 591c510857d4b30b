"""Images and containers for these tests. They drive the docker command line, with no mirror around."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator

import pytest
from docker_cli import Docker

from harness import prepare
from harness.prepare import Options, Prepared
from tests.contract import summary

Tell = Callable[[Iterable[str]], None]
TOLD = pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[TOLD] = []
    summary.pytest_configure(config)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print what tests have counted."""
    if config.stash[TOLD]:
        terminalreporter.section("CockroachDB")
        for line in config.stash[TOLD]:
            terminalreporter.write_line(line)
    summary.pytest_terminal_summary(terminalreporter, config)


@pytest.fixture
def tell(request: pytest.FixtureRequest) -> Tell:
    """Prints lines at the end of the session, whatever becomes of the test."""
    return request.config.stash[TOLD].extend


@pytest.fixture(scope="session")
def prepared() -> Prepared:
    """What the mirror would use on this machine, built or pulled; and the image with the test runner."""
    return prepare.with_images(
        prepare.decide(Options.from_environment()), ("airflow", "database", "airflow-tests")
    )


@pytest.fixture(scope="session")
def airflow_image(prepared: Prepared) -> str:
    return prepared.references["airflow"]


@pytest.fixture(scope="session")
def tests_image(prepared: Prepared) -> str:
    """The customized image plus pytest."""
    return prepared.references["airflow-tests"]


@pytest.fixture
def docker() -> Iterator[Docker]:
    """Docker, for one test; whatever the test started is removed."""
    docker = Docker(f"image-test-{uuid.uuid4().hex[:8]}")
    yield docker
    own = f"label=itest.run={docker.name}"
    if left := docker("ps", "--all", "--quiet", "--filter", own).stdout.split():
        docker("rm", "--force", "--volumes", *left)
    if left := docker("network", "ls", "--quiet", "--filter", own).stdout.split():
        docker("network", "rm", *left)
