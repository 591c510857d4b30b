"""slack_sdk's clients, synchronous and asynchronous, through every method that is mocked; and its webhook client."""

import asyncio
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.models.blocks import DividerBlock, SectionBlock
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.webhook import WebhookClient
from slack_sdk.webhook.async_client import AsyncWebhookClient

from harness.mocks.readers import MocksControl
from harness.mocks.slack.webhooks import webhook_path
from tests.unit.mocks.conftest import SLACK_TOKEN, Running

from .conftest import Hold

CHANNEL = "ic-os-rollout"
PEOPLE = [{"name": "ada", "email": "ada@example.com", "real_name": "Ada"}, "bo"]
Call = Callable[..., Any]


@pytest.fixture(params=["slack_sdk", "slack_sdk (async)"])
def call(
    request: pytest.FixtureRequest, production_names: Running, hold: Hold, mocks: MocksControl
) -> Iterator[Call]:
    """Calls a method of the client by its name and waits for its answer."""
    mocks.slack.set_users(PEOPLE)
    hold(request.param)
    if request.param == "slack_sdk":
        client = WebClient(token=SLACK_TOKEN)
        yield lambda name, /, **arguments: getattr(client, name)(**arguments)
        return

    # aiohttp reads SSL_CERT_FILE when it is imported, which in a pod is after it was set.
    trusting = ssl.create_default_context(cafile=str(production_names.ca_bundle))

    async def ask(name: str, arguments: dict[str, Any]) -> Any:
        return await getattr(AsyncWebClient(token=SLACK_TOKEN, ssl=trusting), name)(**arguments)

    yield lambda name, /, **arguments: asyncio.run(ask(name, arguments))


def refused(call: Call, name: str, /, **arguments: Any) -> str:
    with pytest.raises(SlackApiError) as caught:
        call(name, **arguments)
    return str(caught.value.response["error"])


def test_who_am_i(call: Call) -> None:
    assert call("api_test")["ok"]
    assert call("auth_test")["user"] == "release-automation"


def test_a_message_is_posted_changed_linked_to_and_deleted(call: Call, mocks: MocksControl) -> None:
    posted = call(
        "chat_postMessage", channel=CHANNEL, text="one", blocks=[SectionBlock(text="*one*"), DividerBlock()]
    )
    where = {"channel": posted["channel"], "ts": posted["ts"]}
    assert call("chat_update", **where, text="two", blocks=[])["text"] == "two"
    (message,) = mocks.slack.messages()
    assert (message.text, message.blocks, message.edited is not None) == ("two", [], True)
    assert call("chat_getPermalink", channel=where["channel"], message_ts=where["ts"])["permalink"]
    call("chat_delete", **where)
    assert mocks.slack.messages() == []
    assert refused(call, "chat_delete", **where) == "message_not_found"
    assert refused(call, "chat_update", **where, text="x") == "message_not_found"


def test_a_thread_is_read_by_its_first_message(call: Call) -> None:
    first = call("chat_postMessage", channel=CHANNEL, text="first")
    channel, ts = first["channel"], first["ts"]
    for number in range(3):
        call("chat_postMessage", channel=CHANNEL, text=f"reply {number}", thread_ts=ts)
    call("chat_postMessage", channel=CHANNEL, text="last")
    replies = call("conversations_replies", channel=channel, ts=ts, limit=2)
    assert [m["text"] for m in replies["messages"]] == ["first", "reply 0"]
    more = call(
        "conversations_replies", channel=channel, ts=ts, cursor=replies["response_metadata"]["next_cursor"]
    )
    assert [m["text"] for m in more["messages"]] == ["reply 1", "reply 2"]
    history = call("conversations_history", channel=channel)["messages"]
    assert [(m["text"], m.get("reply_count")) for m in history] == [("last", None), ("first", 3)]
    assert call("conversations_history", channel=channel, oldest=ts)["messages"][0]["text"] == "last"
    assert len(call("conversations_history", channel=channel, oldest=ts, inclusive=True)["messages"]) == 2
    assert refused(call, "conversations_replies", channel=channel, ts="1.000000") == "thread_not_found"


