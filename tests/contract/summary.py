"""Exchanges held against their schemas, and the table of what was checked; hooks for a conftest to import."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import pytest
from _pytest.terminal import TerminalReporter

from harness.mocks.exchanges import Exchange
from tests.contract.schemas import judge

BROKEN = {"garbage", "reset"}
"""Faults after which there is no answer, or one that is wrong on purpose."""


@dataclass
class Checked:
    """What was held against what: (schema, client) to operations, how many exchanges, and the untyped ones."""

    operations: dict[tuple[str, str], set[str]] = field(default_factory=lambda: defaultdict(set))
    exchanges: int = 0
    untyped: int = 0

    def hold(self, exchanges: Iterable[Exchange], client: str) -> list[str]:
        """What a client's exchanges break, a line each."""
        faults = []
        for exchange in exchanges:
            if BROKEN & set(exchange.faults):
                continue
            judgement = judge(exchange)
            self.exchanges += 1
            self.untyped += not judgement.operation
            self.operations[judgement.schema, client].add(judgement.operation)
            what = f"{exchange.method} {exchange.path} ({judgement.operation})"
            faults += [f"{what}: {fault}" for fault in judgement.faults]
        return faults

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
