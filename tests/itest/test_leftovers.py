"""Whatever way a test session ends, the next command finds nothing of it."""

import signal
import subprocess
import sys

import pytest

from harness import engine
from harness.environment import Environment
from harness.labels import RUN
from harness.runtime.sweep import remove_stack, stacks, sweep_stale

OWNER = """
import sys
from harness import images, prepare
from harness.labels import Owner
from harness.runtime.docker import DockerRuntime
from harness.settings import StackSettings, new_stack_name

prepared = prepare.decide(prepare.Options.from_environment())
stack = new_stack_name()
settings = StackSettings.generate(stack)
runtime = DockerRuntime(
    stack, prepared.topology, prepared.references, settings.placeholders, Owner.this_process()
)
try:
    runtime.start([prepared.topology.service("redis")], lambda service, what: None)
    print(stack, flush=True)
    input()
finally:
    runtime.remove()
"""


def objects(stack: str) -> int:
    client = engine.client()
    filters: dict[str, str | list[str] | bool] = {"label": f"{RUN}={stack}"}
    return (
        len(client.containers.list(all=True, filters=filters, ignore_removed=True))
        + len(client.networks.list(filters=filters))
        + len(client.volumes.list(filters=filters))
    )


@pytest.fixture
def owner_and_stack(env: Environment) -> tuple[subprocess.Popen[str], str]:
    """Another process with a small stack of its own."""
    process = subprocess.Popen(
        [sys.executable, "-c", OWNER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    stack = process.stdout.readline().strip()
    assert objects(stack) > 3
    return process, stack


def test_what_a_killed_process_left_is_swept_and_nothing_else(
    env: Environment, owner_and_stack: tuple[subprocess.Popen[str], str]
) -> None:
    process, stack = owner_and_stack
    assert stack not in sweep_stale(engine.client()), "its owner is alive"
    process.kill()
    process.communicate()
    try:
        assert objects(stack) > 3, "a killed process cannot clean up"
        assert sweep_stale(engine.client()) == [stack]
        assert objects(stack) == 0
        assert env.stack in stacks(engine.client())
        assert env.airflow.health()["scheduler"]["status"] == "healthy"
    finally:
        remove_stack(engine.client(), stack)


def test_an_interrupted_process_leaves_nothing(
    owner_and_stack: tuple[subprocess.Popen[str], str],
) -> None:
    process, stack = owner_and_stack
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert objects(stack) == 0
