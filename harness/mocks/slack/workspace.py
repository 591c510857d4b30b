"""The state of one Slack workspace with one bot: channels, users, messages, scheduled messages, files.

Nothing runs in the background: a scheduled message is posted by whoever next looks after it is due.
"""

import bisect
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from harness.mocks.slack.errors import SlackError
from harness.mocks.slack.models import BOT, USER_ID, Channel, File, Message, Scheduled, User

DEFAULT_CHANNELS = (Channel("ic-os-rollout"),)
DEFAULT_USERS = (BOT,)
MAX_TEXT = 40_000
MAX_SCHEDULE = 120 * 86400
"""How far ahead a message can be scheduled, in seconds (chat.scheduleMessage, `time_too_far`)."""
_TS = re.compile(r"\d+\.\d{6}")


class Workspace:
    """Thread-safe. Names and ids of channels are taken alike, names with or without '#'. Raises SlackError."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self.now = now
        self._lock = threading.RLock()
        self._posted = 0
        self._last_microseconds = 0
        self.reset()

    def reset(self) -> None:
        """No messages and files, the default channels and users."""
        with self._lock:
            self._channels: tuple[Channel, ...] = DEFAULT_CHANNELS
            self._users: tuple[User, ...] = DEFAULT_USERS
            self._messages: list[Message] = []
            self._scheduled: dict[str, Scheduled] = {}
            self._files: dict[str, File] = {}

    def posted(self) -> int:
        """How many messages were ever posted; `reset` does not lower it."""
        with self._lock:
            self._settle()
            return self._posted

    def changes(self) -> list[str]:
        """How it differs from a new one, each in a few words."""
        with self._lock:
            self._settle()
            differs = {
                f"{len(self._messages)} Slack messages": bool(self._messages),
                f"{len(self._scheduled)} scheduled Slack messages": bool(self._scheduled),
                f"{len(self._files)} Slack files": bool(self._files),
                "other Slack channels": self._channels != DEFAULT_CHANNELS,
                "other Slack users": self._users != DEFAULT_USERS,
            }
        return [what for what, true in differs.items() if true]

    def next_due(self) -> float | None:
        """When the next scheduled message is posted, in UNIX seconds; None when there is none."""
        with self._lock:
            self._settle()
            return min((float(one.post_at) for one in self._scheduled.values()), default=None)

    def _settle(self) -> None:
        due = [one for one in self._scheduled.values() if one.post_at <= self.now()]
        for one in sorted(due, key=lambda one: one.post_at):
            del self._scheduled[one.id]
            # Slack gives it the time at which it was due, not at which somebody looks.
            number = sum(message.ts.startswith(f"{one.post_at}.") for message in self._messages)
            self._keep(replace(one.message, ts=f"{one.post_at}.{number:06d}"))

    def _keep(self, message: Message) -> None:
        bisect.insort(self._messages, message, key=lambda kept: kept.ts)
        self._posted += 1

    # ---- channels and users

    def set_channels(self, channels: Iterable[Channel]) -> None:
        """Replace the channels that exist."""
        with self._lock:
            self._channels = tuple(channels)

    def set_users(self, users: Iterable[User]) -> None:
        """Replace the people; the bot stays."""
        with self._lock:
            self._users = (BOT, *users)

    def channels(self) -> tuple[Channel, ...]:
        """All conversations, direct messages too."""
        with self._lock:
            return self._channels

    def users(self) -> tuple[User, ...]:
        """Everybody, the bot first."""
        with self._lock:
            return self._users

    def channel(self, given: str, *, writing: bool = False) -> Channel:
        """A channel by its name or id; for `writing`, the bot must be in it, and it must not be archived."""
        found = next((c for c in self.channels() if given in (c.name, f"#{c.name}", c.id)), None)
        if found is None:
            raise SlackError("channel_not_found")
        if writing and found.is_archived:
            raise SlackError("is_archived")
        if writing and not found.is_member:
            raise SlackError("not_in_channel")
        return found

    def user(self, user_id: str) -> User:
        found = next((user for user in self.users() if user.id == user_id), None)
        if found is None:
            raise SlackError("user_not_found")
        return found

    def open(self, user_ids: tuple[str, ...]) -> tuple[Channel, bool]:
        """The direct message with these users, and whether it was open before."""
        name = ",".join(self.user(user_id).name for user_id in user_ids)
        with self._lock:
            for channel in self._channels:
                if channel.users == user_ids:
                    return channel, True
            opened = Channel(name, users=user_ids)
            self._channels = (*self._channels, opened)
            return opened, False

    def join(self, given: str) -> Channel:
        """Make the bot a member of a public channel."""
        with self._lock:
            channel = self.channel(given)
            if channel.is_archived:
                raise SlackError("is_archived")
            joined = replace(channel, is_member=True)
            self._channels = tuple(joined if one == channel else one for one in self._channels)
            return joined

    # ---- messages

    def messages(self, channel: str | None = None) -> list[Message]:
        """Messages by their time, of one channel (name or id) if given."""
        with self._lock:
            self._settle()
            if channel is None:
                return list(self._messages)
            names = {c.name for c in self._channels if channel in (c.name, f"#{c.name}", c.id)} or {channel}
            return [message for message in self._messages if message.channel in names]

    def message(self, channel: Channel, ts: str) -> Message:
        """One message by its time."""
        found = next((message for message in self.messages(channel.name) if message.ts == ts), None)
        if found is None:
            raise SlackError("message_not_found")
        return found

    def post(self, message: Message) -> Message:
        """Post a message made by `draft`; it gets its time."""
        with self._lock:
            self._settle()
            message.ts = self._next_ts()
            self._keep(message)
            return message

    def draft(self, channel: Channel, content: dict[str, Any], thread_ts: str | None, pod: str) -> Message:
        """A message that is not posted yet. `content`: text, blocks, attachments, files."""
        if thread_ts is not None and not _TS.fullmatch(thread_ts):
            raise SlackError("invalid_thread_ts")
        check_content(content)
        return Message(ts="", channel=channel.name, thread_ts=thread_ts, user=USER_ID, pod=pod, **content)

    def update(self, channel: Channel, ts: str, content: dict[str, Any]) -> Message:
        """Replace what is given of a message's content."""
        check_content(content)
        with self._lock:
            message = self.message(channel, ts)
            for name, value in content.items():
                setattr(message, name, value)
            message.edited = self._next_ts()
            return message

    def delete(self, channel: Channel, ts: str) -> Message:
        """Delete a message."""
        with self._lock:
            message = self.message(channel, ts)
            self._messages.remove(message)
            return message

    def react(self, channel: Channel, ts: str, name: str, *, add: bool) -> None:
        """Add or remove the bot's reaction."""
        with self._lock:
            message = self.message(channel, ts)
            there = USER_ID in message.reactions.get(name, [])
            if add and there:
                raise SlackError("already_reacted")
            if not add and not there:
                raise SlackError("no_reaction")
            if add:
                message.reactions.setdefault(name, []).append(USER_ID)
            else:
                message.reactions.pop(name)

    def schedule(self, message: Message, post_at: int) -> Scheduled:
        """Post a message at a time to come."""
        with self._lock:
            now = self.now()
            if post_at <= now:
                raise SlackError("time_in_past")
            if post_at > now + MAX_SCHEDULE:
                raise SlackError("time_too_far")
            scheduled = Scheduled(f"Q{secrets.token_hex(5).upper()}", post_at, int(now), message)
            self._scheduled[scheduled.id] = scheduled
            return scheduled

    def scheduled(self, channel: Channel | None = None) -> list[Scheduled]:
        """What is not posted yet, by its time."""
        with self._lock:
            self._settle()
            found = [
                s for s in self._scheduled.values() if channel in (None, self.channel(s.message.channel))
            ]
            return sorted(found, key=lambda one: one.post_at)

    def unschedule(self, channel: Channel, scheduled_id: str) -> Scheduled:
        """Take back a scheduled message."""
        with self._lock:
            self._settle()
            found = self._scheduled.get(scheduled_id)
            if found is None or found.message.channel != channel.name:
                raise SlackError("invalid_scheduled_message_id")
            return self._scheduled.pop(scheduled_id)

    def _next_ts(self) -> str:
        self._last_microseconds = max(int(self.now() * 1_000_000), self._last_microseconds + 1)
        seconds, microseconds = divmod(self._last_microseconds, 1_000_000)
        return f"{seconds}.{microseconds:06d}"

    # ---- files

    def reserve(self, name: str, length: int) -> File:
        """A place to upload a file to."""
        with self._lock:
            token = secrets.token_urlsafe(24)
            file = File(f"F{secrets.token_hex(5).upper()}", name, length, token, created=int(self.now()))
            self._files[file.id] = file
            return file

    def upload(self, token: str, content: bytes) -> File | None:
        """Take a file's content; None when nothing was reserved under that token."""
        with self._lock:
            file = next((file for file in self._files.values() if file.upload_token == token), None)
            if file is not None:
                file.content = content
            return file

    def complete(self, file_id: str, title: str, channels: tuple[str, ...]) -> File:
        """Finish an upload, and share the file in channels (names)."""
        with self._lock:
            file = self._files.get(file_id)
            if file is None or file.content is None:
                raise SlackError("file_not_found")
            file.title, file.complete, file.channels = title, True, channels
            return file

    def file(self, file_id: str) -> File:
        """A file that was completely uploaded."""
        with self._lock:
            file = self._files.get(file_id)
            if file is None or not file.complete:
                raise SlackError("file_not_found")
            return file

    def files(self) -> list[File]:
        """All files that were completely uploaded."""
        with self._lock:
            return [file for file in self._files.values() if file.complete]


def check_content(content: dict[str, Any]) -> None:
    """Raise SlackError for a message that says nothing, or too much."""
    if not (str(content.get("text", "")).strip() or content.get("blocks") or content.get("attachments")):
        raise SlackError("no_text")
    if len(str(content.get("text", ""))) > MAX_TEXT:
        raise SlackError("msg_too_long")
