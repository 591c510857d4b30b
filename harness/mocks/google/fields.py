"""Partial responses: the parameter `fields` of Google's APIs, such as `nextPageToken, files(id, owners/emailAddress)`.

Grammar: https://developers.google.com/workspace/drive/api/guides/fields-parameter; Sheets also writes dots for slashes.
"""

import re
from typing import Any

from werkzeug.exceptions import BadRequest
from werkzeug.wrappers import Request, Response

from harness.mocks.wsgi import json_response

Mask = dict[str, "Mask"]
"""Fields by name; an empty mask takes all there is."""
_TOKEN = re.compile(r"\s*([A-Za-z_*][\w]*|[(),/.])")


def parse(text: str) -> Mask:
    """Read one mask. Raises BadRequest."""
    tokens, position = [], 0
    while position < len(text.rstrip()):
        match = _TOKEN.match(text, position)
        if match is None:
            raise BadRequest(f"Invalid field selection {text}")
        tokens.append(match[1])
        position = match.end()
    tokens.reverse()
    mask = _list(tokens, text)
    if tokens:
        raise BadRequest(f"Invalid field selection {text}")
    return mask


def _list(tokens: list[str], text: str) -> Mask:
    mask: Mask = {}
    while True:
        _path(tokens, mask, text)
        if not tokens or tokens[-1] != ",":
            return mask
        tokens.pop()


def _path(tokens: list[str], mask: Mask, text: str) -> None:
    if not tokens or tokens[-1] in "(),/.":
        raise BadRequest(f"Invalid field selection {text}")
    below = mask.setdefault(tokens.pop(), {})
    if not tokens or tokens[-1] in "),":
        return
    if tokens.pop() in "/.":
        _path(tokens, below, text)
        return
    below.update(_list(tokens, text))
    if not tokens or tokens.pop() != ")":
        raise BadRequest(f"Invalid field selection {text}")


def select(body: Any, mask: Mask) -> Any:
    """What of `body` the mask takes. Fields that `body` has not are absent, as in an answer without them."""
    if not mask or "*" in mask:
        return body
    if isinstance(body, list):
        return [select(item, mask) for item in body]
    if not isinstance(body, dict):
        return body
    return {name: select(value, mask[name]) for name, value in body.items() if name in mask}


def answer(request: Request, body: dict[str, Any], default: str = "*") -> Response:
    """The part of `body` that the request wants, or that `default` takes if it does not say. Raises BadRequest."""
    return json_response(select(body, parse(request.args.get("fields", default))))
