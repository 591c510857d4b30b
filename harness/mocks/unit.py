"""The mocks without servers, for unit tests: the same fakes behind `responses` (requests), httpx and moto (boto3).

with unit_mocks() as mocks:          # the fixture of that name does this
    mocks.ic.set_registry([...])     # the handles of the integration tests
    requests.get("https://dashboard.mainnet.dfinity.network/...")
    boto3.client("s3", endpoint_url=..., ...)

What is asked is journaled, faults can be scripted, and a host that nobody mocks is refused by name.
"""

import os
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any
from unittest.mock import patch
from urllib.parse import unquote_to_bytes, urlsplit

import httpx
import requests
import responses
from werkzeug.test import run_wsgi_app

from harness.mocks.connections import ConnectionAborted
from harness.mocks.control import Control
from harness.mocks.fakes import Fakes
from harness.mocks.gateway import Gateway
from harness.mocks.journal import Journal
from harness.mocks.names import BUCKETS, S3_HOST, service_of
from harness.mocks.pods import PodNames
from harness.mocks.readers import MocksControl
from harness.mocks.settings import Settings

TOKEN = "xoxb-unit"  # noqa: S105 - a fake's
CLIENT_EMAIL = "unit@itest.iam.gserviceaccount.com"
AWS = {
    "AWS_ACCESS_KEY_ID": "unit",
    "AWS_SECRET_ACCESS_KEY": "unit",
    "AWS_DEFAULT_REGION": "us-east-1",
    # moto's decorators take only these besides Amazon's own addresses.
    "MOTO_S3_CUSTOM_ENDPOINTS": f"http://{S3_HOST}",
}


ELSEWHERE = re.compile(rf"https?://(?!{re.escape(S3_HOST)}/)")
"""Every address but the store's, which moto answers; what nobody mocks is refused by the gateway, and journaled."""


class _Door:
    """Stands in place of the network: a request's parts in, (status, headers, body) out."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def answer(
        self, method: str, url: str, headers: Mapping[str, str], content: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        """Raises ConnectionAborted where a fault ends the connection."""
        chunks, status, answered = run_wsgi_app(self._gateway, _environment(method, url, headers, content))
        return int(status.split(" ", 1)[0]), dict(answered), b"".join(chunks)

    def for_requests(self, request: requests.PreparedRequest) -> tuple[int, Mapping[str, str], bytes]:
        """A callback of `responses`."""
        body = request.body or b""
        content = body.encode() if isinstance(body, str) else bytes(body)
        headers = {name: str(value) for name, value in request.headers.items()}
        try:
            return self.answer(str(request.method), str(request.url), headers, content)
        except ConnectionAborted as aborted:
            raise requests.exceptions.ConnectionError("a fault ended the connection") from aborted

    def for_httpx(self, _transport: object, request: httpx.Request) -> httpx.Response:
        """In place of `httpx.HTTPTransport.handle_request`."""
        try:
            answered = self.answer(request.method, str(request.url), request.headers, request.read())
        except ConnectionAborted as aborted:
            raise httpx.ReadError("a fault ended the connection", request=request) from aborted
        status, headers, body = answered
        return httpx.Response(status, headers=headers, content=body, request=request)

    async def for_async_httpx(self, transport: object, request: httpx.Request) -> httpx.Response:
        """In place of `httpx.AsyncHTTPTransport.handle_async_request`."""
        await request.aread()
        return self.for_httpx(transport, request)


def _environment(method: str, url: str, headers: Mapping[str, str], content: bytes) -> dict[str, Any]:
    """The WSGI environment of one request."""
    parts = urlsplit(url)
    return {
        **{f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()},
        "REQUEST_METHOD": method,
        "PATH_INFO": unquote_to_bytes(parts.path).decode("latin-1"),
        "REQUEST_URI": parts.path,
        "QUERY_STRING": parts.query,
        "HTTP_HOST": parts.netloc,
        "SERVER_NAME": str(parts.hostname),
        "SERVER_PORT": str(parts.port or (443 if parts.scheme == "https" else 80)),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "CONTENT_TYPE": {name.lower(): value for name, value in headers.items()}.get("content-type", ""),
        "CONTENT_LENGTH": str(len(content)),
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.input": BytesIO(content),
        "wsgi.url_scheme": parts.scheme,
    }


@contextmanager
def unit_mocks(google_public_key: str = "") -> Iterator[MocksControl]:
    """Fakes that answer requests, httpx and boto3 in this process while the context lasts.

    google_public_key: PEM of the key that the Google fake verifies assertions with.
    """
    import boto3  # type: ignore[import-untyped]
    from moto import mock_aws

    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="unit-mocks-")))
        fakes = Fakes(Settings(TOKEN, google_public_key, CLIENT_EMAIL, folder, folder))
        journal = Journal(folder / "journal.jsonl")
        stack.callback(journal.close)
        door = _Door(Gateway(fakes, journal, PodNames("", lambda _: "unit"), service_of))
        stack.enter_context(patch.dict(os.environ, AWS))
        stack.enter_context(mock_aws())
        intercepted = stack.enter_context(responses.RequestsMock(assert_all_requests_are_fired=False))
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"):
            intercepted.add_callback(method, ELSEWHERE, door.for_requests)
        stack.enter_context(patch.object(httpx.HTTPTransport, "handle_request", _method(door.for_httpx)))
        asynchronous = _method(door.for_async_httpx)
        stack.enter_context(patch.object(httpx.AsyncHTTPTransport, "handle_async_request", asynchronous))
        store = boto3.client("s3", endpoint_url=AWS["MOTO_S3_CUSTOM_ENDPOINTS"])
        for bucket in BUCKETS:
            store.create_bucket(Bucket=bucket)
        store.close()
        fakes.s3.load()
        transport = httpx.WSGITransport(app=Control(fakes, journal).app)
        yield stack.enter_context(MocksControl("http://mocks", transport=transport))


def _method(handle: Callable[..., Any]) -> Callable[..., Any]:
    """A function, which a class makes a method of: a bound method would not get the instance."""
    return lambda transport, request: handle(transport, request)
