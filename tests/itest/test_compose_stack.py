"""The generated compose files: accepted by compose, and a stack started from one is the same mirror."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import compose_stack
from harness.catalog import BUILDABLE, build
from harness.compose import variables
from harness.environment import Environment, working_tree
from harness.images import DatabaseKind
from harness.prepare import Prepared
from harness.settings import new_stack_name
from harness.waits import eventually

WORD = """
from airflow.providers.common.compat.sdk import dag, task


@dag(schedule=None)
def says_hello():
    @task
    def say():
        return "hello"

    say()


says_hello()
"""


@pytest.mark.parametrize(("name", "kind"), BUILDABLE)
def test_compose_accepts_the_generated_file(name: str, kind: DatabaseKind) -> None:
    known = {
        "ITEST_STACK": "itest-check",
        "ITEST_SUBNET": "198.18.0.0/24",
        "ITEST_DNS_ADDRESS": "198.18.0.254",
        "ITEST_BIND_ADDRESS": "127.0.0.1",
    }
    values = {variable: known.get(variable, "x") for variable in variables(build(name, kind))}
    command = [
        *compose_stack.compose_command(),
        f"--file={compose_stack.file_of(name, kind)}",
        "config",
        "-q",
    ]
    checked = subprocess.run(
        command, env={**os.environ, **values}, capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stderr
    assert "not set" not in checked.stderr, "every variable is listed by `variables`"


@pytest.fixture
def composed(env: Environment, prepared: Prepared) -> Iterator[Environment]:
    """A mirror that compose runs, beside the session's; that is up before, as two boots get in each other's way."""
    stack = new_stack_name()
    try:
        started = compose_stack.up(prepared, working_tree, stack)
        try:
            yield started
        finally:
            started.close()
    finally:
        compose_stack.down(stack)


def test_a_stack_that_compose_started_is_the_same_mirror(composed: Environment, prepared: Prepared) -> None:
    attached = compose_stack.attach(prepared, composed.stack)
    try:
        revision = attached.content.push_directory(Path(compose_stack.ROOT / "content"))
        assert {pod.revision for pod in attached.content.pods().values()} == {revision}
    finally:
        attached.close()

    revision = composed.content.push_changes({"dags/says_hello.py": WORD})
    composed.content.deliver(revision)
    run = composed.airflow.trigger("says_hello")
    run.wait()
    assert run.xcom("say") == "hello"
    # A worker uploads a task's log just after it has told the task's state.
    eventually(lambda: composed.mocks.s3.keys("airflow-logs"), "the task's log in S3", 30)
    for pod in composed.topology.pods:
        routes = composed.runtime.exec(pod.name, ["cat", "/proc/net/route"]).output.splitlines()[1:]
        assert [line for line in routes if line.split()[1] == "00000000"] == [], pod.name
