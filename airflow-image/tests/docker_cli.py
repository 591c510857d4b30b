"""The docker command line, as these tests use it."""

from __future__ import annotations

import subprocess

from harness import engine
from harness.labels import Owner


class Docker:
    """The docker command line; what it starts carries this process's labels."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._labels = [f"--label={k}={v}" for k, v in Owner.this_process().labels(name).items()]

    def __call__(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run one command to its end. With `check`, a failure fails the test and shows what was written."""
        done = subprocess.run([engine.docker_cli(), *arguments], capture_output=True, text=True, check=False)
        assert not check or done.returncode == 0, f"docker {arguments}:\n{done.stdout}\n{done.stderr}"
        return done

    def run(self, image: str, *command: str, options: tuple[str, ...] = (), check: bool = True) -> str:
        """Run a container to its end; its two output streams, one after the other."""
        done = self("run", "--rm", *self._labels, *options, image, *command, check=check)
        return done.stdout + done.stderr

    def start(self, service: str, image: str, *command: str, options: tuple[str, ...] = ()) -> str:
        """Start a container that stays; its name."""
        name = self.create(service, image, *command, options=options)
        self("start", name)
        return name

    def create(self, service: str, image: str, *command: str, options: tuple[str, ...] = ()) -> str:
        """Make a container without starting it; its name."""
        name = f"{self.name}-{service}"
        self("create", *self._labels, "--name", name, *options, image, *command)
        return name

    def network(self) -> str:
        self("network", "create", *self._labels, self.name)
        return self.name
