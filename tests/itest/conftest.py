"""Data that the rollout tests share: mainnet's registry and a real plan, as a sheet's rows."""

import json
from pathlib import Path

import pytest
import yaml

from harness.mocks.readers import IcReader

DATA = Path(__file__).parent.parent / "data"
HEADER = ["Day", "Time (UTC)", "Subnets", "Batch"]
UNKNOWN = {"3zsyy", "re2t4", "2zs4v", "xlkub", "6excn", "jmfme", "rtvil", "kp5jj"}
"""The subnets of the real plan that the registry does not have."""

Rows = list[list[str | None]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder needs the mirror."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.itest)


@pytest.fixture
def registry(ic: IcReader) -> list[dict[str, object]]:
    """Mainnet's subnets, which the mocked registry then serves."""
    subnets: list[dict[str, object]] = json.loads((DATA / "mainnet-subnets.json").read_text())
    ic.set_registry(subnets)
    return subnets


@pytest.fixture(scope="session")
def full_plan() -> Rows:
    """The real plan as rows of a sheet, with the days written out once as people do."""
    plan = yaml.load((DATA / "mainnet-guestos-plan.yaml").read_text(), Loader=yaml.BaseLoader)  # noqa: S506 - strings only
    rows: Rows = [list(HEADER)]
    for day, times in plan.items():
        shown = day
        for time, batch in times.items():
            explicit = isinstance(batch, dict)
            subnets = batch["subnets"] if explicit else batch
            rows.append([shown, time, ", ".join(subnets), batch["batch"] if explicit else None])
            shown = ""
    return rows


@pytest.fixture(scope="session")
def known_plan(full_plan: Rows) -> Rows:
    """The plan without the subnets that the registry does not have; batches left empty are dropped."""
    rows: Rows = [full_plan[0]]
    day: str | None = ""
    for shown, time, subnets, batch in full_plan[1:]:
        day = shown or day
        known = [name for name in (subnets or "").split(", ") if name not in UNKNOWN]
        if known:
            rows.append([day, time, ", ".join(known), batch])
    return rows
