"""`scripts/run-dag` in Airflow's own environment: DAGs, operators and sensors are run by their file."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import CONTENT

PROGRAM = CONTENT.parent / "scripts" / "local" / "run_content.py"
STEP = {
    "subnet_id": "io67a-x",
    "replica_count": 13,
    "git_revision": "a" * 40,
    "batch": 1,
    "start_at": "2024-01-01T09:00:00+00:00",
    "simulate": True,
    "sensor_interval": 60,
}
ROLLOUT = {"git_revision": "a" * 40, "week": "2024-01-01", "simulate": True, "batches": {"1": [STEP]}}


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(PROGRAM), *arguments], capture_output=True, text=True, timeout=120, check=False
    )


def test_a_sensor_is_run_by_its_file(database: None) -> None:
    sensor = CONTENT / "plugins/sensors/batch_start.py"
    ran = run(str(sensor), f"rollout={json.dumps(ROLLOUT)}", "batch=1")
    assert ran.returncode == 0, ran.stderr
    assert "run_WaitForBatchStart: success\n  success          task" in ran.stdout


def test_an_operator_that_fails_is_an_exit_code(database: None) -> None:
    operator = CONTENT / "plugins/operators/create_proposal.py"
    ran = run(str(operator), "CreateProposal", 'step={"subnet_id": "io67a-x"}')
    assert ran.returncode == 1
    assert "run_CreateProposal: failed" in ran.stdout


def test_a_dag_is_run_with_params_from_the_command_line(database: None, tmp_path: Path) -> None:
    dags = tmp_path / "dags"
    dags.mkdir()
    (dags / "says.py").write_text(
        "from airflow.providers.common.compat.sdk import DAG, Param, task\n"
        "with DAG(dag_id='says', params={'words': Param([], type='array')}) as dag:\n"
        "    @task\n"
        "    def say(params=None):\n"
        "        print('said', *params['words'])\n"
        "    say()\n"
    )
    ran = run(str(dags / "says.py"), "words=[a, b]")
    assert ran.returncode == 0, ran.stderr
    assert "said a b" in ran.stdout + ran.stderr
    assert run(str(dags / "says.py"), "words=7").returncode == 1


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (
            ("plugins/sensors/step_conditions.py",),
            "name one of the operators of sensors.step_conditions: WaitFor",
        ),
        (
            ("plugins/sensors/step_conditions.py", "Nothing"),
            "name one of the operators of sensors.step_conditions",
        ),
        (("plugins/sensors/batch_start.py", "batch=1"), "WaitForBatchStart:"),
        (("dags/rollout_ic_os_to_subnet.py", "io67a"), "write its params as NAME=VALUE, not io67a"),
    ],
)
def test_what_cannot_be_run_is_named(arguments: tuple[str, ...], fault: str) -> None:
    file, *rest = arguments
    ran = run(str(CONTENT / file), *rest)
    assert ran.returncode == 2, ran.stderr
    assert fault in ran.stderr
