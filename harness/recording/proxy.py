"""A local reverse proxy that keeps what passes through it, without secrets."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from harness.mocks.exchanges import Exchange, kept_body, kept_headers
from harness.mocks.journal import REDACTED, redact

TIMEOUT_SECONDS = 30.0
PER_HOP = frozenset(
    {"connection", "keep-alive", "transfer-encoding", "host", "content-length", "accept-encoding"}
    | {"content-encoding", "te", "trailer", "upgrade", "proxy-authorization"}
)
"""Headers that are between two neighbours (RFC 9110, 7.6.1), and those that forwarding makes anew."""


class Recorder:
    """Gathers exchanges. `secrets`: texts that are replaced wherever they stand."""

    def __init__(self, service: str, secrets: Sequence[str]) -> None:
        self.service = service
        self._secrets = tuple(secret for secret in secrets if secret)
        self.exchanges: list[Exchange] = []

    def keep(self, exchange: Exchange) -> None:
        """Store it scrubbed."""
        text = json.dumps(redact(asdict(exchange)))
        for secret in self._secrets:
            text = text.replace(json.dumps(secret)[1:-1], REDACTED)
        self.exchanges.append(Exchange(**json.loads(text)))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def _forward(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name: value for name, value in self.headers.items() if name.lower() not in PER_HOP}
        try:
            answer = self.server.client.request(self.command, self.path, content=body, headers=headers)
        except httpx.TransportError as error:
            self.send_error(502, f"{self.server.client.base_url} does not answer: {type(error).__name__}")
            return
        parts = urlsplit(self.path)
        content_type = answer.headers.get("Content-Type", "")
        self.server.recorder.keep(
            Exchange(
                service=self.server.recorder.service,
                method=self.command,
                host=self.server.client.base_url.host,
                path=parts.path,
                query=parse_qs(parts.query, keep_blank_values=True),
                request_headers=kept_headers(dict(self.headers.items())),
                request=_request_body(body, self.headers.get("Content-Type", "")),
                status=answer.status_code,
                response_headers=kept_headers(dict(answer.headers)),
                response=kept_body(answer.content, content_type),
            )
        )
        self.send_response(answer.status_code)
        for name, value in answer.headers.multi_items():
            if name.lower() not in PER_HOP:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.content)))
        self.end_headers()
        self.wfile.write(answer.content)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _forward  # noqa: N815 - http.server's names

    def log_message(self, *_: Any) -> None:
        """Say nothing: what is asked may hold secrets."""


def _request_body(body: bytes, content_type: str) -> Any:
    """As the contract suite's schemas expect it: forms decoded, too."""
    if content_type.startswith("application/x-www-form-urlencoded"):
        fields = parse_qs(body.decode(errors="replace"), keep_blank_values=True)
        return {name: values[0] if len(values) == 1 else values for name, values in fields.items()}
    return kept_body(body, content_type)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, recorder: Recorder, client: httpx.Client) -> None:
        self.recorder = recorder
        self.client = client
        super().__init__(("127.0.0.1", 0), _Handler)


@contextmanager
def recording(target: str, recorder: Recorder, ca_bundle: str | None = None) -> Iterator[str]:
    """The URL of a proxy that forwards to `target` (a base URL) while the context lasts.

    ca_bundle: a file with the certificate authorities for the target, instead of the usual ones.
    """
    verify = ssl.create_default_context(cafile=ca_bundle)
    client = httpx.Client(base_url=target, timeout=TIMEOUT_SECONDS, verify=verify, trust_env=False)
    server = _Server(recorder, client)
    thread = threading.Thread(target=server.serve_forever, name="recording-proxy", daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        client.close()
