"""Each operator and sensor has tests of its own, and is met by a test on the mirror."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
BASES = {"BaseOperator", "BaseSensorOperator", "PlanOperator", "PlanRollout", "StepConditionSensor"}
ABSTRACT = {"PlanOperator", "StepConditionSensor"}


def classes() -> Iterator[str]:
    """The operators and sensors of content, but for those that only others build on."""
    for folder in ("operators", "sensors"):
        for path in (ROOT / "content" / "plugins" / folder).glob("*.py"):
            for node in ast.parse(path.read_text()).body:
                if isinstance(node, ast.ClassDef) and BASES & {ast.unparse(base) for base in node.bases}:
                    yield node.name


def texts(folder: Path) -> dict[str, str]:
    return {path.stem: path.read_text() for path in folder.rglob("*.py")}


USED = sorted(set(classes()) - ABSTRACT)
DAGS = texts(ROOT / "content" / "dags")
SHARED = texts(ROOT / "content" / "shared" / "workflows")
UNIT = texts(ROOT / "tests" / "content" / "airflow")
del UNIT["test_deployment"]  # loads all DAGs, and runs none
MIRROR = texts(ROOT / "tests" / "itest")


def test_there_is_something_to_look_at() -> None:
    assert {"PlanWaves", "CreateProposal", "WaitForBatchStart", "WaitForNoAlerts"} <= set(USED)


@pytest.mark.parametrize("name", USED)
def test_each_operator_and_sensor_has_a_test_of_its_own(name: str) -> None:
    direct = any(re.search(rf"\b{name}\(|import .*\b{name}\b", text) for text in UNIT.values())
    assert direct or any(f'"{dag}"' in text for dag in dags_with(name) for text in UNIT.values())


@pytest.mark.parametrize("name", USED)
def test_each_operator_and_sensor_is_met_on_the_mirror(name: str) -> None:
    found = dags_with(name)
    assert found, f"no DAG uses {name}"
    assert any(f'"{dag}"' in text for dag in found for text in MIRROR.values())


def dags_with(name: str) -> list[str]:
    """The DAGs that use it, by themselves or by a function that DAG files share."""
    wanted, grown = {name}, True
    while grown:
        users = {
            function.name
            for text in SHARED.values()
            for function in ast.parse(text).body
            if isinstance(function, ast.FunctionDef) and wanted & words_of(ast.unparse(function))
        }
        grown = not users <= wanted
        wanted |= users
    return [dag for dag, text in DAGS.items() if wanted & words_of(text)]


def words_of(text: str) -> set[str]:
    return set(re.findall(r"\w+", text))
