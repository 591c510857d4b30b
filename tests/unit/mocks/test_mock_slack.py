"""The mocked Slack, met by slack_sdk."""

import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from harness.mocks.readers import MocksControl

from .conftest import SLACK_TOKEN, Running

BLOCKS = [{"type": "section", "text": {"type": "mrkdwn", "text": "*vote*"}}]


@pytest.fixture
def client(production_names: Running) -> WebClient:
    return WebClient(token=SLACK_TOKEN)


def error_of(client: WebClient, **arguments: object) -> str:
    with pytest.raises(SlackApiError) as caught:
        client.chat_postMessage(**arguments)  # type: ignore[arg-type]
    return str(caught.value.response["error"])


def test_a_posted_message_is_kept_with_its_channel_text_and_ts(
    client: WebClient, mocks: MocksControl
) -> None:
    answer = client.chat_postMessage(channel="#ic-os-rollout", text="please vote")
    (message,) = mocks.slack.messages(channel="ic-os-rollout")
    assert (message.ts, message.text) == (answer["ts"], "please vote")
    assert answer["message"]["text"] == "please vote"
    seconds, microseconds = message.ts.split(".")
    assert seconds.isdecimal()
    assert len(microseconds) == 6


def test_a_channel_can_be_named_with_and_without_the_hash_or_by_its_id(
    client: WebClient, mocks: MocksControl
) -> None:
    channel_id = client.chat_postMessage(channel="ic-os-rollout", text="1")["channel"]
    client.chat_postMessage(channel=channel_id, text="2")
    client.chat_postMessage(channel="#ic-os-rollout", text="3")
    assert [message.text for message in mocks.slack.messages("#ic-os-rollout")] == ["1", "2", "3"]


def test_messages_have_increasing_ts_even_within_one_instant(client: WebClient, mocks: MocksControl) -> None:
    for number in range(5):
        client.chat_postMessage(channel="ic-os-rollout", text=str(number))
    ts = [message.ts for message in mocks.slack.messages()]
    assert ts == sorted(set(ts))


def test_a_reply_keeps_its_thread(client: WebClient, mocks: MocksControl) -> None:
    parent = client.chat_postMessage(channel="ic-os-rollout", text="batch 1")
    client.chat_postMessage(channel="ic-os-rollout", text="done", thread_ts=parent["ts"])
    assert [message.thread_ts for message in mocks.slack.messages()] == [None, parent["ts"]]


@pytest.mark.filterwarnings("ignore:The top-level `text` argument:UserWarning")
def test_blocks_alone_are_a_message_by_json_and_by_form(client: WebClient, mocks: MocksControl) -> None:
    client.chat_postMessage(channel="ic-os-rollout", blocks=BLOCKS)
    client.api_call(
        "chat.postMessage", data={"channel": "ic-os-rollout", "blocks": str(BLOCKS).replace("'", '"')}
    )
    assert [message.blocks for message in mocks.slack.messages()] == [BLOCKS, BLOCKS]


@pytest.mark.filterwarnings("ignore:The top-level `text` argument:UserWarning")
@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"channel": "#nowhere", "text": "x"}, "channel_not_found"),
        ({"channel": "#ic-os-rollout", "text": ""}, "no_text"),
        ({"channel": "#ic-os-rollout", "text": "x", "thread_ts": "yesterday"}, "invalid_thread_ts"),
        ({"channel": "#ic-os-rollout", "text": "x", "blocks": [{"text": "no type"}]}, "invalid_blocks"),
        ({"channel": "#ic-os-rollout", "text": "x", "blocks": BLOCKS * 51}, "invalid_blocks"),
    ],
)
def test_what_slack_refuses_is_refused_with_its_code_and_nothing_is_kept(
    client: WebClient, mocks: MocksControl, arguments: dict[str, object], error: str
) -> None:
    assert error_of(client, **arguments) == error
    assert mocks.slack.messages() == []


def test_another_token_is_invalid_and_none_is_not_authed(
    production_names: Running, mocks: MocksControl
) -> None:
    assert error_of(WebClient(token="xoxb-stolen"), channel="ic-os-rollout", text="x") == "invalid_auth"
    assert error_of(WebClient(), channel="ic-os-rollout", text="x") == "not_authed"


def test_auth_test_tells_who_the_token_is(client: WebClient, mocks: MocksControl) -> None:
    answer = client.auth_test()
    client.chat_postMessage(channel="ic-os-rollout", text="x")
    assert answer["user_id"] == mocks.slack.messages()[0].user


def test_channels_made_by_the_test_exist(client: WebClient, mocks: MocksControl) -> None:
    mocks.slack.set_channels(["#another"])
    client.chat_postMessage(channel="another", text="x")
    assert error_of(client, channel="ic-os-rollout", text="x") == "channel_not_found"


def test_a_method_that_is_not_mocked_fails_by_name_and_counts_as_egress(
    client: WebClient, mocks: MocksControl
) -> None:
    with pytest.raises(SlackApiError, match=r"POST slack\.com/api/bookmarks\.add"):
        client.bookmarks_add(channel_id="C1", title="x", type="link")
    (attempt,) = mocks.egress()
    assert attempt.path == "/api/bookmarks.add"
