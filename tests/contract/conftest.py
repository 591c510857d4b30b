"""Every mock driven by official clients, every exchange held against its published schema."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.mocks import exchanges
from tests.contract.summary import CHECKED, pytest_configure, pytest_terminal_summary
from tests.unit.mocks.conftest import (
    Running,
    mocks,
    production_names,
    running_mocks,
    service_account,
)

__all__ = ["mocks", "production_names", "pytest_configure", "pytest_terminal_summary", "service_account"]
collect_ignore = ["airflow"]
"""Those run inside the Airflow image (airflow-image/tests/test_mocks.py)."""


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Mocks that keep whole exchanges."""
    with running_mocks(tmp_path_factory.mktemp("contract"), keep_exchanges=True) as started:
        yield started


Hold = Callable[[str], None]


@pytest.fixture
def hold(running: Running, request: pytest.FixtureRequest) -> Iterator[Hold]:
    """`hold("boto3")`: at its end, the test's exchanges were that client's and break nothing."""
    path = running.state_dir / exchanges.FILE
    start = len(exchanges.read(path))
    clients: list[str] = []
    yield clients.append
    (client,) = clients
    found = exchanges.read(path, start)
    assert found, "no exchange was seen"
    faults = request.config.stash[CHECKED].hold(found, client)
    assert not faults, "\n".join(faults)


@pytest.fixture
def upload(tmp_path: Path) -> Path:
    """A file to upload."""
    path = tmp_path / "report.txt"
    path.write_text("all is well\n" * 1000)
    return path
