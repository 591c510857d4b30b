"""What every HTTP fake is built from: a router over methods, JSON answers and one way to say "not mocked"."""

import json
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from werkzeug.exceptions import BadRequest, HTTPException, MethodNotAllowed, NotFound
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request, Response

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    __all__ = ["StartResponse", "WSGIApplication", "WSGIEnvironment"]

POD_KEY = "itest.pod"
IDENTITY_KEY = "itest.identity"
"""Environment key of the `Identity` that opened the connection."""
UNMOCKED_HEADER = "X-Not-Mocked"
COMPILING = threading.Lock()
"""Held while werkzeug compiles routes: two threads that make syntax trees at once spoil each other's count of how deep
they are in CPython 3.11 (`SystemError: AST constructor recursion depth mismatch`), as that is kept once a process."""

Handler = Callable[..., Response]
Route = tuple[str, str, Handler]


class Unmocked(Exception):
    """The request reached a fake that does not model this part of the real service."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


def json_response(body: Any, status: int = 200) -> Response:
    """`body` as a JSON answer."""
    return Response(json.dumps(body), status=status, content_type="application/json; charset=utf-8")


def unmocked_response(what: str) -> Response:
    """A 501 that names what is missing; its header tells the journal."""
    response = json_response({"error": f"not mocked: {what}", "unmocked": what}, 501)
    response.headers[UNMOCKED_HEADER] = "1"
    return response


def pod_of(request: Request) -> str:
    """The calling pod's name, as the gateway found it."""
    return str(request.environ.get(POD_KEY, ""))


def path_of(environ: "WSGIEnvironment") -> str:
    """The decoded path as text."""
    return str(environ["PATH_INFO"]).encode("latin-1").decode("utf-8", "replace")


def json_object(request: Request) -> dict[str, Any]:
    """The request's body as a JSON object. Raises BadRequest with a reason."""
    try:
        body = json.loads(request.get_data())
    except ValueError as error:
        raise BadRequest(f"the body is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise BadRequest("the body must be a JSON object")
    return body


def refuse_unknown(request: Request, known: Iterable[str]) -> None:
    """Raise Unmocked for a query parameter not in `known`: ignoring one would be an answer that lies."""
    unknown = sorted(set(request.args) - set(known))
    if unknown:
        raise Unmocked(
            f"query parameter {', '.join(unknown)} of {request.method} {request.host}{request.path}"
        )


class Router:
    """A WSGI application that maps (method, werkzeug rule, handler) routes.

    A handler gets the Request and the rule's variables. What no route matches is answered 501.
    `on_error` shapes an HTTPException into the real service's error body.
    """

    def __init__(self, routes: Sequence[Route], on_error: Callable[[HTTPException], Response]) -> None:
        rules = [Rule(rule, methods=[method], endpoint=handler) for method, rule, handler in routes]
        with COMPILING:
            self._map = Map(rules, strict_slashes=False, merge_slashes=False)
        self._on_error = on_error

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        return self.respond(Request(environ))(environ, start_response)

    def respond(self, request: Request) -> Response:
        """Find the handler and run it."""
        try:
            handler, arguments = self._map.bind_to_environ(request.environ).match()
        except (NotFound, MethodNotAllowed):
            return unmocked_response(f"{request.method} {request.host}{request.path}")
        try:
            response: Response = handler(request, **arguments)
        except Unmocked as error:
            return unmocked_response(error.what)
        except HTTPException as error:
            return self._on_error(error)
        return response
