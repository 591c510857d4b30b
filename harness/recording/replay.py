"""A recording asked again of another server, and what it answers otherwise: statuses, and the shapes of answers.

Values are not compared, for ids and times differ. What the server answered in place of a recorded value is put into the
requests that follow, so that a message that was changed in the recording is the one that was posted here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx

from harness.mocks.exchanges import Exchange, kept_body
from harness.mocks.journal import REDACTED

SHORTEST = 6
"""Characters of the shortest value that is taken for an id when it differs: shorter ones are words and flags."""
Step = str | int
Leaf = tuple[tuple[Step, ...], Any]


@dataclass(frozen=True, slots=True)
class Difference:
    """What one exchange answers otherwise: `recorded` and `replayed` at `where` (status, or a path in the answer)."""

    exchange: str
    where: str
    recorded: str
    replayed: str

    def __str__(self) -> str:
        return f"{self.exchange}: {self.where} was {self.recorded}, is {self.replayed}"


def load(path: Path) -> list[Exchange]:
    """Read a recording. Raises ValueError naming the file when it is none."""
    try:
        return [Exchange(**item) for item in json.loads(path.read_text())["exchanges"]]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is no recording: {error}") from error


def replay(exchanges: Sequence[Exchange], client: httpx.Client) -> list[Difference]:
    """Ask `client`, which brings its own credentials, what was recorded, and compare."""
    known: dict[str, str] = {}
    found: list[Difference] = []
    for exchange in exchanges:
        asked = _translated(exchange, known)
        answer = client.request(
            asked.method,
            asked.path,
            params=_without_secrets(asked.query),
            **_body(asked),
        )
        body = kept_body(answer.content, answer.headers.get("Content-Type", ""))
        known.update(_renamed(exchange.response, body))
        found += _differences(exchange, answer.status_code, body)
    return found


def _translated(exchange: Exchange, known: Mapping[str, str]) -> Exchange:
    text = json.dumps({"path": exchange.path, "query": exchange.query, "request": exchange.request})
    for recorded, here in sorted(known.items(), key=lambda pair: -len(pair[0])):
        text = text.replace(json.dumps(recorded)[1:-1], json.dumps(here)[1:-1])
    return replace(exchange, **json.loads(text))


def _without_secrets(query: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in query.items() if REDACTED not in value}


def _body(exchange: Exchange) -> dict[str, Any]:
    """httpx's arguments for the recorded body."""
    if not isinstance(exchange.request, dict):
        return {} if exchange.request is None else {"json": exchange.request}
    given = {name: value for name, value in exchange.request.items() if value != REDACTED}
    kind = exchange.request_headers.get("content-type", "")
    return {"data": given} if kind.startswith("application/x-www-form-urlencoded") else {"json": given}


def _leaves(value: Any, path: tuple[Step, ...] = ()) -> Iterator[Leaf]:
    items = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    )
    if items is None:
        yield path, value
        return
    for name, item in items:
        yield from _leaves(item, (*path, name))


def _renamed(recorded: Any, here: Any) -> dict[str, str]:
    """Recorded texts to the texts that stand in their places."""
    places = dict(_leaves(here))
    return {
        value: places[path]
        for path, value in _leaves(recorded)
        if isinstance(value, str)
        and len(value) >= SHORTEST
        and isinstance(places.get(path), str)
        and places[path] != value
    }


def _differences(exchange: Exchange, status: int, body: Any) -> Iterator[Difference]:
    name = f"{exchange.method} {exchange.path}"
    if status != exchange.status:
        yield Difference(name, "status", str(exchange.status), str(status))
    recorded, replayed = _shape(exchange.response), _shape(body)
    for place in sorted(recorded.keys() | replayed.keys()):
        was, now = recorded.get(place, "absent"), replayed.get(place, "absent")
        if was != now:
            yield Difference(name, place or "the answer", was, now)
    if isinstance(body, dict) and isinstance(exchange.response, dict):
        was, now = (str(answer.get("error")) for answer in (exchange.response, body))
        if was != now and "error" in (recorded.keys() & replayed.keys()):
            yield Difference(name, "error", was, now)


def _shape(value: Any, place: str = "") -> dict[str, str]:
    """Places to types; of a list's items all shapes together, as its length says nothing."""
    if isinstance(value, dict):
        below = [_shape(item, f"{place}.{name}" if place else str(name)) for name, item in value.items()]
        return {place: "object"} | {key: kind for shape in below for key, kind in shape.items()}
    if isinstance(value, list):
        items = [_shape(item, f"{place}[]") for item in value]
        return {place: "array"} | {key: kind for shape in items for key, kind in shape.items()}
    kinds = {bool: "boolean", int: "number", float: "number", str: "string", type(None): "null"}
    return {place: kinds[type(value)]}
