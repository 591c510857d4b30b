"""What the syncer's tests are made of: real git repositories, and syncers of them."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from content_syncer.publish import Step, ignore
from content_syncer.settings import read_settings
from content_syncer.sync import Syncer

PACKAGE_ROOT = Path(__file__).parents[1]
PATIENCE = 60.0
"""Seconds after which a test stops waiting; far more than anything takes."""

_IDENTITY = {
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    **{
        f"GIT_{role}_{part}": "tests@example.org"
        for role in ("AUTHOR", "COMMITTER")
        for part in ("NAME", "EMAIL")
    },
}


class Origin:
    """A git repository with a work tree, to push content to."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir()
        self.git("init", "--quiet", "--initial-branch=main")
        self.git("config", "uploadpack.allowAnySHA1InWant", "true")

    def git(self, *arguments: str) -> str:
        environment = {**os.environ, **_IDENTITY}
        done = subprocess.run(
            ["git", *arguments], cwd=self.path, env=environment, check=True, capture_output=True
        )
        return done.stdout.decode().strip()

    def commit(self, files: Mapping[str, str | None]) -> str:
        """Write the files (None: delete) and commit them; returns the new revision."""
        for name, text in files.items():
            path = self.path / name
            if text is None:
                path.unlink()
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return self.record()

    def record(self) -> str:
        """Commit the work tree as it is."""
        self.git("add", "--all", "--force")
        self.git("commit", "--quiet", "--allow-empty", "--message=change")
        return self.git("rev-parse", "HEAD")


@dataclass(frozen=True)
class Setup:
    """Settings for syncers of one origin and one volume, as environment variables."""

    origin: Origin
    target: Path
    variables: Mapping[str, str]
    made: list[Syncer] = field(default_factory=list)

    def syncer(self, observe: Callable[[Step], None] = ignore, **changes: str) -> Syncer:
        """A new syncer, as a restarted process would have it; `changes` are like `branch="x"`."""
        made = Syncer(read_settings({**self.variables, **variables(changes)}), os.environ, observe)
        self.made.append(made)
        return made

    def command(self, *arguments: str, **changes: str) -> subprocess.Popen[str]:
        """Start the real command line."""
        return subprocess.Popen(
            [sys.executable, "-m", "content_syncer", *arguments],
            env={**os.environ, **self.variables, **variables(changes), "PYTHONPATH": str(PACKAGE_ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, **changes: str) -> tuple[int, str, str]:
        """Run the real command line to its end; returns exit code, standard output and standard error."""
        with self.command(*arguments, **changes) as process:
            output, errors = process.communicate(timeout=PATIENCE)
        return process.returncode, output, errors

    def content(self) -> dict[str, str]:
        """What Airflow sees: relative path to text."""
        found: dict[str, str] = {}
        for top in ("plugins", "dags"):
            for parent, _, files in os.walk(self.target / top, followlinks=True):
                for name in files:
                    path = Path(parent, name)
                    found[str(path.relative_to(self.target))] = path.read_text()
        return found


def variables(changes: Mapping[str, str]) -> dict[str, str]:
    """`git_repo_branch` is CONTENT_SYNCER_GIT_REPO_BRANCH; the four common ones have short names."""
    short = {"source": "git_repo_source", "branch": "git_repo_branch", "subpath": "git_repo_subpath"}
    return {f"CONTENT_SYNCER_{short.get(name, name).upper()}": value for name, value in changes.items()}


def eventually(condition: Callable[[], bool], what: str) -> None:
    """Wait until the condition holds."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"waited {PATIENCE:g} s in vain until {what}"
        time.sleep(0.01)


def status(setup: Setup) -> dict[str, Any]:
    """The status file, {} while there is none."""
    path = setup.target / ".syncer/status.json"
    found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return found


def serves(setup: Setup, revision: str) -> bool:
    """Tell whether the status says that the revision is served."""
    return bool(status(setup).get("revision") == revision)


@contextmanager
def sidecar(setup: Setup, **changes: str) -> Iterator[subprocess.Popen[str]]:
    """`content-syncer run`, after its first attempt, until the block ends."""
    with setup.command("run", **changes) as process:
        try:
            eventually(lambda: status(setup).get("pid") == process.pid, "the sidecar made its first attempt")
            yield process
        finally:
            process.kill()
