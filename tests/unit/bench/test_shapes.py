"""The DAG texts are whole files for Airflow 3, each with the DAG that it is listed under."""

import ast

import pytest

from bench.shapes import QUICKSTART, QUICKSTART_DAG, SHAPES

NAMES = list(SHAPES)


def decorators(tree: ast.AST) -> list[ast.Call]:
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    return [d for function in functions for d in function.decorator_list if isinstance(d, ast.Call)]


@pytest.mark.parametrize("name", NAMES)
def test_a_shape_is_a_python_file_that_defines_and_makes_its_one_dag(name: str) -> None:
    tree = ast.parse(SHAPES[name])
    (dag,) = [d for d in decorators(tree) if isinstance(d.func, ast.Name) and d.func.id == "dag"]
    options = {k.arg: ast.literal_eval(k.value) for k in dag.keywords}
    assert options == {"dag_id": name, "schedule": None, "catchup": False}
    assert isinstance(tree.body[-1], ast.Expr)
    assert isinstance(tree.body[-1].value, ast.Call)


@pytest.mark.parametrize("name", NAMES)
def test_a_shape_imports_what_it_uses_and_nothing_else(name: str) -> None:
    tree = ast.parse(SHAPES[name])
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert {node.module for node in imports} <= {
        "__future__",
        "datetime",
        "airflow.sdk",
        "airflow.providers.standard.triggers.temporal",
    }
    imported = {a.name for node in imports if node.module != "__future__" for a in node.names}
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    assert imported <= used
    assert {"dag", "task", "BaseOperator", "timedelta", "TimeDeltaTrigger"} & used == imported


def test_the_quickstarts_dag_is_one_of_them() -> None:
    assert SHAPES[QUICKSTART] is QUICKSTART_DAG
    assert "seconds=2" in QUICKSTART_DAG
