"""The Web API's methods: their arguments and answers, from each one's page below docs.slack.dev/reference/methods."""

from dataclasses import dataclass
from typing import Any

from harness.mocks.exchanges import Exchange
from tests.contract.schemas import slack_objects as o
from tests.contract.schemas.judgement import Judgement, broken, untyped
from tests.contract.schemas.slack_objects import a, some

LABEL = "docs.slack.dev/reference/methods"
PAGE = frozenset({"cursor", "limit"})
CONTENT = frozenset({"text", "blocks", "attachments", "parse", "link_names", "metadata", "markdown_text"})
POSTING = CONTENT | {"thread_ts", "reply_broadcast", "unfurl_links", "unfurl_media", "as_user"}


@dataclass(frozen=True)
class Method:
    """Arguments that must and may be there, and the fields of a good answer besides `ok`."""

    required: frozenset[str]
    optional: frozenset[str]
    answer: dict[str, Any]


def _method(required: str, optional: frozenset[str], answer: dict[str, Any], **more: Any) -> Method:
    return Method(frozenset(required.split()), optional, a({"ok": {"const": True}, **answer}, **more))


NONE: frozenset[str] = frozenset()
METHODS = {
    "api.test": _method("", frozenset({"error", "foo"}), {}, args={"type": "object"}),
    "auth.test": _method(
        "",
        NONE,
        {"url": o.TEXT, "team": o.TEXT, "user": o.TEXT, "team_id": o.TEAM_ID, "user_id": o.USER_ID},
        bot_id=o.TEXT,
        is_enterprise_install=o.FLAG,
    ),
    "chat.postMessage": _method(
        "channel",
        POSTING | {"icon_emoji", "icon_url", "mrkdwn", "username"},
        {"channel": o.CHANNEL_ID, "ts": o.TS, "message": o.MESSAGE},
    ),
    "chat.update": _method(
        "channel ts",
        CONTENT | {"reply_broadcast", "file_ids", "as_user"},
        {"channel": o.CHANNEL_ID, "ts": o.TS, "text": o.TEXT, "message": o.MESSAGE},
    ),
    "chat.delete": _method("channel ts", frozenset({"as_user"}), {"channel": o.CHANNEL_ID, "ts": o.TS}),
    "chat.getPermalink": _method("channel message_ts", NONE, {"channel": o.CHANNEL_ID, "permalink": o.TEXT}),
    "chat.scheduleMessage": _method(
        "channel post_at",
        POSTING,
        {"channel": o.CHANNEL_ID, "scheduled_message_id": o.TEXT, "post_at": o.NUMBER, "message": o.DELAYED},
    ),
    "chat.scheduledMessages.list": _method(
        "",
        PAGE | {"channel", "latest", "oldest", "team_id"},
        {
            "scheduled_messages": some(
                a(
                    {"id": o.TEXT, "channel_id": o.CHANNEL_ID, "post_at": o.NUMBER, "date_created": o.NUMBER},
                    text=o.TEXT,
                )
            ),
            "response_metadata": o.CURSOR,
        },
    ),
    "chat.deleteScheduledMessage": _method("channel scheduled_message_id", frozenset({"as_user"}), {}),
    "reactions.add": _method("channel name timestamp", NONE, {}),
    "reactions.remove": _method("name", frozenset({"channel", "file", "file_comment", "timestamp"}), {}),
    "reactions.get": _method(
        "",
        frozenset({"channel", "timestamp", "file", "file_comment", "full"}),
        {"type": {"const": "message"}, "channel": o.CHANNEL_ID, "message": o.MESSAGE},
    ),
    "conversations.list": _method(
        "",
        PAGE | {"exclude_archived", "types", "team_id"},
        {"channels": some(o.CONVERSATION), "response_metadata": o.CURSOR},
    ),
    "conversations.info": _method(
        "channel", frozenset({"include_locale", "include_num_members"}), {"channel": o.CONVERSATION}
    ),
    "conversations.history": _method(
        "channel",
        PAGE | {"include_all_metadata", "inclusive", "latest", "oldest"},
        {
            "messages": some(o.MESSAGE),
            "has_more": o.FLAG,
            "pin_count": o.NUMBER,
            "response_metadata": o.CURSOR,
        },
    ),
    "conversations.replies": _method(
        "channel ts",
        PAGE | {"include_all_metadata", "inclusive", "latest", "oldest"},
        {"messages": some(o.MESSAGE), "has_more": o.FLAG, "response_metadata": o.CURSOR},
        pin_count=o.NUMBER,
    ),
    "conversations.open": _method(
        "",
        frozenset({"channel", "users", "return_im", "prevent_creation"}),
        {"channel": {"anyOf": [a({"id": o.CHANNEL_ID}), o.CONVERSATION]}},
        no_op=o.FLAG,
        already_open=o.FLAG,
    ),
    "conversations.join": _method("channel", NONE, {"channel": o.CONVERSATION}),
    "conversations.members": _method(
        "channel", PAGE, {"members": some(o.USER_ID), "response_metadata": o.CURSOR}
    ),
    "users.info": _method("user", frozenset({"include_locale"}), {"user": o.USER}),
    "users.list": _method(
        "",
        PAGE | {"include_locale", "team_id"},
        {"members": some(o.USER), "cache_ts": o.NUMBER, "response_metadata": o.CURSOR},
    ),
    "users.lookupByEmail": _method("email", NONE, {"user": o.USER}),
    "files.getUploadURLExternal": _method(
        "filename length",
        frozenset({"alt_txt", "alt_text", "snippet_type"}),
        {"upload_url": o.TEXT, "file_id": o.FILE_ID},
    ),
    "files.completeUploadExternal": _method(
        "files",
        frozenset({"channel_id", "channels", "initial_comment", "thread_ts", "blocks"}),
        {"files": some(o.FILE)},
    ),
    "files.info": _method("file", PAGE | {"count", "page"}, {"file": o.FILE}),
}


def judge(exchange: Exchange) -> Judgement:
    name = exchange.path.removeprefix("/api/")
    method = METHODS.get(name)
    if method is None:
        return untyped(LABEL, name)
    answered = exchange.response
    if isinstance(answered, dict) and answered.get("ok") is False:
        # A refused call may well lack what it needs, and a fault may have any status.
        return Judgement(name, LABEL, tuple(broken(answered, o.ERROR, "error")))
    faults = _argument_faults(method, exchange)
    if exchange.status != 200:
        faults.append(f"a good answer has the status {exchange.status}")
    return Judgement(name, LABEL, tuple(faults + broken(answered, method.answer, "response")))


def _argument_faults(method: Method, exchange: Exchange) -> list[str]:
    body = exchange.request if isinstance(exchange.request, dict) else {}
    given = ({*body} | {*exchange.query}) - {"token"}
    unknown = given - method.required - method.optional
    missing = method.required - given
    return [f"the page knows no argument {name}" for name in sorted(unknown)] + [
        f"the argument {name} is missing" for name in sorted(missing)
    ]
