"""The pace of triggerer and scheduler, in a process of its own whose `airflow` is a few files of the same shape."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.mocks import pods_site

SITE = Path(pods_site.__file__).parent
RUNNER = """
import anyio
from collections import deque

class TriggerRunner:
    def __init__(self):
        self.events = deque(["before"])

    async def arun(self, rounds, hand_over):
        for number in range(rounds):
            with anyio.move_on_after(1):
                await anyio.Event().wait()
            await hand_over(number)

class TriggerRunnerSupervisor:
    cleaned = 0

    def clean_unused(self):
        self.cleaned += 1

async def arun(rounds, delay=1):
    for _ in range(rounds):
        with anyio.move_on_after(delay):
            await anyio.Event().wait()
"""
ASK = """
import anyio
from airflow.jobs import triggerer_job_runner as runner

waited = []
def move_on_after(delay, shield=False):
    waited.append(delay)
    return original(0, shield=shield)
original, anyio.move_on_after = anyio.move_on_after, move_on_after
anyio.run(runner.arun, 2)
anyio.run(runner.arun, 1, 5)
print(waited)
"""
HANDS_OVER = """
import anyio
from airflow.jobs.triggerer_job_runner import TriggerRunner

async def main():
    runner, told = TriggerRunner(), []

    async def hand_over(number):
        # What comes while the runner is not waiting ends its next wait.
        if number == 1:
            runner.events.append("while at work")
        told.append(list(runner.events))

    async def fire():
        while "first" not in runner.events:
            await anyio.lowlevel.checkpoint()
            runner.events.append("first")

    with anyio.fail_after(20):
        async with anyio.create_task_group() as group:
            group.start_soon(runner.arun, 3, hand_over)
            group.start_soon(fire)
            group.start_soon(fire_later, runner, told)
    print(told)

async def fire_later(runner, told):
    while not told:
        await anyio.sleep(0)
    runner.events.append("second")

anyio.run(main)
"""
RINGS = """
import anyio, os, sys
from airflow.jobs.triggerer_job_runner import TriggerRunner

told = []

async def hand_over(number):
    told.append(number)

async def ring():
    await anyio.sleep(0.05)
    with open(os.environ["VIRTUAL_CLOCK"] + "/bells", "r+b") as bells:
        bells.seek(8)
        bells.write((1).to_bytes(8, sys.byteorder))

async def main():
    with anyio.fail_after(20):
        async with anyio.create_task_group() as group:
            group.start_soon(TriggerRunner().arun, 1, hand_over)
            group.start_soon(ring)
    print(told)

anyio.run(main)
"""
CLEANS = """
import time
from airflow.jobs.triggerer_job_runner import TriggerRunnerSupervisor

now = [0.0]
time.monotonic = lambda: now[0]
supervisor = TriggerRunnerSupervisor()
for now[0] in (5.0, 5.2, 5.9, 6.0, 6.5, 7.1):
    supervisor.clean_unused()
print(supervisor.cleaned)
"""
OLD_RUNNER = """
import asyncio, time

def loop():
    time.sleep(1)
    time.sleep(5)

async def arun():
    await asyncio.sleep(1)
    await asyncio.sleep(0.1)
"""
ASK_OLD = """
import asyncio, time
from airflow.jobs import triggerer_job_runner as runner

waited = []
async def sleep(delay):
    waited.append(delay)
time.sleep, asyncio.sleep = waited.append, sleep
runner.loop()
asyncio.run(runner.arun())
print(waited)
"""
SCHEDULER = """
import time
from airflow.jobs.job import perform_heartbeat

def loop(rounds):
    for busy in rounds:
        perform_heartbeat(job=None)
        if not busy:
            time.sleep(0.1)
"""
SLEEPS = """
import time
from airflow.jobs import scheduler_job_runner as runner

