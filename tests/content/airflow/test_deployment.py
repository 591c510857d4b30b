"""How a pod's Airflow loads the content."""

import copy
import importlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from airflow.providers.common.compat.sdk import ParamValidationError
from conftest import CONTENT

STEPS = ("create_proposal", "request_votes", "wait_for_acceptance", "wait_for_revision", "wait_for_no_alerts")
DAGS = sorted(path.stem for path in (CONTENT / "dags").glob("*.py"))
LIST_SHADOWED = """
from airflow import plugins_manager
plugins_manager.ensure_plugins_loaded()
import sys
print([name for name in {names!r} if name in sys.modules])
"""


@pytest.fixture
def pod(tmp_path: Path) -> Path:
    """An AIRFLOW_HOME as the syncer fills it."""
    shutil.copytree(CONTENT / "plugins", tmp_path / "plugins", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(CONTENT / "dags", tmp_path / "dags", ignore=shutil.ignore_patterns("__pycache__"))
    for package in (CONTENT / "shared").iterdir():
        if package.is_dir():
            shutil.copytree(package, tmp_path / "plugins" / package.name)
    return tmp_path


def python(pod: Path, *arguments: str) -> str:
    environment = os.environ | {
        "PYTHONPATH": str(pod / "plugins"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(pod / "plugins"),
    }
    done = subprocess.run(
        [sys.executable, *arguments], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_libraries_are_not_loaded_as_plugins_under_their_bare_names(pod: Path) -> None:
    files = [
        path
        for folder in ("operators", "sensors", "dfinity", "workflows")
        for path in (pod / "plugins" / folder).glob("*.py")
    ]
    names = sorted(path.stem for path in files if path.stem != "__init__")
    assert "condition_trigger" in names
    assert python(pod, "-c", LIST_SHADOWED.format(names=names)).splitlines()[-1] == "[]"


@pytest.mark.parametrize("dag_id", DAGS)
def test_each_dag_loads_from_a_pods_layout_without_a_deprecation_warning(pod: Path, dag_id: str) -> None:
    load = f"""
import airflow.providers.common.compat.sdk, runpy, sys, warnings
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    found = runpy.run_path({str(pod / "dags" / f"{dag_id}.py")!r}, run_name="a_dag")["dag"]
print(found.dag_id, [str(w.message) for w in caught if {str(pod)!r} in w.filename])
print([name for name in ("googleapiclient", "slack_sdk", "boto3") if name in sys.modules])
"""
    loaded, heavy = python(pod, "-c", load).splitlines()[-2:]
    assert loaded == f"{dag_id} []"
    assert heavy == "[]"


def test_airflow_takes_each_file_for_a_dag() -> None:
    """It passes over files that do not name both words, without a message."""
    texts = [path.read_text().lower() for path in (CONTENT / "dags").glob("*.py")]
    assert [("dag" in text, "airflow" in text) for text in texts] == [(True, True)] * len(DAGS)


def test_task_ids_are_those_that_runs_in_flight_rely_on() -> None:
    from rollout_ic_os_to_mainnet_subnets import dag

    batch = ["wait_for_start", "join", *(f"subnet.{step}" for step in STEPS)]
    expected = {"plan", "summary", *(f"batch_{n}.{task}" for n in range(1, 31) for task in batch)}
    assert set(dag.task_ids) == expected


@pytest.mark.parametrize(
    ("dag_id", "waves"),
    [
        ("rollout_ic_os_to_api_boundary_nodes", 12),
        ("rollout_ic_os_to_hosts", 12),
        ("rollout_ic_os_to_unassigned_nodes", 1),
    ],
)
def test_task_ids_of_waves_are_those_that_runs_in_flight_rely_on(dag_id: str, waves: int) -> None:
    tasks = ("wait_for_start", *STEPS)
    expected = {"plan", "summary", *(f"wave_{n}.{task}" for n in range(1, waves + 1) for task in tasks)}
    assert set(importlib.import_module(dag_id).dag.task_ids) == expected


def test_task_ids_of_a_single_subnet_are_those_that_runs_in_flight_rely_on() -> None:
    from rollout_ic_os_to_subnet import dag

    assert set(dag.task_ids) == {"plan", "wait_for_start", "summary", *(f"subnet.{step}" for step in STEPS)}


@pytest.mark.parametrize(
    "wrong",
    [{"git_revision": "a" * 39}, {"git_revision": "A" * 40}, {"week": "1.1."}, {"sensor_interval": 0}],
)
def test_params_of_another_form_are_refused_when_a_run_is_triggered(wrong: dict[str, object]) -> None:
    from rollout_ic_os_to_mainnet_subnets import dag

    valid = {"git_revision": "a" * 40, "week": "2024-01-01"}

    def validate(given: dict[str, object]) -> None:
        params = copy.deepcopy(dag.params)
        params.update(given)
        params.validate()

    validate(valid)
    with pytest.raises(ParamValidationError):
        validate(valid | wrong)
