"""The control API's part about faults: arm one, ask how often it was met, heal it."""

from dataclasses import fields
from typing import Any

from werkzeug.exceptions import BadRequest, NotFound
from werkzeug.wrappers import Request, Response

from harness.mocks.fakes import World
from harness.mocks.faults import Fault, FaultKind
from harness.mocks.names import Service
from harness.mocks.wsgi import Route, json_object, json_response


def fault_routes() -> list[Route]:
    """Routes whose handlers take (world, request)."""
    return [
        ("POST", "/faults", _arm),
        ("GET", "/faults/<int:number>", _hits),
        ("DELETE", "/faults/<int:number>", _heal),
    ]


def _arm(world: World, request: Request) -> Response:
    return json_response({"fault": world.faults.arm(_fault(json_object(request)))})


def _hits(world: World, _request: Request, number: int) -> Response:
    try:
        return json_response({"hits": world.faults.hits(number)})
    except KeyError as error:
        raise NotFound(f"no fault {number}: it is healed") from error


def _heal(world: World, _request: Request, number: int) -> Response:
    try:
        world.faults.heal(number)
    except KeyError as error:
        raise NotFound(f"no fault {number}: it is healed") from error
    return json_response({"ok": True})


def _fault(body: dict[str, Any]) -> Fault:
    """A fault from its fields. Raises BadRequest."""
    unknown = set(body) - {field.name for field in fields(Fault)}
    if unknown:
        raise BadRequest(f"a fault has no {', '.join(sorted(unknown))}")
    services = body.get("services")
    if not isinstance(services, list) or not services or not set(services) <= set(Service):
        raise BadRequest(f"'services' must be some of {', '.join(Service)}")
    if body.get("kind") not in set(FaultKind):
        raise BadRequest(f"'kind' must be one of {', '.join(FaultKind)}")
    status, times, seconds = body.get("status", 500), body.get("times", 1), body.get("seconds", 0.0)
    if type(status) is not int or not 200 <= status <= 599:
        raise BadRequest("'status' must be an HTTP status from 200 to 599")
    if type(body.get("skip", 0)) is not int or body.get("skip", 0) < 0:
        raise BadRequest("'skip' must be a number of exchanges, not negative")
    if body.get("map_index") is not None and type(body["map_index"]) is not int:
        raise BadRequest("'map_index' must be a number, or null")
    if times is not None and (type(times) is not int or times < 1):
        raise BadRequest("'times' must be a number of exchanges, at least 1, or null")
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or seconds < 0:
        raise BadRequest("'seconds' must be a number, not negative")
    return Fault(**{**body, "kind": FaultKind(body["kind"]), "services": tuple(services)})