slept = []
time.sleep = slept.append
runner.loop([False] * 32 + [True] + [False] * 31)
print(slept.count(0.1), slept[30:33], slept[62], runner.time.monotonic is time.monotonic)
"""


@pytest.fixture
def airflow(tmp_path: Path) -> Path:
    """A folder that has the module whose pause is replaced."""
    jobs = tmp_path / "airflow" / "jobs"
    jobs.mkdir(parents=True)
    for folder in (jobs.parent, jobs):
        (folder / "__init__.py").write_text("")
    (jobs / "triggerer_job_runner.py").write_text(RUNNER)
    (jobs / "scheduler_job_runner.py").write_text(SCHEDULER)
    (jobs / "job.py").write_text("def perform_heartbeat(job):\n    pass\n")
    return tmp_path


def ask(folder: Path, program: str, **environment: str) -> str:
    """What `program` prints, with the pods' site on its path."""
    path = f"{SITE}:{folder}"
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": path, **environment},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


def test_the_triggerer_waits_as_long_as_is_asked_for_and_only_its_one_second_changes(airflow: Path) -> None:
    assert ask(airflow, ASK, ITEST_TRIGGERER_PAUSE="0.2") == "[0.2, 0.2, 5]"


def test_an_event_is_handed_over_at_once_however_long_the_pause_is(airflow: Path) -> None:
    told = ask(airflow, HANDS_OVER, ITEST_TRIGGERER_PAUSE="3600")
    first = ["before", "first"]
    assert told == str([first, [*first, "second", "while at work"], [*first, "second", "while at work"]])


def test_a_ring_of_the_clocks_bell_begins_the_triggerers_next_round(airflow: Path, tmp_path: Path) -> None:
    (tmp_path / "bells").write_bytes(bytes(16))
    assert ask(airflow, RINGS, ITEST_TRIGGERER_PAUSE="3600", VIRTUAL_CLOCK=str(tmp_path)) == "[0]"


def test_unused_triggers_are_removed_once_a_second_at_most(airflow: Path) -> None:
    assert ask(airflow, CLEANS, ITEST_TRIGGERER_PAUSE="0.2") == "3"
    assert ask(airflow, CLEANS) == "6"


@pytest.mark.parametrize("text", ["", "soon", "0", "-1", "nan"])
def test_without_a_positive_number_nothing_changes(airflow: Path, text: str) -> None:
    assert ask(airflow, ASK, ITEST_TRIGGERER_PAUSE=text) == "[1, 1, 5]"


def test_other_users_of_anyio_keep_their_second(airflow: Path) -> None:
    program = f"{ASK}\nasync def other():\n    anyio.move_on_after(1)\nwaited.clear()\nanyio.run(other)\nprint(waited)"
    assert ask(airflow, program, ITEST_TRIGGERER_PAUSE="0.2").splitlines()[-1] == "[1]"


def test_an_airflow_without_that_module_starts_all_the_same(tmp_path: Path) -> None:
    program = """
try:
    import airflow.jobs.triggerer_job_runner
except ModuleNotFoundError as error:
    print(error.name)
"""
    assert ask(tmp_path, program, ITEST_TRIGGERER_PAUSE="0.2") == "airflow"


def test_a_scheduler_rests_until_it_is_busy_and_again_once_it_has_long_been_idle(airflow: Path) -> None:
    assert ask(airflow, SLEEPS, ITEST_SCHEDULER_REST="0.4") == "30 [0.4, 0.4, 0.1] 0.4 True"


@pytest.mark.parametrize("text", ["", "soon", "0", "-1", "nan"])
def test_without_a_positive_number_the_scheduler_never_rests(airflow: Path, text: str) -> None:
    assert ask(airflow, SLEEPS, ITEST_SCHEDULER_REST=text).startswith("63 ")


def test_an_old_triggerer_and_its_runner_wait_as_long_as_is_asked_for(airflow: Path) -> None:
    (airflow / "airflow" / "jobs" / "triggerer_job_runner.py").write_text(OLD_RUNNER)
    assert ask(airflow, ASK_OLD, ITEST_TRIGGERER_PAUSE="0.2") == "[0.2, 5, 0.2, 0.1]"
    assert ask(airflow, ASK_OLD) == "[1, 5, 1, 0.1]"
