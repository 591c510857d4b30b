"""What a Slack workspace is made of, and how the Web API shows it."""

import zlib
from dataclasses import dataclass, field
from typing import Any

TEAM_ID, USER_ID, BOT_ID, APP_ID = "T0ITEST000", "U0ITEST000", "B0ITEST000", "A0ITEST000"
CREATED = 1_577_836_800
"""When everything that is there from the start was made (2020-01-01)."""


def stable_id(prefix: str, name: str) -> str:
    """A stable id in Slack's form for a name."""
    return f"{prefix}0{zlib.crc32(name.encode()):08X}"


@dataclass(frozen=True, slots=True)
class Channel:
    """A conversation. `name` is without '#'; `users` are a direct message's. `is_member`: the bot is in it."""

    name: str
    is_member: bool = True
    is_private: bool = False
    is_archived: bool = False
    users: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        return stable_id("D" if self.users else "C", self.name)

    def shown(self) -> dict[str, Any]:
        """A conversation object (docs.slack.dev/reference/objects/conversation-object)."""
        if self.users:
            return {
                "id": self.id,
                "created": CREATED,
                "is_im": True,
                "is_org_shared": False,
                "user": self.users[0],
            }
        empty = {"value": "", "creator": "", "last_set": 0}
        return {
            "id": self.id,
            "name": self.name,
            "name_normalized": self.name,
            "is_channel": not self.is_private,
            "is_group": self.is_private,
            "is_im": False,
            "is_mpim": False,
            "is_private": self.is_private,
            "is_archived": self.is_archived,
            "is_general": False,
            "is_member": self.is_member,
            "is_shared": False,
            "is_ext_shared": False,
            "is_org_shared": False,
            "created": CREATED,
            "creator": USER_ID,
            "unlinked": 0,
            "topic": empty,
            "purpose": empty,
            "previous_names": [],
            "num_members": 1 if self.is_member else 0,
        }


@dataclass(frozen=True, slots=True)
class User:
    """A person or the bot. `name` is the handle without '@'."""

    name: str
    email: str = ""
    real_name: str = ""
    is_bot: bool = False

    @property
    def id(self) -> str:
        return USER_ID if self.is_bot else stable_id("U", self.name)

    def shown(self) -> dict[str, Any]:
        """A user object (docs.slack.dev/reference/objects/user-object)."""
        shown_name = self.real_name or self.name
        profile = {"real_name": shown_name, "display_name": self.name, "team": TEAM_ID, "image_48": ""}
        if self.email:
            profile["email"] = self.email
        return {
            "id": self.id,
            "team_id": TEAM_ID,
            "name": self.name,
            "real_name": shown_name,
            "deleted": False,
            "is_bot": self.is_bot,
            "is_admin": False,
            "is_app_user": False,
            "updated": CREATED,
            "profile": profile,
        }


BOT = User("release-automation", real_name="Release automation", is_bot=True)


@dataclass(slots=True)
class File:
    """A file being uploaded or, once `complete`, shared in `channels` (names)."""

    id: str
    name: str
    length: int
    upload_token: str
    content: bytes | None = None
    title: str = ""
    complete: bool = False
    created: int = 0
    channels: tuple[str, ...] = ()

    def shown(self) -> dict[str, Any]:
        """A file object (docs.slack.dev/reference/objects/file-object)."""
        kind = self.name.rpartition(".")[2] if "." in self.name else "text"
        return {
            "id": self.id,
            "created": self.created,
            "timestamp": self.created,
            "name": self.name,
            "title": self.title or self.name,
            "mimetype": "text/plain" if kind in ("txt", "text") else "application/octet-stream",
            "filetype": kind,
            "user": USER_ID,
            "size": self.length,
            "mode": "hosted",
            "is_external": False,
            "is_public": bool(self.channels),
            "url_private": f"https://files.slack.com/files-pri/{TEAM_ID}-{self.id}/{self.name}",
            "permalink": f"https://itest.slack.com/files/{USER_ID}/{self.id}/{self.name}",
            "channels": [stable_id("C", name) for name in self.channels],
            "groups": [],
            "ims": [],
        }


@dataclass(slots=True)
class Message:
    """A posted message. `ts` is its id in the channel; `channel` is the name without '#'; `edited` when it was."""

    ts: str
    channel: str
    text: str
    blocks: list[dict[str, Any]]
    attachments: list[dict[str, Any]]
    thread_ts: str | None
    user: str
    pod: str
    edited: str | None = None
    reactions: dict[str, list[str]] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)

    def shown(self) -> dict[str, Any]:
        """A message (docs.slack.dev/messaging/retrieving-messages)."""
        shown: dict[str, Any] = {
            "type": "message",
            "text": self.text,
            "ts": self.ts,
            "user": self.user,
            "bot_id": BOT_ID,
            "app_id": APP_ID,
            "team": TEAM_ID,
        }
        if self.blocks:
            shown["blocks"] = self.blocks
        if self.attachments:
            shown["attachments"] = self.attachments
        if self.thread_ts is not None:
            shown["thread_ts"] = self.thread_ts
        if self.edited is not None:
            shown["edited"] = {"user": self.user, "ts": self.edited}
        if self.reactions:
            shown["reactions"] = [
                {"name": name, "users": users, "count": len(users)} for name, users in self.reactions.items()
            ]
        return shown


@dataclass(frozen=True, slots=True)
class Scheduled:
    """A message that is posted at `post_at` (UNIX seconds); its message has no time yet."""

    id: str
    post_at: int
    created: int
    message: Message

    def shown(self) -> dict[str, Any]:
        """An item of chat.scheduledMessages.list."""
        return {
            "id": self.id,
            "channel_id": stable_id("C", self.message.channel),
            "post_at": self.post_at,
            "date_created": self.created,
            "text": self.message.text,
        }
