"""The control API's part about Slack: what was said, and who and what is there."""

from dataclasses import asdict
from typing import Any, TypeVar

from werkzeug.exceptions import BadRequest, NotFound
from werkzeug.wrappers import Request, Response

from harness.mocks.control_parts import clearing, done
from harness.mocks.fakes import World
from harness.mocks.slack.models import Channel, User
from harness.mocks.wsgi import Route, json_object, json_response

T = TypeVar("T", Channel, User)


def slack_routes() -> list[Route]:
    """Routes whose handlers take (world, request)."""
    return [
        ("GET", "/slack/messages", _messages),
        ("GET", "/slack/scheduled", _scheduled),
        ("GET", "/slack/files", _files),
        ("GET", "/slack/files/<file_id>", _content),
        ("GET", "/slack/channels", _channels),
        ("PUT", "/slack/channels", _set_channels),
        ("PUT", "/slack/users", _set_users),
        ("DELETE", "/slack", clearing(lambda world: world.slack.reset())),
    ]


def _messages(world: World, request: Request) -> Response:
    found = world.slack.messages(request.args.get("channel"))
    return json_response([asdict(message) for message in found])


def _scheduled(world: World, _request: Request) -> Response:
    return json_response(
        [
            {"id": one.id, "post_at": one.post_at, "channel": one.message.channel, "text": one.message.text}
            for one in world.slack.scheduled()
        ]
    )


def _files(world: World, _request: Request) -> Response:
    names = ("id", "name", "title", "length", "channels")
    return json_response([{name: getattr(file, name) for name in names} for file in world.slack.files()])


def _content(world: World, _request: Request, file_id: str) -> Response:
    found = next((file for file in world.slack.files() if file.id == file_id), None)
    if found is None:
        raise NotFound(f"no file {file_id!r}")
    return Response(found.content or b"", content_type="application/octet-stream")


def _channels(world: World, _request: Request) -> Response:
    return json_response({"channels": [channel.name for channel in world.slack.channels()]})


def _set_channels(world: World, request: Request) -> Response:
    world.slack.set_channels(_made(Channel, json_object(request), "channels"))
    return done()


def _set_users(world: World, request: Request) -> Response:
    world.slack.set_users(_made(User, json_object(request), "users"))
    return done()


def _made(kind: type[T], body: dict[str, Any], name: str) -> list[T]:
    """The list under `name`, each item a name or an object with `kind`'s fields. Raises BadRequest."""
    given = body.get(name)
    if not isinstance(given, list):
        raise BadRequest(f"{name!r} must be a list")
    made = []
    for item in given:
        known = {"name": item} if isinstance(item, str) else item
        if not isinstance(known, dict) or not isinstance(known.get("name"), str):
            raise BadRequest(f"{name!r} must be a list of names or of objects with a name")
        try:
            made.append(kind(**{**known, "name": known["name"].lstrip("#@")}))
        except TypeError as error:
            raise BadRequest(f"{name!r}: {error}") from error
    return made