def test_reactions_come_and_go(call: Call) -> None:
    posted = call("chat_postMessage", channel=CHANNEL, text="one")
    at = {"channel": posted["channel"], "timestamp": posted["ts"]}
    call("reactions_add", **at, name="eyes")
    assert refused(call, "reactions_add", **at, name="eyes") == "already_reacted"
    assert call("reactions_get", **at)["message"]["reactions"][0]["count"] == 1
    call("reactions_remove", **at, name="eyes")
    assert refused(call, "reactions_remove", **at, name="eyes") == "no_reaction"


def test_a_message_is_scheduled_listed_and_taken_back(call: Call, mocks: MocksControl) -> None:
    soon = int(time.time()) + 3600
    made = call("chat_scheduleMessage", channel=CHANNEL, post_at=soon, text="later")
    assert (mocks.next_due(), mocks.slack.messages()) == (soon, [])
    listed = call("chat_scheduledMessages_list")["scheduled_messages"]
    assert [one["id"] for one in listed] == [made["scheduled_message_id"]]
    taken = {"channel": made["channel"], "scheduled_message_id": made["scheduled_message_id"]}
    call("chat_deleteScheduledMessage", **taken)
    assert (mocks.next_due(), mocks.slack.scheduled()) == (None, [])
    assert refused(call, "chat_deleteScheduledMessage", **taken) == "invalid_scheduled_message_id"
    for post_at, error in ((1, "time_in_past"), (soon + 121 * 86400, "time_too_far")):
        assert refused(call, "chat_scheduleMessage", channel=CHANNEL, post_at=post_at, text="x") == error


def test_channels_are_listed_page_by_page_and_by_their_kind(call: Call, mocks: MocksControl) -> None:
    mocks.slack.set_channels(
        ["one", "two", {"name": "secret", "is_private": True}, {"name": "old", "is_archived": True}]
    )
    first = call("conversations_list", limit=2)
    rest = call("conversations_list", cursor=first["response_metadata"]["next_cursor"])
    assert [c["name"] for c in (*first["channels"], *rest["channels"])] == ["one", "two", "old"]
    private = call("conversations_list", types="private_channel", exclude_archived=True)["channels"]
    assert [c["name"] for c in private] == ["secret"]
    assert call("conversations_info", channel=private[0]["id"])["channel"]["is_private"]
    assert refused(call, "conversations_list", types="public") == "invalid_types"


def test_a_channel_that_the_bot_is_not_in_is_closed_to_it_until_it_joins(
    call: Call, mocks: MocksControl
) -> None:
    mocks.slack.set_channels([{"name": "away", "is_member": False}, {"name": "old", "is_archived": True}])
    assert refused(call, "chat_postMessage", channel="#away", text="x") == "not_in_channel"
    (channel, _) = call("conversations_list")["channels"]
    assert refused(call, "conversations_history", channel=channel["id"]) == "not_in_channel"
    assert call("conversations_members", channel=channel["id"])["members"] == []
    call("conversations_join", channel=channel["id"])
    call("chat_postMessage", channel="#away", text="here")
    assert len(call("conversations_members", channel=channel["id"])["members"]) == 1
    assert refused(call, "chat_postMessage", channel="#old", text="x") == "is_archived"
    assert refused(call, "chat_postMessage", channel="#nowhere", text="x") == "channel_not_found"


def test_people_are_found_and_written_to(call: Call, mocks: MocksControl) -> None:
    ada = call("users_lookupByEmail", email="Ada@example.com")["user"]
    assert call("users_info", user=ada["id"])["user"]["profile"]["email"] == "ada@example.com"
    assert [user["name"] for user in call("users_list")["members"]] == ["release-automation", "ada", "bo"]
    opened = call("conversations_open", users=[ada["id"]])["channel"]["id"]
    assert call("conversations_open", users=[ada["id"]], return_im=True)["already_open"]
    call("chat_postMessage", channel=opened, text="psst")
    assert [m.text for m in mocks.slack.messages(opened)] == ["psst"]
    assert refused(call, "users_lookupByEmail", email="x@example.com") == "users_not_found"
    assert refused(call, "users_info", user="U00000000") == "user_not_found"
    assert refused(call, "conversations_open", users="U00000000") == "user_not_found"


