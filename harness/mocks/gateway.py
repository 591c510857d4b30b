"""The front door of every fake: finds the caller's world and in it the fake for the Host header, has the exchange meet
its faults, and journals it before it answers."""

import io
import json
import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from werkzeug.datastructures import EnvironHeaders, Headers
from werkzeug.test import run_wsgi_app
from werkzeug.wsgi import get_input_stream

from harness.mocks import wsgi
from harness.mocks.connections import ConnectionAborted
from harness.mocks.exchanges import Exchange as KeptExchange
from harness.mocks.exchanges import ExchangeLog, kept_body, kept_headers
from harness.mocks.fakes import Fakes
from harness.mocks.fault_answers import error_answer, garbage, half
from harness.mocks.faults import Exchange, Fault, FaultKind
from harness.mocks.identity import NOBODY, Identity
from harness.mocks.journal import Event, Journal, redact
from harness.mocks.ledger import EFFECTS_KEY
from harness.mocks.names import Service
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


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request is answered. `error`: a bug of the fake. `ending`: the faults that make the connection's end."""

    body: bytes
    status: str
    headers: Headers
    error: str = ""
    ending: FaultKind | None = None


class Gateway:
    """WSGI application. `service_of` tells which fake answers for a host.

    The caller is the `Identity` under `wsgi.IDENTITY_KEY` in the environment, nobody when there is none.
    Raises ConnectionAborted where a fault ends the connection.
    """

    def __init__(
        self,
        fakes: Fakes,
        journal: Journal,
        pods: PodNames,
        service_of: Callable[[str], Service | None],
        exchanges: ExchangeLog | None = None,
    ) -> None:
        self._exchanges = exchanges
        self._fakes = fakes
        self._journal = journal
        self._pods = pods
        self._service_of = service_of

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        started = time.perf_counter()
        host, client = hostname(environ), str(environ.get("REMOTE_ADDR", ""))
        service = self._service_of(host)
        environ[wsgi.POD_KEY] = self._pods.name(client)
        # Put here, since fakes are run on a copy of the environment.
        effects: list[dict[str, Any]] = []
        environ[EFFECTS_KEY] = effects
        identity: Identity = environ.get(wsgi.IDENTITY_KEY, NOBODY)
        body = buffer_body(environ)
        faults = self._faults(service, identity, environ)
        answer = self._answer(service, identity.tenant, environ, faults)
        self._journal.append(
            Event(
                kind="http",
                service=service.value if service else "",
                method=str(environ["REQUEST_METHOD"]),
                host=host,
                path=wsgi.path_of(environ),
                query=parse_qs(str(environ.get("QUERY_STRING", "")), keep_blank_values=True),
                request=decoded(body, str(environ.get("CONTENT_TYPE", ""))),
                status=int(answer.status.split(" ", 1)[0]),
                duration_ms=round((time.perf_counter() - started) * 1000, 3),
                client=client,
                pod=environ[wsgi.POD_KEY],
                unmocked=wsgi.UNMOCKED_HEADER in answer.headers,
                error=answer.error,
                port=int(environ.get("SERVER_PORT") or 0),
                faults=tuple(fault.kind.value for fault in faults),
                effects=tuple(effects),
                identity=identity,
            )
        )
        if self._exchanges is not None:
            self._exchanges.append(_exchange(service, environ, body, answer, faults))
        if answer.ending is FaultKind.RESET:
            raise ConnectionAborted(reset=True)
        start_response(answer.status, answer.headers.to_wsgi_list())
        return _cut(answer.body) if answer.ending is FaultKind.DROP_BODY else [answer.body]

    def _faults(self, service: Service | None, identity: Identity, environ: "WSGIEnvironment") -> list[Fault]:
        if service is None:
            return []
        exchange = Exchange(
            service.value,
            str(environ["REQUEST_METHOD"]),
            wsgi.path_of(environ),
            environ[wsgi.POD_KEY],
            identity,
        )
        return self._fakes.world(identity.tenant).faults.meet(exchange)

    def _answer(
        self, service: Service | None, tenant: str, environ: "WSGIEnvironment", faults: list[Fault]
    ) -> Answer:
        """The fake's answer, or what the faults make of it; one before the work keeps the fake out of it."""
        fault = next((fault for fault in faults if fault.kind is not FaultKind.LATENCY), None)
        if service is None or fault is None:
            return self._real_answer(service, tenant, environ)
        if fault.kind is FaultKind.RESET and not fault.after:
            return Answer(b"", "000 no answer", Headers(), ending=fault.kind)
        if fault.kind is FaultKind.ERROR and not fault.after:
            return _run(error_answer(fault, service), environ)
        real = self._real_answer(service, tenant, environ)
        if fault.kind is FaultKind.ERROR:
            return replace(_run(error_answer(fault, service), environ), error=real.error)
        if fault.kind is FaultKind.GARBAGE:
            text = garbage(real.body)
            headers = Headers(real.headers)
            headers["Content-Length"] = str(len(text))
            return replace(real, body=text, headers=headers)
        return replace(real, ending=fault.kind)

    def _real_answer(self, service: Service | None, tenant: str, environ: "WSGIEnvironment") -> Answer:
        """The fake's answer, whole, so that the journal comes first."""
        if service is None:
            return _run(wsgi.unmocked_response(f"host {hostname(environ) or '(none)'}"), environ)
        try:
            return _run(self._fakes.world(tenant).applications()[service], environ)
        except Exception as bug:
            traceback.print_exc()
            error = f"{type(bug).__name__}: {bug}"
            failure = wsgi.json_response({"error": f"the mocks failed: {error}"}, 500)
            return replace(_run(failure, environ), error=error)


def _exchange(
    service: Service | None,
    environ: "WSGIEnvironment",
    body: bytes,
    answer: Answer,
    faults: Iterable[Fault],
) -> KeptExchange:
    content_type = str(environ.get("CONTENT_TYPE", ""))
    form = content_type.startswith("application/x-www-form-urlencoded")
    return KeptExchange(
        service=service.value if service else "",
        method=str(environ["REQUEST_METHOD"]),
        host=hostname(environ),
        path=wsgi.path_of(environ),
        query=redact(parse_qs(str(environ.get("QUERY_STRING", "")), keep_blank_values=True)),
        request_headers=kept_headers(dict(EnvironHeaders(environ))),
        request=redact(decoded(body, content_type)) if form else kept_body(body, content_type),
        status=int(answer.status.split(" ", 1)[0]),
        response_headers=kept_headers(dict(answer.headers)),
        response=kept_body(answer.body, answer.headers.get("Content-Type", "")),
        faults=[fault.kind.value for fault in faults],
    )


def _run(application: "WSGIApplication", environ: "WSGIEnvironment") -> Answer:
    chunks, status, headers = run_wsgi_app(application, environ, buffered=True)
    return Answer(b"".join(chunks), status, headers)


def _cut(body: bytes) -> Iterable[bytes]:
    """Half of the body, and the connection's end."""
    yield half(body)
    raise ConnectionAborted(reset=False)
