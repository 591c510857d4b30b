"""A stack that `docker compose` runs from the generated file, for people to look at and work with."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from harness import engine, seeding
from harness.compose import image_variable, render
from harness.environment import ContentSource, Environment, without_content
from harness.images import DatabaseKind
from harness.labels import Owner, this_host
from harness.paths import ROOT, STATE
from harness.prepare import Prepared
from harness.releases import DEFAULT as RELEASE
from harness.runtime.docker import DockerRuntime
from harness.runtime.network import dns_address, free_subnet
from harness.runtime.sweep import remove_stack, stacks
from harness.settings import StackSettings
from harness.waits import eventually

DEFAULT = "itest-up"
"""The name of the stack that people start; tests start others beside it."""

READY_WITHIN = 240


class ComposeError(RuntimeError):
    """Compose could not do what was asked; the message has its words."""


def folder(stack: str) -> Path:
    """Where a stack's variables and keys are kept while it lives."""
    return STATE / "compose" / stack


def compose_command() -> list[str]:
    """The compose v2 command, found or fetched by scripts/bootstrap; raises `ComposeError`."""
    done = subprocess.run(
        [str(ROOT / "scripts/bootstrap"), "compose"], stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode != 0:
        raise ComposeError("there is no Docker Compose v2; see the message above")
    return done.stdout.split()


def file_of(topology: str, kind: DatabaseKind) -> Path:
    """The generated compose file of a topology on a kind of database, of the version that production runs."""
    return ROOT / "compose" / f"{topology}.{kind}.yaml"


def _file(prepared: Prepared, stack: str) -> Path:
    """The compose file to start from: a generated one, or for another version one that is made beside the keys."""
    if prepared.topology.airflow == RELEASE:
        return file_of(prepared.topology.name, prepared.database)
    path = folder(stack) / "compose.yaml"
    path.write_text(render(prepared.topology, prepared.database))
    return path


def _environment_file(prepared: Prepared, stack: str, settings: StackSettings) -> Path:
    subnet = free_subnet(engine.client())
    values = {
        **settings.placeholders,
        "ITEST_SUBNET": str(subnet),
        "ITEST_DNS_ADDRESS": dns_address(subnet),
        "ITEST_BIND_ADDRESS": engine.bind_address(),
        "ITEST_OWNER_HOST": this_host(),
        **{image_variable(key): ref for key, ref in prepared.references.items()},
    }
    path = folder(stack) / "env"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text("".join(f"{name}={_quoted(value)}\n" for name, value in sorted(values.items())))
    return path


def _quoted(value: str) -> str:
    """Single quotes: compose's environment files then take the text, line breaks too, as it is."""
    if "'" in value:
        raise ComposeError("a generated value holds a quote, which an environment file cannot carry")
    return f"'{value}'"


def _compose(file: Path, env_file: Path, *arguments: str) -> None:
    command = [
        *compose_command(),
        f"--file={file}",
        f"--env-file={env_file}",
        *arguments,
    ]
    if subprocess.run(command, check=False).returncode != 0:
        raise ComposeError(f"failed: {' '.join(command)}")


def up(prepared: Prepared, content: ContentSource, stack: str = DEFAULT) -> Environment:
    """Start the stack with compose, give it content and connections, and wait until it is ready.

    Raises `ComposeError` when it runs already. What a failure leaves can be looked at; `down` removes it.
    """
    if stack in stacks(engine.client()):
        raise ComposeError(f"the stack {stack} is there already; remove it with: make down")
    settings = StackSettings.generate(stack)
    settings.save(folder(stack) / "settings.json")
    env_file, file = _environment_file(prepared, stack, settings), _file(prepared, stack)
    first = [s.name for s in without_content(prepared.topology)]
    _compose(file, env_file, "up", "--detach", *first)
    runtime = DockerRuntime(
        stack, prepared.topology, prepared.references, settings.placeholders, Owner.kept()
    )
    eventually(lambda: _healthy(runtime, prepared, first), "the infrastructure to be healthy", 120)
    env = Environment.attach(prepared, stack, settings, folder(stack))
    content(env.content)
    _compose(file, env_file, "up", "--detach")
    services = [s.name for s in prepared.topology.lasting()]
    eventually(
        lambda: _healthy(runtime, prepared, services),
        "the mirror to be healthy",
        READY_WITHIN,
        interval=1,
        describe=lambda: "\n".join(f"  {name}: {state}" for name, state in runtime.states().items()),
    )
    seeding.seed(env.airflow, settings)
    return env


def _healthy(runtime: DockerRuntime, prepared: Prepared, names: list[str]) -> bool:
    states = runtime.states()
    checked = {name for name in names if prepared.topology.service(name).healthcheck}
    return all(
        states[name].status == "running" and (name not in checked or states[name].health == "healthy")
        for name in names
    )


def attach(prepared: Prepared, stack: str = DEFAULT) -> Environment:
    """A handle on the stack that `up` started; raises `ComposeError` when there is none."""
    if stack not in stacks(engine.client()):
        raise ComposeError(f"no stack {stack} is up; start it with: itest up (--compose)")
    settings = StackSettings.load(folder(stack) / "settings.json")
    return Environment.attach(prepared, stack, settings, folder(stack))


def down(stack: str = DEFAULT) -> int:
    """Remove the stack and its keys; how many containers, networks and volumes there were."""
    count = remove_stack(engine.client(), stack)
    shutil.rmtree(folder(stack), ignore_errors=True)
    return count
