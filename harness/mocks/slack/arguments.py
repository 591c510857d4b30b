"""A Web API call's arguments: from JSON or a form, the token in the header or among them, as slack_sdk sends them."""

import json
from collections.abc import Sequence
from typing import Any

from werkzeug.wrappers import Request

from harness.mocks.slack.errors import SlackError
from harness.mocks.wsgi import json_object, pod_of

MAX_PAGE = 1000


class Arguments:
    """One call's arguments by name; an argument that is missing or empty is None. Raises SlackError."""

    def __init__(self, request: Request) -> None:
        self.request = request
        if request.mimetype == "application/json" and request.get_data():
            self._given: dict[str, Any] = json_object(request)
        else:
            self._given = {**request.args.to_dict(), **request.form.to_dict()}

    @property
    def token(self) -> str:
        """The caller's token, or nothing."""
        header = self.request.headers.get("Authorization", "")
        return header.removeprefix("Bearer ") if header else str(self._given.get("token", ""))

    @property
    def pod(self) -> str:
        return pod_of(self.request)

    def has(self, name: str) -> bool:
        """Whether it was given at all."""
        return name in self._given

    def raw(self, name: str) -> Any:
        """As it was sent."""
        value = self._given.get(name)
        return None if value == "" else value

    def text(self, name: str) -> str | None:
        value = self.raw(name)
        return None if value is None else str(value)

    def needed(self, name: str, error: str = "invalid_arguments") -> str:
        """The text under `name`, or the error that the method's page gives for its absence."""
        value = self.text(name)
        if value is None:
            raise SlackError(error, f"[ERROR] missing required field: {name}")
        return value

    def number(self, name: str, error: str = "invalid_arguments") -> int | None:
        value = self.text(name)
        if value is None:
            return None
        if not value.isdecimal():
            raise SlackError(error, f"[ERROR] not a number: {name}")
        return int(value)

    def flag(self, name: str) -> bool:
        """Forms write booleans as 1, 0, true or false."""
        return str(self.raw(name)).lower() in ("1", "true")

    def list_of(self, name: str, error: str) -> list[dict[str, Any]]:
        """A JSON array of objects, which forms carry as text."""
        value = self.raw(name)
        if isinstance(value, str):
            try:
                value = json.loads(value)
            except ValueError as malformed:
                raise SlackError(error) from malformed
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise SlackError(error)
        return value

    def page(self, items: Sequence[Any], default: int) -> tuple[Sequence[Any], str]:
        """The page of `items` that `cursor` and `limit` ask for, and the cursor of the next one, empty at the end."""
        limit = min(self.number("limit", "invalid_limit") or default, MAX_PAGE)
        cursor = self.text("cursor") or "next:0"
        start = cursor.removeprefix("next:")
        if not start.isdecimal() or not cursor.startswith("next:"):
            raise SlackError("invalid_cursor")
        end = int(start) + limit
        return items[int(start) : end], f"next:{end}" if end < len(items) else ""