def test_a_file_is_uploaded_and_shared(call: Call, mocks: MocksControl, upload: Path) -> None:
    channel = call("conversations_list")["channels"][0]["id"]
    answer = call("files_upload_v2", channel=channel, file=str(upload), title="Report", initial_comment="see")
    (file,) = mocks.slack.files()
    assert (file.name, file.title, file.channels) == ("report.txt", "Report", [CHANNEL])
    assert mocks.slack.content(file.id) == upload.read_bytes()
    assert call("files_info", file=answer["files"][0]["id"])["file"]["size"] == upload.stat().st_size
    (shared,) = call("conversations_history", channel=channel)["messages"]
    assert (shared["text"], [f["id"] for f in shared["files"]]) == ("see", [file.id])
    assert refused(call, "files_info", file="F00000000") == "file_not_found"
    assert refused(call, "files_completeUploadExternal", files=[{"id": "F00000000"}]) == "file_not_found"


BAD_BLOCKS = [
    ({"type": "section"}, "missing required field: text or fields"),
    (
        {"type": "section", "text": {"type": "mrkdwn", "text": "x" * 3001}},
        "must be less than 3001 characters",
    ),
    ({"type": "section", "text": {"type": "html", "text": "x"}}, "must be one of plain_text, mrkdwn"),
    ({"type": "section", "fields": [{"type": "mrkdwn", "text": "x"}] * 11}, "must be less than 11 items"),
    ({"type": "header", "text": {"type": "mrkdwn", "text": "x"}}, "must be one of plain_text"),
    ({"type": "header", "text": {"type": "plain_text", "text": "x" * 151}}, "less than 151 characters"),
    ({"type": "context", "elements": []}, "must be more than 0 items"),
    ({"type": "image", "image_url": "https://x"}, "missing required field: alt_text"),
    ({"type": "actions", "elements": [{"type": "button"}]}, "missing required field: text"),
    ({"type": "actions", "elements": [{"type": "slider"}]}, "unsupported type: slider"),
    ({"type": "input", "label": {"type": "plain_text", "text": "x"}}, "missing required field: element"),
    ({"type": "marquee"}, "unsupported type: marquee"),
    ({"type": "divider", "block_id": "x" * 256}, "must be less than 256 characters"),
]


@pytest.mark.parametrize(("block", "reason"), BAD_BLOCKS)
def test_a_block_that_slack_would_refuse_is_refused_with_its_place(
    production_names: Running, hold: Hold, mocks: MocksControl, block: dict[str, Any], reason: str
) -> None:
    hold("slack_sdk")
    with pytest.raises(SlackApiError) as caught:
        WebClient(token=SLACK_TOKEN).chat_postMessage(
            channel=CHANNEL, text="x", blocks=[{"type": "divider"}, block]
        )
    answer = caught.value.response
    assert answer["error"] == "invalid_blocks"
    (told,) = answer["response_metadata"]["messages"]
    assert reason in told
    assert "/blocks/1" in told
    assert mocks.ledger() == []


@pytest.fixture(params=["slack_sdk webhook", "slack_sdk webhook (async)"])
def deliver(request: pytest.FixtureRequest, production_names: Running, hold: Hold) -> Call:
    hold(request.param)

    def send(path: str, **message: Any) -> Any:
        url = f"https://hooks.slack.com{path}"
        if request.param == "slack_sdk webhook":
            return WebhookClient(url).send(**message)
        trusting = ssl.create_default_context(cafile=str(production_names.ca_bundle))
        return asyncio.run(AsyncWebhookClient(url, ssl=trusting).send(**message))

    return send


def test_a_webhook_posts_to_its_channel_and_says_why_if_not(deliver: Call, mocks: MocksControl) -> None:
    mocks.slack.set_channels([CHANNEL, {"name": "old", "is_archived": True}])
    path = webhook_path(CHANNEL, SLACK_TOKEN)
    assert (deliver(path, text="hello").status_code, mocks.slack.messages()[0].text) == (200, "hello")
    outcomes = [
        (deliver(path, text="").body, 400, "no_text"),
        (deliver(path, blocks=[{"type": "marquee"}]).body, 400, "invalid_blocks"),
        (deliver(webhook_path(CHANNEL, "stolen"), text="x").body, 403, "invalid_token"),
        (deliver(webhook_path("nowhere", SLACK_TOKEN), text="x").body, 404, "no_service"),
        (deliver(webhook_path("old", SLACK_TOKEN), text="x").body, 410, "channel_is_archived"),
    ]
    assert [body for body, _, _ in outcomes] == [error for _, _, error in outcomes]
    statuses = [entry.status for entry in mocks.journal(service="slack_hooks")]
    assert statuses == [200, *(status for _, status, _ in outcomes)]
    assert len(mocks.slack.messages()) == 1
