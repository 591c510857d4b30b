"""What the parts of the control API share: reading lists, plain answers, resets of one fake."""

from collections.abc import Callable
from typing import Any

from werkzeug.exceptions import BadRequest
from werkzeug.wrappers import Request, Response

from harness.mocks.fakes import World
from harness.mocks.wsgi import json_response


def done(changed: Any = None) -> Response:
    """The answer to a change: what it changed, if that is given."""
    return json_response({"ok": True} if changed is None else changed)


def clearing(reset: Callable[[World], None]) -> Callable[..., Response]:
    """A handler that puts one fake of a world back to pristine."""

    def clear(world: World, _request: Request) -> Response:
        reset(world)
        return done()

    return clear


def list_of(body: dict[str, Any], name: str, kind: type) -> list[Any]:
    """The list under `name`, all of one type. Raises BadRequest."""
    value = body.get(name)
    if not isinstance(value, list) or not all(isinstance(item, kind) for item in value):
        raise BadRequest(f"{name!r} must be a list, each item a {kind.__name__}")
    return value
