"""Slack Web API: `chat.postMessage` and `auth.test`, with channels and messages as state.

Requests come as JSON or as a form with the token in the header or in the form, as slack_sdk sends them.
Slack answers 200 for its own errors: `{"ok": false, "error": "<code>"}`.
"""

import json
import re
import threading
import time
import zlib
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any

from werkzeug.exceptions import BadRequest, HTTPException
from werkzeug.wrappers import Request, Response

from harness.mocks.wsgi import Router, json_object, json_response, pod_of

DEFAULT_CHANNELS = ("ic-os-rollout",)
MAX_BLOCKS = 50
TEAM_ID, USER_ID, BOT_ID, APP_ID = "T0ITEST000", "U0ITEST000", "B0ITEST000", "A0ITEST000"
_TS = re.compile(r"\d+\.\d{6}")


class SlackError(Exception):
    """One of Slack's documented error codes."""


@dataclass(frozen=True, slots=True)
class Message:
    """A posted message. `ts` is its id in the channel; `channel` is the name without '#'."""

    ts: str
    channel: str
    text: str
    blocks: list[dict[str, Any]]
    thread_ts: str | None
    user: str
    pod: str


def channel_id(name: str) -> str:
    """A stable id in Slack's form for a channel name."""
    return f"C0{zlib.crc32(name.encode()):08X}"


def parse_blocks(value: Any) -> list[dict[str, Any]]:
    """Blocks as JSON text (forms) or as a list (JSON bodies). Raises SlackError("invalid_blocks...")."""
    if value is None or value == "":
        return []
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError as error:
            raise SlackError("invalid_blocks_format") from error
    if not isinstance(value, list):
        raise SlackError("invalid_blocks_format")
    well_formed = all(isinstance(block, dict) and isinstance(block.get("type"), str) for block in value)
    if not well_formed or len(value) > MAX_BLOCKS:
        raise SlackError("invalid_blocks")
    return value


def _http_error(error: HTTPException) -> Response:
    return json_response(
        {"ok": False, "error": "invalid_json"}, 200 if isinstance(error, BadRequest) else 500
    )


class Slack:
    """One workspace with one bot, whose token is `token`."""

    def __init__(self, token: str, now: Callable[[], float] = time.time) -> None:
        self._token = token
        self._now = now
        self._lock = threading.Lock()
        self._channels: tuple[str, ...] = DEFAULT_CHANNELS
        self._messages: list[Message] = []
        self._posted = 0
        self._last_microseconds = 0
        self.app = Router(
            [
                ("POST", "/api/chat.postMessage", lambda request: self._call(request, self._post_message)),
                ("POST", "/api/auth.test", lambda request: self._call(request, self._auth_test)),
                ("GET", "/api/auth.test", lambda request: self._call(request, self._auth_test)),
            ],
            _http_error,
        )

    def reset(self) -> None:
        """No messages, the default channels."""
        with self._lock:
            self._channels = DEFAULT_CHANNELS
            self._messages.clear()

    def posted(self) -> int:
        """How many messages were ever accepted; `reset` does not lower it."""
        with self._lock:
            return self._posted

    def changes(self) -> list[str]:
        """How it differs from a new one, each in a few words."""
        with self._lock:
            differs = {
                f"{len(self._messages)} Slack messages": bool(self._messages),
                "other Slack channels": self._channels != DEFAULT_CHANNELS,
            }
        return [what for what, true in differs.items() if true]

    def set_channels(self, names: Iterable[str]) -> None:
        """Replace the channels that exist (names without '#')."""
        with self._lock:
            self._channels = tuple(names)

    def channels(self) -> tuple[str, ...]:
        """Names of the channels that exist."""
        with self._lock:
            return self._channels

    def messages(self, channel: str | None = None) -> list[dict[str, Any]]:
        """Messages in the order they were posted, of one channel (name or id) if given."""
        with self._lock:
            name = None if channel is None else (self._channel_name(channel) or channel)
            return [asdict(message) for message in self._messages if name in (None, message.channel)]

    def _call(self, request: Request, method: Callable[[dict[str, Any], str], dict[str, Any]]) -> Response:
        if request.mimetype == "application/json" and request.get_data():
            arguments = json_object(request)
        else:
            arguments = {**request.args.to_dict(), **request.form.to_dict()}
        try:
            self._check_token(request, arguments)
            return json_response({"ok": True, **method(arguments, pod_of(request))})
        except SlackError as error:
            return json_response({"ok": False, "error": str(error)})

    def _check_token(self, request: Request, arguments: dict[str, Any]) -> None:
        header = request.headers.get("Authorization", "")
        token = header.removeprefix("Bearer ") if header else arguments.get("token", "")
        if not token:
            raise SlackError("not_authed")
        if token != self._token:
            raise SlackError("invalid_auth")

    def _auth_test(self, _arguments: dict[str, Any], _pod: str) -> dict[str, Any]:
        return {
            "url": "https://itest.slack.com/",
            "team": "itest",
            "user": "release-automation",
            "team_id": TEAM_ID,
            "user_id": USER_ID,
            "bot_id": BOT_ID,
            "is_enterprise_install": False,
        }

    def _post_message(self, arguments: dict[str, Any], pod: str) -> dict[str, Any]:
        text = str(arguments.get("text") or "")
        blocks = parse_blocks(arguments.get("blocks"))
        thread_ts = arguments.get("thread_ts")
        if thread_ts is not None and not _TS.fullmatch(str(thread_ts)):
            raise SlackError("invalid_thread_ts")
        with self._lock:
            channel = self._channel_name(str(arguments.get("channel") or ""))
            if channel is None:
                raise SlackError("channel_not_found")
            if not (text.strip() or blocks or arguments.get("attachments")):
                raise SlackError("no_text")
            ts = self._next_ts()
            message = Message(
                ts, channel, text, blocks, str(thread_ts) if thread_ts is not None else None, USER_ID, pod
            )
            self._messages.append(message)
            self._posted += 1
        return {"channel": channel_id(channel), "ts": ts, "message": _as_slack_shows(message)}

    def _channel_name(self, channel: str) -> str | None:
        for name in self._channels:
            if channel in (name, f"#{name}", channel_id(name)):
                return name
        return None

    def _next_ts(self) -> str:
        self._last_microseconds = max(int(self._now() * 1_000_000), self._last_microseconds + 1)
        seconds, microseconds = divmod(self._last_microseconds, 1_000_000)
        return f"{seconds}.{microseconds:06d}"


def _as_slack_shows(message: Message) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "type": "message",
        "subtype": "bot_message",
        "text": message.text,
        "ts": message.ts,
        "user": USER_ID,
        "bot_id": BOT_ID,
        "app_id": APP_ID,
        "team": TEAM_ID,
    }
    if message.blocks:
        shown["blocks"] = message.blocks
    if message.thread_ts is not None:
        shown["thread_ts"] = message.thread_ts
    return shown
