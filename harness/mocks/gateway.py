"""The front door of every fake: finds the caller's world and in it the fake for the Host header, and journals the
exchange before it answers."""

import io
import json
import time
import traceback
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from werkzeug.datastructures import Headers
from werkzeug.test import run_wsgi_app
from werkzeug.wsgi import get_input_stream

from harness.mocks import wsgi
from harness.mocks.fakes import Fakes
from harness.mocks.identity import NOBODY, Identity
from harness.mocks.journal import Event, Journal
from harness.mocks.names import Service, service_of
from harness.mocks.pods import PodNames

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


def hostname(environ: "WSGIEnvironment") -> str:
    """The Host header in lower case, without its port."""
    return str(environ.get("HTTP_HOST", "")).lower().rsplit(":", 1)[0]


def decoded(body: bytes, content_type: str) -> Any:
    """A body as the journal keeps it: JSON and forms decoded, anything else only by its size."""
    if not body:
        return None
    kind = content_type.split(";", 1)[0].strip().lower()
    try:
        if kind == "application/json":
            return json.loads(body)
        if kind == "application/x-www-form-urlencoded":
            fields = parse_qs(body.decode(), keep_blank_values=True)
            return {name: values[0] if len(values) == 1 else values for name, values in fields.items()}
    except ValueError:
        return {"bytes": len(body), "malformed": kind}
    return {"bytes": len(body)}


def buffer_body(environ: "WSGIEnvironment") -> bytes:
    """Read the body (chunked or not) and leave an equal one of known length for the fake."""
    body = get_input_stream(environ).read()
    environ.pop("HTTP_TRANSFER_ENCODING", None)
    environ.pop("wsgi.input_terminated", None)
    environ["CONTENT_LENGTH"] = str(len(body))
    environ["wsgi.input"] = io.BytesIO(body)
    return body


class Gateway:
    """WSGI application. `extra_hosts` adds names to the production table, for servers outside a stack.

    The caller is the `Identity` under `wsgi.IDENTITY_KEY` in the environment, nobody when there is none.
    """

    def __init__(
        self,
        fakes: Fakes,
        journal: Journal,
        pods: PodNames,
        extra_hosts: Mapping[str, Service] | None = None,
    ) -> None:
        self._fakes = fakes
        self._journal = journal
        self._pods = pods
        self._extra_hosts = extra_hosts or {}

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        started = time.perf_counter()
        host = hostname(environ)
        service = service_of(host) or self._extra_hosts.get(host)
        client = str(environ.get("REMOTE_ADDR", ""))
        environ[wsgi.POD_KEY] = self._pods.name(client)
        identity: Identity = environ.get(wsgi.IDENTITY_KEY, NOBODY)
        body = buffer_body(environ)
        chunks, status, headers, error = self._answer(service, identity.tenant, environ)
        self._journal.append(
            Event(
                kind="http",
                service=service.value if service else "",
                method=str(environ["REQUEST_METHOD"]),
                host=host,
                path=str(environ["PATH_INFO"]).encode("latin-1").decode("utf-8", "replace"),
                query=parse_qs(str(environ.get("QUERY_STRING", "")), keep_blank_values=True),
                request=decoded(body, str(environ.get("CONTENT_TYPE", ""))),
                status=int(status.split(" ", 1)[0]),
                duration_ms=round((time.perf_counter() - started) * 1000, 3),
                client=client,
                pod=environ[wsgi.POD_KEY],
                unmocked=wsgi.UNMOCKED_HEADER in headers,
                error=error,
                identity=identity,
            )
        )
        start_response(status, headers.to_wsgi_list())
        return chunks

    def _answer(
        self, service: Service | None, tenant: str, environ: "WSGIEnvironment"
    ) -> tuple[Iterable[bytes], str, Headers, str]:
        """(body, status line, headers, error) of the fake, buffered so that the journal comes first."""
        application: WSGIApplication
        if service is None:
            what = f"host {hostname(environ) or '(none)'}"
            application = wsgi.unmocked_response(what)
        else:
            application = self._fakes.world(tenant).applications()[service]
        error = ""
        try:
            chunks, status, headers = run_wsgi_app(application, environ, buffered=True)
        except Exception as bug:
            traceback.print_exc()
            error = f"{type(bug).__name__}: {bug}"
            failure = wsgi.json_response({"error": f"the mocks failed: {error}"}, 500)
            chunks, status, headers = run_wsgi_app(failure, environ, buffered=True)
        return chunks, status, headers, error
