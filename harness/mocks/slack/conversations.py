"""The methods `conversations.*`: which channels there are, and what was said in them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from harness.mocks.slack.arguments import Arguments
from harness.mocks.slack.errors import SlackError
from harness.mocks.slack.models import USER_ID, Channel, Message
from harness.mocks.slack.workspace import Workspace

TYPES = ("public_channel", "private_channel", "mpim", "im")


def _type_of(channel: Channel) -> str:
    if channel.users:
        return "im" if len(channel.users) == 1 else "mpim"
    return "private_channel" if channel.is_private else "public_channel"


class Conversations:
    """Their handlers over one workspace."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def methods(self) -> Mapping[str, Callable[[Arguments], dict[str, Any]]]:
        """By their names."""
        return {
            "conversations.list": self._list,
            "conversations.info": self._info,
            "conversations.history": self._history,
            "conversations.replies": self._replies,
            "conversations.open": self._open,
            "conversations.join": self._join,
            "conversations.members": self._members,
        }

    def _find(self, arguments: Arguments) -> Channel:
        return self._workspace.channel(arguments.needed("channel", "channel_not_found"))

    def _list(self, arguments: Arguments) -> dict[str, Any]:
        wanted = [name.strip() for name in (arguments.text("types") or "public_channel").split(",")]
        if not set(wanted) <= set(TYPES):
            raise SlackError("invalid_types")
        found = [
            channel
            for channel in self._workspace.channels()
            if _type_of(channel) in wanted
            and not (channel.is_archived and arguments.flag("exclude_archived"))
        ]
        page, cursor = arguments.page(found, 100)
        return {
            "channels": [channel.shown() for channel in page],
            "response_metadata": {"next_cursor": cursor},
        }

    def _info(self, arguments: Arguments) -> dict[str, Any]:
        return {"channel": self._find(arguments).shown()}

    def _history(self, arguments: Arguments) -> dict[str, Any]:
        channel = self._readable(arguments)
        # Replies are shown in their thread only.
        top = [m for m in self._workspace.messages(channel.name) if m.thread_ts in (None, m.ts)]
        return self._page(arguments, list(reversed(_between(arguments, top))))

    def _replies(self, arguments: Arguments) -> dict[str, Any]:
        channel = self._readable(arguments)
        ts = arguments.needed("ts", "thread_not_found")
        thread = [m for m in self._workspace.messages(channel.name) if ts in (m.ts, m.thread_ts)]
        if not any(message.ts == ts for message in thread):
            raise SlackError("thread_not_found")
        return self._page(arguments, _between(arguments, thread))

    def _readable(self, arguments: Arguments) -> Channel:
        channel = self._find(arguments)
        if not channel.is_member:
            raise SlackError("not_in_channel")
        return channel

    def _page(self, arguments: Arguments, messages: Sequence[Message]) -> dict[str, Any]:
        page, cursor = arguments.page(messages, 100)
        return {
            "messages": [self._shown(message) for message in page],
            "has_more": bool(cursor),
            "pin_count": 0,
            "response_metadata": {"next_cursor": cursor},
        }

    def _shown(self, message: Message) -> dict[str, Any]:
        """A message with its files, and with its thread's figures if it began one."""
        shown = message.shown()
        if message.files:
            shown["files"] = [self._workspace.file(file_id).shown() for file_id in message.files]
        in_channel = self._workspace.messages(message.channel)
        replies = [m for m in in_channel if m.thread_ts == message.ts and m.ts != message.ts]
        if replies:
            shown["thread_ts"] = message.ts
            shown["reply_count"] = len(replies)
            shown["reply_users_count"] = len({reply.user for reply in replies})
            shown["latest_reply"] = replies[-1].ts
            shown["reply_users"] = sorted({reply.user for reply in replies})
        return shown

    def _open(self, arguments: Arguments) -> dict[str, Any]:
        given = arguments.text("channel")
        if given:
            channel, was_open = self._workspace.channel(given), True
        else:
            users = arguments.needed("users", "users_list_not_supplied")
            channel, was_open = self._workspace.open(tuple(user.strip() for user in users.split(",")))
        body: dict[str, Any] = {"channel": {"id": channel.id}}
        if arguments.flag("return_im"):
            body["channel"] = channel.shown()
        return {**body, "no_op": True, "already_open": True} if was_open else body

    def _join(self, arguments: Arguments) -> dict[str, Any]:
        return {"channel": self._workspace.join(arguments.needed("channel", "channel_not_found")).shown()}

    def _members(self, arguments: Arguments) -> dict[str, Any]:
        channel = self._find(arguments)
        members = [*channel.users, *([USER_ID] if channel.is_member else [])]
        page, cursor = arguments.page(members, 100)
        return {"members": list(page), "response_metadata": {"next_cursor": cursor}}


def _between(arguments: Arguments, messages: Sequence[Message]) -> list[Message]:
    """Messages after `oldest` and before `latest`, or with `inclusive` also at them."""
    oldest, latest = arguments.text("oldest") or "", arguments.text("latest") or ""
    edges = {oldest, latest} if arguments.flag("inclusive") else set()
    return [
        message
        for message in messages
        if message.ts in edges or (message.ts > oldest and (not latest or message.ts < latest))
    ]
