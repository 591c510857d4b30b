"""The methods `chat.*` and `reactions.*`: what is said, changed, taken back and scheduled."""

from collections.abc import Callable, Mapping
from typing import Any

from harness.mocks.ledger import Kind, note
from harness.mocks.slack.arguments import Arguments
from harness.mocks.slack.blocks import parse_blocks
from harness.mocks.slack.errors import SlackError
from harness.mocks.slack.models import Channel, Message
from harness.mocks.slack.workspace import Workspace

MAX_ATTACHMENTS = 100


def content_of(arguments: Arguments) -> dict[str, Any]:
    """Text, blocks and attachments of a message as they were sent."""
    attachments = arguments.list_of("attachments", "invalid_attachments")
    if len(attachments) > MAX_ATTACHMENTS:
        raise SlackError("too_many_attachments")
    return {
        "text": arguments.text("text") or "",
        "blocks": parse_blocks(arguments.raw("blocks")),
        "attachments": attachments,
    }


def posted(arguments: Arguments, message: Message) -> None:
    """Put a message that was posted into the ledger."""
    note(
        arguments.request,
        Kind.SLACK_MESSAGE,
        message.channel,
        ts=message.ts,
        text=message.text,
        thread_ts=message.thread_ts,
    )


class Chat:
    """Their handlers over one workspace."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def methods(self) -> Mapping[str, Callable[[Arguments], dict[str, Any]]]:
        """By their names."""
        return {
            "chat.postMessage": self._post,
            "chat.update": self._update,
            "chat.delete": self._delete,
            "chat.getPermalink": self._permalink,
            "chat.scheduleMessage": self._schedule,
            "chat.scheduledMessages.list": self._list_scheduled,
            "chat.deleteScheduledMessage": self._unschedule,
            "reactions.add": lambda arguments: self._react(arguments, add=True),
            "reactions.remove": lambda arguments: self._react(arguments, add=False),
            "reactions.get": self._reactions,
        }

    def _channel(self, arguments: Arguments) -> Channel:
        return self._workspace.channel(arguments.needed("channel", "channel_not_found"), writing=True)

    def _draft(self, arguments: Arguments) -> tuple[Channel, Message]:
        content = content_of(arguments)
        channel = self._channel(arguments)
        thread = arguments.text("thread_ts")
        return channel, self._workspace.draft(channel, content, thread, arguments.pod)

    def _post(self, arguments: Arguments) -> dict[str, Any]:
        channel, draft = self._draft(arguments)
        message = self._workspace.post(draft)
        posted(arguments, message)
        # A bot's own message comes back with this subtype; in the channel's history it has none.
        shown = {**message.shown(), "subtype": "bot_message"}
        return {"channel": channel.id, "ts": message.ts, "message": shown}

    def _update(self, arguments: Arguments) -> dict[str, Any]:
        channel = self._channel(arguments)
        content = content_of(arguments)
        given = {name: value for name, value in content.items() if arguments.has(name)}
        message = self._workspace.update(channel, arguments.needed("ts", "message_not_found"), given)
        note(arguments.request, Kind.SLACK_UPDATE, channel.name, ts=message.ts, text=message.text)
        return {"channel": channel.id, "ts": message.ts, "text": message.text, "message": message.shown()}

    def _delete(self, arguments: Arguments) -> dict[str, Any]:
        channel = self._channel(arguments)
        message = self._workspace.delete(channel, arguments.needed("ts", "message_not_found"))
        note(arguments.request, Kind.SLACK_DELETE, channel.name, ts=message.ts)
        return {"channel": channel.id, "ts": message.ts}

    def _permalink(self, arguments: Arguments) -> dict[str, Any]:
        channel = self._workspace.channel(arguments.needed("channel", "channel_not_found"))
        message = self._workspace.message(channel, arguments.needed("message_ts", "message_not_found"))
        link = f"https://itest.slack.com/archives/{channel.id}/p{message.ts.replace('.', '')}"
        return {"channel": channel.id, "permalink": link}

    def _schedule(self, arguments: Arguments) -> dict[str, Any]:
        channel, draft = self._draft(arguments)
        post_at = arguments.number("post_at", "invalid_time")
        if post_at is None:
            raise SlackError("invalid_time")
        scheduled = self._workspace.schedule(draft, post_at)
        what = {"scheduled_message_id": scheduled.id, "post_at": post_at, "text": draft.text}
        note(arguments.request, Kind.SLACK_SCHEDULE, channel.name, **what)
        message = {name: value for name, value in draft.shown().items() if name != "ts"}
        return {
            "channel": channel.id,
            "scheduled_message_id": scheduled.id,
            "post_at": post_at,
            "message": {**message, "type": "delayed_message"},
        }

    def _list_scheduled(self, arguments: Arguments) -> dict[str, Any]:
        given = arguments.text("channel")
        channel = self._workspace.channel(given) if given else None
        page, cursor = arguments.page(self._workspace.scheduled(channel), 100)
        return {
            "scheduled_messages": [one.shown() for one in page],
            "response_metadata": {"next_cursor": cursor},
        }

    def _unschedule(self, arguments: Arguments) -> dict[str, Any]:
        channel = self._channel(arguments)
        wanted = arguments.needed("scheduled_message_id", "invalid_scheduled_message_id")
        scheduled = self._workspace.unschedule(channel, wanted)
        note(arguments.request, Kind.SLACK_DELETE, channel.name, scheduled_message_id=scheduled.id)
        return {}

    def _react(self, arguments: Arguments, *, add: bool) -> dict[str, Any]:
        channel = self._channel(arguments)
        name = arguments.needed("name", "invalid_name").strip(":")
        ts = arguments.needed("timestamp", "no_item_specified")
        self._workspace.react(channel, ts, name, add=add)
        note(arguments.request, Kind.SLACK_REACTION, channel.name, ts=ts, name=name, added=add)
        return {}

    def _reactions(self, arguments: Arguments) -> dict[str, Any]:
        channel = self._workspace.channel(arguments.needed("channel", "no_item_specified"))
        message = self._workspace.message(channel, arguments.needed("timestamp", "no_item_specified"))
        return {"type": "message", "channel": channel.id, "message": message.shown()}
