"""The container engine: its API client, and a command line client that can build with BuildKit."""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

import docker
from docker.errors import DockerException

CLIENT_TIMEOUT = 120
LAST_CLIENT_WITH_BUILTIN_BUILDKIT = 22
"""Docker's command line client 23 and newer needs the buildx plugin for BuildKit; older ones have it built in."""


class EngineError(RuntimeError):
    """No usable engine or client; the message says what to do."""


@cache
def client() -> docker.DockerClient:
    """A client for the engine that ``DOCKER_HOST`` or the default socket names; raises `EngineError`."""
    try:
        found = docker.from_env(timeout=CLIENT_TIMEOUT)
        found.ping()
    except DockerException as error:
        raise EngineError(
            f"no container engine answers ({error}).\n"
            "Run scripts/bootstrap, which finds one or, as root on Debian or Ubuntu, installs and starts one."
        ) from error
    return found


def host() -> str:
    """The address that published ports are reached at from here."""
    url = os.environ.get("DOCKER_HOST", "")
    if url.startswith(("tcp://", "http://", "https://", "ssh://")):
        return url.split("://", 1)[1].rsplit("@", 1)[-1].split(":")[0].split("/")[0]
    return "127.0.0.1"


def bind_address() -> str:
    """Where the engine binds published ports: loopback, unless the engine is on another machine than we are."""
    return "127.0.0.1" if host() == "127.0.0.1" else "0.0.0.0"  # noqa: S104 - or nobody could reach them


def _builds(docker_cli: str) -> bool:
    if subprocess.run([docker_cli, "buildx", "version"], capture_output=True, check=False).returncode == 0:
        return True
    asked = subprocess.run(
        [docker_cli, "version", "--format", "{{.Client.Version}}"],
        capture_output=True,
        text=True,
        check=False,
    )
    major = asked.stdout.strip().split(".")[0]
    return major.isdigit() and int(major) <= LAST_CLIENT_WITH_BUILTIN_BUILDKIT


@cache
def docker_cli() -> str:
    """Path of the first ``docker`` on PATH that can build with BuildKit; raises `EngineError`."""
    folders = [*os.environ.get("PATH", "").split(os.pathsep), "/usr/bin", "/usr/local/bin"]
    found = [str(Path(folder) / "docker") for folder in dict.fromkeys(folders)]
    found = [path for path in found if shutil.which(path)]
    for path in found:
        if _builds(path):
            return path
    raise EngineError(
        f"no docker client can build with BuildKit (found: {', '.join(found) or 'none'}).\n"
        "Install Docker's buildx plugin, or Debian's docker.io package (scripts/bootstrap does, as root)."
    )
