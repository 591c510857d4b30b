"""`scripts/run-dag`: content in one process, in the local Airflow, with mocks around it."""

import re
import signal
import subprocess
from pathlib import Path

import pytest

from harness.environment import Environment
from harness.paths import ROOT

pytestmark = pytest.mark.slow

REVISION = "b" * 40
ROLLOUT = (
    "content/dags/rollout_ic_os_to_subnet.py",
    f"git_revision={REVISION}",
    "subnet=io67a",
    "simulate=false",
    "sensor_interval=1",
)


def run_dag(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [ROOT / "scripts" / "run-dag", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def seen(output: str) -> list[str]:
    """The kinds of what the mocks saw."""
    told = output.rpartition("The mocks saw ")[2]
    return re.findall(r"^  (\S+) ", told, re.MULTILINE)


def test_a_rollout_proposes_to_mocks_of_its_own() -> None:
    ran = run_dag(*ROLLOUT)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "rollout_ic_os_to_subnet: success" in ran.stdout
    assert seen(ran.stdout) == ["ic.proposal", "slack.message", "slack.message"]


def test_one_that_is_interrupted_is_over_for_others(tmp_path: Path) -> None:
    nobody = tmp_path / "nobody.py"
    nobody.write_text("def prepare(mocks):\n    mocks.ic.settings(auto=False)\n")
    command = [ROOT / "scripts" / "run-dag", "--prepare", nobody, *ROLLOUT]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as run:
        assert run.stdout is not None
        for line in run.stdout:
            if "waiting: proposal" in line:
                run.send_signal(signal.SIGTERM)
                break
        told = run.stdout.read()
    assert run.returncode == 130, told
    assert "interrupted; run manual__" in told
    following = run_dag(*ROLLOUT)
    assert following.returncode == 0, following.stdout + following.stderr
    assert "waits until no other one is under way" not in following.stdout


def test_what_fails_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    rejects = tmp_path / "rejects.py"
    rejects.write_text("def prepare(mocks):\n    mocks.ic.settings(outcome='REJECTED')\n")
    ran = run_dag("--prepare", str(rejects), *ROLLOUT)
    assert ran.returncode == 1, ran.stdout + ran.stderr
    assert "rollout_ic_os_to_subnet: failed" in ran.stdout
    assert seen(ran.stdout) == ["ic.proposal", "slack.message"]


def test_with_mirror_it_meets_the_mocks_of_the_mirror_that_is_kept(kept: Environment, tmp_path: Path) -> None:
    listed = tmp_path / "listed.py"
    listed.write_text("from harness.local import list_mainnet as prepare\n")
    ran = run_dag("--mirror", "--prepare", str(listed), *ROLLOUT)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert [p.replica_version_id for p in kept.mocks.ic.proposals()] == [REVISION]
    assert len(kept.mocks.slack.messages("#ic-os-rollout")) == 2
