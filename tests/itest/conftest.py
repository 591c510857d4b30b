"""What tests of the mirror share: mainnet's registry and a real plan, as a sheet's rows, and a mirror that is kept."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import warm
from harness.environment import Environment
from harness.mocks.readers import IcReader
from harness.prepare import Prepared
from tests.itest import mainnet
from tests.itest.mainnet import Rows


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder needs the mirror."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.itest)


@pytest.fixture
def registry(ic: IcReader) -> list[dict[str, object]]:
    """Mainnet's subnets, which the mocked registry then serves."""
    subnets = mainnet.registry()
    ic.set_registry(subnets)
    return subnets


@pytest.fixture(scope="session")
def full_plan() -> Rows:
    """The real plan as rows of a sheet, with the days written out once as people do."""
    return mainnet.full_plan()


@pytest.fixture(scope="session")
def known_plan() -> Rows:
    """The plan without the subnets that the registry does not have; batches left empty are dropped."""
    return mainnet.known_plan()


@pytest.fixture
def kept(prepared: Prepared) -> Iterator[Environment]:
    """A warm stack, newer than any that a person keeps."""
    env = warm.up(prepared)
    yield env
    env.close()
    warm.down(env.stack)
