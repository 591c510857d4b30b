"""Slack's objects as its documentation describes them, as JSON schemas: no field may be unknown or of another type."""

from typing import Any

REFERENCE = "https://docs.slack.dev/reference"

TEXT = {"type": "string"}
FLAG = {"type": "boolean"}
NUMBER = {"type": "integer"}
CHANNEL_ID = {"type": "string", "pattern": r"^[CDG][A-Z0-9]{8,}$"}
USER_ID = {"type": "string", "pattern": r"^[UW][A-Z0-9]{8,}$"}
FILE_ID = {"type": "string", "pattern": r"^F[A-Z0-9]{8,}$"}
TS = {"type": "string", "pattern": r"^\d{10}\.\d{6}$"}
TEAM_ID = {"type": "string", "pattern": r"^[TE][A-Z0-9]{8,}$"}


def a(required: dict[str, Any], **optional: Any) -> dict[str, Any]:
    """An object with these fields and no others."""
    return {
        "type": "object",
        "required": list(required),
        "properties": {**required, **optional},
        "additionalProperties": False,
    }


def some(items: Any) -> dict[str, Any]:
    """An array."""
    return {"type": "array", "items": items}


BLOCKS = some({"type": "object", "required": ["type"], "properties": {"type": TEXT, "block_id": TEXT}})
"""Blocks come back as they were sent; what may be sent is the mock's to check."""
REACTION = a({"name": TEXT, "users": some(USER_ID), "count": NUMBER})
FILE = a(
    {"id": FILE_ID, "created": NUMBER, "timestamp": NUMBER, "name": TEXT, "title": TEXT, "mimetype": TEXT}
    | {
        "filetype": TEXT,
        "user": USER_ID,
        "size": NUMBER,
        "mode": TEXT,
        "is_external": FLAG,
        "is_public": FLAG,
    }
    | {
        "url_private": TEXT,
        "permalink": TEXT,
        "channels": some(CHANNEL_ID),
        "groups": some(TEXT),
        "ims": some(TEXT),
    }
)
"""objects/file-object"""
MESSAGE = a(
    {"type": {"enum": ["message"]}, "text": TEXT, "ts": TS, "user": USER_ID},
    subtype={"enum": ["bot_message"]},
    bot_id=TEXT,
    app_id=TEXT,
    team=TEAM_ID,
    blocks=BLOCKS,
    attachments=some({"type": "object"}),
    thread_ts=TS,
    edited=a({"user": USER_ID, "ts": TS}),
    reactions=some(REACTION),
    files=some(FILE),
    reply_count=NUMBER,
    reply_users_count=NUMBER,
    latest_reply=TS,
    reply_users=some(USER_ID),
)
"""messaging/retrieving-messages, events/message"""
DELAYED = {
    **MESSAGE,
    "required": ["type", "text", "user"],
    "properties": {**MESSAGE["properties"], "type": {"const": "delayed_message"}},
}
NOTE = a({"value": TEXT, "creator": TEXT, "last_set": NUMBER})
CHANNEL = a(
    {"id": CHANNEL_ID, "name": TEXT, "is_channel": FLAG, "is_group": FLAG, "is_im": FLAG, "created": NUMBER}
    | {
        "is_archived": FLAG,
        "is_general": FLAG,
        "unlinked": NUMBER,
        "name_normalized": TEXT,
        "is_shared": FLAG,
    }
    | {"is_org_shared": FLAG, "is_member": FLAG, "is_private": FLAG, "is_mpim": FLAG, "creator": USER_ID},
    topic=NOTE,
    purpose=NOTE,
    previous_names=some(TEXT),
    num_members=NUMBER,
    is_ext_shared=FLAG,
)
"""objects/conversation-object"""
DIRECT = a({"id": CHANNEL_ID, "created": NUMBER, "is_im": FLAG, "user": USER_ID}, is_org_shared=FLAG)
"""objects/conversation-object, of direct messages"""
CONVERSATION = {"anyOf": [CHANNEL, DIRECT]}
PROFILE = a({"real_name": TEXT, "display_name": TEXT, "team": TEAM_ID, "image_48": TEXT}, email=TEXT)
USER = a(
    {"id": USER_ID, "team_id": TEAM_ID, "name": TEXT, "deleted": FLAG, "is_bot": FLAG, "updated": NUMBER}
    | {"profile": PROFILE},
    real_name=TEXT,
    is_admin=FLAG,
    is_app_user=FLAG,
)
"""objects/user-object"""
CURSOR = a({"next_cursor": TEXT})
ERROR = a(
    {"ok": {"const": False}, "error": {"type": "string", "pattern": "^[a-z_]+$"}},
    response_metadata=a({"messages": some(TEXT)}),
)
"""apis/web-api/#responses: error codes are words with underscores"""
