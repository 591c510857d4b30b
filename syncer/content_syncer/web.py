"""Probes, metrics and control over HTTP. Imported only where an address to listen on is set."""

import contextlib
import hmac
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from content_syncer import control
from content_syncer.errors import SyncError
from content_syncer.files import Volume
from content_syncer.metrics import exposition
from content_syncer.status import is_ready

_PLAIN = "text/plain; charset=utf-8"


@dataclass(frozen=True)
class Pages:
    """What the server needs of the syncer: the status of now, the volume, and how to make it sync."""

    status: Callable[[], dict[str, Any]]
    wake: Callable[[], None]
    volume: Volume
    ready_limit: float
    token_file: Path | None


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], pages: Pages) -> None:
        self.pages = pages
        if ":" in address[0]:
            self.address_family = 10  # AF_INET6
        super().__init__(address, _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = 10  # seconds: a client that says nothing holds no thread for longer
    server_version = "content-syncer"
    sys_version = ""

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: probes ask every few seconds."""

    def do_GET(self) -> None:
        """Answer probes; none of them needs a token."""
        pages, path = self.server.pages, urlsplit(self.path).path
        if path == "/healthz":
            self._answer(200, "alive\n")
        elif path == "/readyz":
            fields = pages.status()
            ready = is_ready(fields, pages.ready_limit)
            self._answer(200 if ready else 503, "ready\n" if ready else _why_not(fields, pages.ready_limit))
        elif path == "/metrics":
            text = exposition(pages.status(), pages.ready_limit)
            self._answer(200, text, "text/plain; version=0.0.4; charset=utf-8")
        elif path == "/status":
            self._answer(200, json.dumps(pages.status(), indent=1) + "\n", "application/json")
        else:
            self._answer(404, "there are /healthz /readyz /metrics /status, and POST /sync /hold /release\n")

    def do_POST(self) -> None:
        """Sync now, hold or release, for those who know the token."""
        pages, parts = self.server.pages, urlsplit(self.path)
        if parts.path not in ("/sync", "/hold", "/release"):
            self._answer(404, "there are POST /sync /hold /release\n")
        elif self._may():
            try:
                if parts.path == "/hold":
                    control.hold(pages.volume, parse_qs(parts.query).get("revision", [control.HERE])[0])
                elif parts.path == "/release":
                    control.release(pages.volume)
            except (SyncError, OSError) as error:
                self._answer(400 if isinstance(error, SyncError) else 500, f"{error}\n")
                return
            pages.wake()
            self._answer(202, "a sync was asked for\n")

    def _may(self) -> bool:
        """Tell whether the request has the token; if not, answer it."""
        path = self.server.pages.token_file
        try:
            token = path.read_text(encoding="utf-8").strip() if path else ""
        except (OSError, UnicodeDecodeError):
            token = ""
        if not token:
            self._answer(403, "control over HTTP is off: CONTENT_SYNCER_HTTP_TOKEN_FILE names no token\n")
            return False
        given = self.headers.get("Authorization", "")
        if not hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
            self._answer(401, "the header Authorization must be: Bearer <token>\n")
            return False
        return True

    def _answer(self, code: int, text: str, kind: str = _PLAIN) -> None:
        body = text.encode()
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if code == 401:
            self.send_header("WWW-Authenticate", "Bearer")
        # A body that was sent along is not read, so the connection cannot go on.
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)


def _why_not(fields: dict[str, Any], limit: float) -> str:
    if not fields.get("revision"):
        return f"no revision is served; last error: {fields.get('last_error')}\n"
    return f"the last success was at {fields.get('last_success')}, more than {limit:g} s ago\n"


@contextlib.contextmanager
def serving(address: tuple[str, int], pages: Pages) -> Iterator[tuple[str, int]]:
    """Answer requests in threads until the block ends; gives host and port. Raises OSError for a taken port."""
    with _Server(address, pages) as server:
        thread = threading.Thread(target=server.serve_forever, name="http", daemon=True)
        thread.start()
        try:
            yield address[0], server.server_port
        finally:
            server.shutdown()
            thread.join()
