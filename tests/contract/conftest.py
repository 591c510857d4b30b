"""Every mock driven by official clients, every exchange held against its published schema."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from _pytest.terminal import TerminalReporter

from harness.mocks import exchanges
from tests.contract.schemas import judge
from tests.unit.mocks.conftest import (
    Running,
    mocks,
    production_names,
    running_mocks,
    service_account,
)

__all__ = ["mocks", "production_names", "service_account"]


@dataclass
class Checked:
    """What was held against what: (schema, client) to operations, how many exchanges, and the untyped ones."""

    operations: dict[tuple[str, str], set[str]] = field(default_factory=lambda: defaultdict(set))
    exchanges: int = 0
    untyped: int = 0

    def lines(self) -> Iterator[str]:
        for (schema, client), names in sorted(self.operations.items()):
            yield f"{len(names):4} operations x {client:28} against {schema}"
        pairs = sum(map(len, self.operations.values()))
        yield (
            f"{pairs:4} operations x clients in {self.exchanges} exchanges, {self.untyped} untyped responses"
        )


CHECKED = pytest.StashKey[Checked]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[CHECKED] = Checked()


def pytest_terminal_summary(terminalreporter: TerminalReporter, config: pytest.Config) -> None:
    checked = config.stash.get(CHECKED, None)
    if checked is not None and checked.exchanges:
        terminalreporter.section("exchanges held against published schemas")
        for line in checked.lines():
            terminalreporter.write_line(line)


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
    checked = request.config.stash[CHECKED]
    faults = []
    for exchange in found:
        judgement = judge(exchange)
        checked.exchanges += 1
        checked.untyped += not judgement.operation
        checked.operations[judgement.schema, client].add(judgement.operation)
        faults += [
            f"{exchange.method} {exchange.path} ({judgement.operation}): {it}" for it in judgement.faults
        ]
    assert not faults, "\n".join(faults)


@pytest.fixture
def upload(tmp_path: Path) -> Path:
    """A file to upload."""
    path = tmp_path / "report.txt"
    path.write_text("all is well\n" * 1000)
    return path
