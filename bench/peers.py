"""Other people's ways to run Airflow, measured as their users meet them: a compose file, and the REST API.

Nothing here goes through the mirror's own runtime or client, so that a peer is neither helped nor hindered by them.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from harness.waits import WaitTimeout, eventually

LOG_TAIL = "15"
QUICK = 60
"""Seconds for a compose command that only looks, or removes."""
LOOK_EVERY = 1.0
"""Seconds between two looks of a user who waits."""


class PeerError(RuntimeError):
    """A peer did not come up or did not run its DAG; the message says what happened and quotes its words."""


@dataclass(frozen=True, slots=True)
class ComposeProject:
    """A compose file that runs under a project name of its own; `command` is compose v2's."""

    command: tuple[str, ...]
    name: str
    file: Path

    def up(self, within: int) -> None:
        """Start everything and return when it is healthy, as ``docker compose up --wait`` sees it.

        Raises `PeerError` when it is not after `within` seconds, or when a container ends.
        """
        self._run("up", "--detach", "--wait", f"--wait-timeout={within}", timeout=within + QUICK)

    def port(self, service: str, port: int) -> int:
        """The host's port of a published one."""
        said = self._run("port", service, str(port)).strip()
        found = said.rpartition(":")[2]
        if not found.isdigit():
            raise PeerError(f"compose told no port of {service}, but: {said!r}")
        return int(found)

    def down(self) -> None:
        """Remove the containers, networks and volumes; those that do not end at once are killed."""
        self._run("down", "--volumes", "--remove-orphans", "--timeout=1")

    def describe(self) -> str:
        """The containers' states and the last lines of their logs, as far as compose can tell."""
        parts = []
        for arguments in (("ps", "--all"), ("logs", "--no-color", f"--tail={LOG_TAIL}")):
            with contextlib.suppress(PeerError):
                parts.append(self._run(*arguments))
        return "\n".join(parts)

    def _run(self, *arguments: str, timeout: float = QUICK) -> str:
        """What a compose command prints. However this is left, the command runs no more afterwards."""
        command = [*self.command, f"--project-name={self.name}", f"--file={self.file}", *arguments]
        # Its own session: Ctrl-C reaches us alone, and we end it together with the plugin that docker starts.
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        ) as process:
            try:
                output, errors = process.communicate(timeout=timeout)
            except subprocess.TimeoutExpired as error:
                _end(process)
                raise PeerError(f"compose {arguments[0]} did not end within {timeout:.0f} s") from error
            except BaseException:
                _end(process)
                raise
        if process.returncode != 0:
            raise PeerError(f"compose {arguments[0]} failed ({process.returncode}):\n{errors.strip()}")
        return output


def _end(process: subprocess.Popen[str]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


@contextmanager
def running(project: ComposeProject, within: int, remove: Callable[[], object]) -> Iterator[ComposeProject]:
    """`project` is up and healthy while the body runs, and gone afterwards, whatever happens, Ctrl-C too.

    `remove` removes what compose leaves when it is interrupted or fails. A `PeerError` of the start or of the
    body gets the containers' states and logs added.
    """
    try:
        project.up(within)
        yield project
    except PeerError as error:
        raise PeerError(f"{error}\n{project.describe()}".rstrip()) from error
    finally:
        try:
            with contextlib.suppress(PeerError):  # `remove` does it then
                project.down()
        finally:
            remove()


class User:
    """Somebody who works with Airflow 3 through its REST API, and looks each second whether it is done."""

    def __init__(
        self,
        url: str,
        name: str,
        password: str,
        every: float = LOOK_EVERY,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._credentials = {"username": name, "password": password}
        self._http = httpx.Client(base_url=url, timeout=30, trust_env=False, transport=transport)
        self._every = every

    def __enter__(self) -> User:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def run_once(self, dag_id: str, within: float) -> None:
        """Wait for the DAG to be there, unpause it, start a run, and return when it has succeeded.

        Raises `PeerError` when one of the two is not so after `within` seconds, or when the run fails.
        """
        token = self._call("POST", "/auth/token", json=self._credentials)["access_token"]
        self._http.headers["Authorization"] = f"Bearer {token}"
        dag = f"/api/v2/dags/{dag_id}"
        self._wait(lambda: self._look(dag) is not None, f"the DAG {dag_id} to be there", within)
        self._call("PATCH", dag, json={"is_paused": False})
        run_id = self._call("POST", f"{dag}/dagRuns", json={"logical_date": None})["dag_run_id"]
        run = f"{dag}/dagRuns/{quote(run_id, safe='')}"
        self._wait(lambda: self._succeeded(run), f"the run {run_id} to end", within)

    def _succeeded(self, run: str) -> bool:
        found = self._look(run)
        state = found["state"] if found else None
        if state == "failed":
            tasks = self._call("GET", f"{run}/taskInstances")["task_instances"]
            states = ", ".join(f"{task['task_id']}: {task['state']}" for task in tasks)
            raise PeerError(f"the run failed; its tasks: {states}")
        return state == "success"

    def _wait(self, look: Callable[[], bool], what: str, within: float) -> None:
        try:
            eventually(look, what, within, self._every)
        except WaitTimeout as error:
            raise PeerError(str(error)) from error

    def _look(self, path: str) -> dict[str, Any] | None:
        """What is at `path`; None when it is not there yet, or the server did not answer this time."""
        try:
            answer = self._http.get(path)
        except httpx.TransportError:
            return None
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        found: dict[str, Any] = self._checked(answer)
        return found

    def _call(self, method: str, path: str, **options: Any) -> Any:
        try:
            return self._checked(self._http.request(method, path, **options))
        except httpx.TransportError as error:
            raise PeerError(f"{method} {path}: {error}") from error

    @staticmethod
    def _checked(answer: httpx.Response) -> Any:
        if answer.is_error:
            where = f"{answer.request.method} {answer.request.url.path}"
            raise PeerError(f"{where}: {answer.status_code} {answer.text[:500]}")
        return answer.json()
