"""A session's stacks for other processes: pytest-xdist's workers ask the controller over a Unix socket.

One connection a call, one JSON object each way. A call may take as long as a boot, or as the run that it waits for.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import socketserver
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.sessions import Session
from harness.watcher import Events


class HubError(RuntimeError):
    """The session's owner could not do what was asked; the message is its error's."""


class _Handler(socketserver.StreamRequestHandler):
    server: _Server

    def handle(self) -> None:
        asked = json.loads(self.rfile.readline())
        try:
            answer = {"result": _call(self.server.session, **asked)}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        with contextlib.suppress(OSError):  # who asked may be gone
            self.wfile.write(json.dumps(answer).encode() + b"\n")


def _call(session: Session, method: str, arguments: list[Any], stack: str = "") -> Any:
    """Call a method of the session or, with `stack`, of that stack's events."""
    allowed = EVENTS if stack else STACKS
    if method not in allowed:
        raise ValueError(f"no method {method!r}")
    return getattr(session.events(stack) if stack else session, method)(*arguments)


STACKS = frozenset({"shared", "lease", "give_back"})
EVENTS = frozenset({"run_ended", "task_reached", "dag_parsed"})


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, address: str, session: Session) -> None:
        self.session = session
        super().__init__(address, _Handler)


class Hub:
    """Serves a session to other processes of this user until it is closed."""

    def __init__(self, session: Session) -> None:
        # The path of a Unix socket may have 107 characters, so it is not below the project.
        self._folder = Path(tempfile.mkdtemp(prefix="itest-hub-"))
        self.address = str(self._folder / "hub")
        self._server = _Server(self.address, session)
        self._thread = threading.Thread(target=self._server.serve_forever, name="hub", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop serving; calls that are under way are left to end by themselves."""
        self._server.shutdown()
        self._server.server_close()
        shutil.rmtree(self._folder, ignore_errors=True)


class HubClient:
    """The session's stacks (`sessions.Stacks`), from another process. Thread-safe."""

    def __init__(self, address: str) -> None:
        self._address = address

    def shared(self) -> str:
        return str(self.call("shared"))

    def lease(self, holder: str, clock: bool = False, topology: str = "") -> str:
        return str(self.call("lease", holder, clock, topology))

    def give_back(self, stack: str) -> None:
        self.call("give_back", stack)

    def events(self, stack: str) -> Events:
        return _RemoteEvents(self, stack)

    def call(self, method: str, *arguments: Any, stack: str = "") -> Any:
        """What a method of the session returns; raises `HubError` for whatever it raises."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.connect(self._address)
            asked = {"method": method, "arguments": arguments, "stack": stack}
            connection.sendall(json.dumps(asked).encode() + b"\n")
            with connection.makefile("rb") as answers:
                line = answers.readline()
        if not line:
            raise HubError("the test session's controller is gone")
        answer = json.loads(line)
        if "error" in answer:
            raise HubError(answer["error"])
        return answer["result"]


class _RemoteEvents:
    """One stack's events, told by the process that watches it."""

    def __init__(self, client: HubClient, stack: str) -> None:
        self._client = client
        self._stack = stack

    def run_ended(self, dag_id: str, run_id: str, timeout: float) -> str | None:
        ended: str | None = self._client.call("run_ended", dag_id, run_id, timeout, stack=self._stack)
        return ended

    def task_reached(
        self, dag_id: str, run_id: str, task_id: str, map_index: int, states: Sequence[str], timeout: float
    ) -> str | None:
        arguments = (dag_id, run_id, task_id, map_index, list(states), timeout)
        reached: str | None = self._client.call("task_reached", *arguments, stack=self._stack)
        return reached

    def dag_parsed(self, dag_id: str, after: str | None, timeout: float) -> bool:
        return bool(self._client.call("dag_parsed", dag_id, after, timeout, stack=self._stack))
