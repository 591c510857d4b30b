"""The test's side of the mocked Slack workspace."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Unpack

from harness.mocks.names import Service
from harness.mocks.readers.connection import Connection
from harness.mocks.readers.faults import Aim, FaultHandle, Scripted


@dataclass(frozen=True, slots=True)
class SlackMessage:
    """A message as it was posted; `channel` is its name without '#', `pod` who posted it."""

    ts: str
    channel: str
    text: str
    blocks: list[dict[str, Any]]
    thread_ts: str | None
    user: str
    pod: str
    attachments: list[dict[str, Any]]
    edited: str | None
    reactions: Mapping[str, list[str]]
    files: list[str]


@dataclass(frozen=True, slots=True)
class ScheduledMessage:
    """A message that is posted at `post_at` (UNIX seconds)."""

    id: str
    post_at: int
    channel: str
    text: str


@dataclass(frozen=True, slots=True)
class SlackFile:
    """A file that was uploaded; `channels` it is shared in, by name."""

    id: str
    name: str
    title: str
    length: int
    channels: list[str]


class SlackReader(Scripted):
    """The mocked workspace."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection, Service.SLACK, Service.SLACK_HOOKS, Service.SLACK_FILES)

    def messages(self, channel: str | None = None) -> list[SlackMessage]:
        """Messages in the order they were posted; `channel` by name (with or without '#') or id."""
        found = self._connection.json("GET", "/slack/messages", channel=channel)
        return [SlackMessage(**message) for message in found]

    def scheduled(self) -> list[ScheduledMessage]:
        """What is scheduled and not posted yet, by its time."""
        return [ScheduledMessage(**item) for item in self._connection.json("GET", "/slack/scheduled")]

    def files(self) -> list[SlackFile]:
        """Files that were completely uploaded."""
        return [SlackFile(**item) for item in self._connection.json("GET", "/slack/files")]

    def content(self, file_id: str) -> bytes:
        """A file's content. MocksRefusedError (404) when it does not exist."""
        return self._connection.call("GET", f"/slack/files/{file_id}").content

    def set_channels(self, channels: Sequence[str | Mapping[str, Any]]) -> None:
        """Make exactly these channels exist: names, or {"name", "is_member", "is_private", "is_archived"}."""
        self._connection.call("PUT", "/slack/channels", {"channels": list(channels)})

    def set_users(self, users: Sequence[str | Mapping[str, Any]]) -> None:
        """Make exactly these people exist besides the bot: names, or {"name", "email", "real_name"}."""
        self._connection.call("PUT", "/slack/users", {"users": list(users)})

    def refuse_next(self, code: str, **aim: Unpack[Aim]) -> FaultHandle:
        """Answer one of Slack's own errors, `{"ok": false, "error": code}` with status 200, such as invalid_auth."""
        return self.fail_next(200, body={"ok": False, "error": code}, **aim)
