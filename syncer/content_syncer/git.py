"""Runs the git command line: isolated from the machine's configuration, bounded in time, and discreet.

Credentials reach git through a credential helper that reads two environment variables, so that they
are in no process's arguments and in no file, and are given only to the host that the address names.
"""

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from content_syncer.access import Access
from content_syncer.errors import GitError, SlowError
from content_syncer.source import Source

# Where git looks for trusted certificates and how it calls ssh are the pod's business; the rest is ours.
_KEPT = frozenset({"GIT_SSL_CAINFO", "GIT_SSL_CAPATH", "GIT_SSH", "GIT_SSH_COMMAND"})
_DROPPED = ("GIT_", "CONTENT_SYNCER_", "SSH_ASKPASS")
_HELPER = (
    """!f() { test "$1" = get && printf 'username=%s\\npassword=%s\\n' "$SYNCER_USER" "$SYNCER_PASS"; }; f"""
)
_CONFIGURATION = (
    ("core.hooksPath", "/dev/null"),
    ("core.fsmonitor", "false"),
    ("credential.helper", ""),
    ("fetch.recurseSubmodules", "false"),
    ("gc.autoDetach", "false"),
    ("gc.pruneExpire", "now"),
    ("protocol.allow", "never"),
    *((f"protocol.{name}.allow", "always") for name in ("http", "https", "ssh", "git", "file")),
)
_LONGEST_MESSAGE = 300
_LINES = 4
_ADVICE = ("Please make sure you have the correct access rights", "and the repository exists.")


class Git:
    """The git command line for one source. Raises GitError with a redacted line where a command fails."""

    def __init__(self, access: Access, timeout: float, environment: Mapping[str, str]) -> None:
        """`timeout` is in seconds and for each command; `environment` is what the syncer itself got."""
        self.source = access.source
        self._access = access
        self._timeout = timeout
        self._inherited = environment
        self._environment = _environment(access, None, environment)

    def run(self, *arguments: str, directory: Path, remote: bool = False) -> bytes:
        """Run git with the repository at `directory`; return what it printed. With `remote`, git may log in."""
        environment = self._login() if remote else self._environment
        with self._started(arguments, directory, environment) as process:
            try:
                output, errors = process.communicate(timeout=self._timeout)
            except subprocess.TimeoutExpired:
                raise SlowError(f"git {arguments[0]} took longer than {self._timeout:g} s") from None
        if process.returncode:
            raise GitError(self._explain(arguments, process.returncode, errors))
        return output

    def process(
        self, *arguments: str, directory: Path
    ) -> contextlib.AbstractContextManager[subprocess.Popen[bytes]]:
        """Start git with pipes; on leaving, it and its children are gone and reaped."""
        return self._started(arguments, directory, self._environment)

    def _login(self) -> dict[str, str]:
        self.source = self._access.current(self._timeout)
        return _environment(self._access, self.source, self._inherited)

    @contextlib.contextmanager
    def _started(
        self, arguments: tuple[str, ...], directory: Path, environment: Mapping[str, str]
    ) -> Iterator[subprocess.Popen[bytes]]:
        try:
            process = subprocess.Popen(
                ["git", *arguments],
                cwd=directory,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            raise GitError(f"git cannot be started: {error}") from None
        try:
            yield process
        finally:
            _end(process)

    def _explain(self, arguments: tuple[str, ...], code: int, errors: bytes) -> str:
        command = next(word for word in arguments if not word.startswith("-") and "=" not in word)
        lines = [line.strip() for line in errors.decode(errors="replace").splitlines() if line.strip()]
        # What ssh says stands above git's own words, and says more; above that, it may have a long banner.
        telling = [line for line in lines if line not in _ADVICE][-_LINES:]
        reason = " / ".join(telling) or f"exit code {code}"
        # Redact before cutting: a secret cut in half would no longer be recognized.
        return f"git {command}: {self.source.redact(reason)[:_LONGEST_MESSAGE]}"


def _environment(access: Access, login: Source | None, inherited: Mapping[str, str]) -> dict[str, str]:
    environment = {
        name: value for name, value in inherited.items() if name in _KEPT or not name.startswith(_DROPPED)
    }
    environment |= {
        "GIT_DIR": ".",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_ATTR_NOSYSTEM": "1",
        "LC_ALL": "C.UTF-8",
        "HOME": "/nonexistent",  # a .netrc is a login that nobody asked for
    }
    if not {"GIT_SSH", "GIT_SSH_COMMAND"} & environment.keys():
        environment["GIT_SSH_COMMAND"] = access.ssh_command
    configuration = list(_CONFIGURATION)
    if login and login.username is not None and login.password is not None:
        environment |= {"SYNCER_USER": login.username, "SYNCER_PASS": login.password}
        configuration.append((f"credential.{login.host}.helper", _HELPER))
    environment["GIT_CONFIG_COUNT"] = str(len(configuration))
    for number, (key, value) in enumerate(configuration):
        environment |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return environment


def _end(process: subprocess.Popen[bytes]) -> None:
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe:
            with contextlib.suppress(OSError):
                pipe.close()
    if process.poll() is not None:
        return
    # The group is the session that git started in: transport helpers are in it too.
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    # As a container's first process the syncer inherits the helpers: reap them.
    with contextlib.suppress(ChildProcessError):
        while True:
            os.waitpid(-process.pid, 0)
