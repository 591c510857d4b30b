"""What the provider's hooks can do, they can do with the mocks; and what a service refuses, they hear."""

from pathlib import Path
from typing import Any

import pytest
from airflow.providers.amazon.aws.hooks.s3 import S3Hook
from airflow.providers.google.suite.hooks.drive import GoogleDriveHook
from airflow.providers.google.suite.hooks.sheets import GSheetsHook
from airflow.providers.slack.hooks.slack import SlackHook
from airflow.providers.slack.hooks.slack_webhook import SlackWebhookHook
from botocore.exceptions import ClientError
from google.auth.exceptions import RefreshError
from googleapiclient.errors import HttpError
from slack_sdk.errors import SlackApiError

from harness.mocks.readers import MocksControl

CHANNEL = "ic-os-rollout"
BUCKET = "airflow-logs"
MESSAGE = {"channel": f"#{CHANNEL}", "text": "hello"}


def refused(connection: str = "slack", **message: Any) -> SlackApiError:
    with pytest.raises(SlackApiError) as caught:
        SlackHook(slack_conn_id=connection).call("chat.postMessage", json={**MESSAGE, **message})
    return caught.value


def test_slack_takes_messages_and_files_and_finds_channels(mocks: MocksControl, tmp_path: Path) -> None:
    hook = SlackHook(slack_conn_id="slack")
    assert hook.test_connection()[0]
    hook.call("chat.postMessage", json=MESSAGE)
    channel = hook.get_channel_id(CHANNEL)
    (tmp_path / "a.txt").write_text("all is well")
    upload = {"file": str(tmp_path / "a.txt"), "filename": "a.txt"}
    hook.send_file_v2(channel_id=channel, file_uploads=upload, initial_comment="see")
    hook.send_file_v1_to_v2(channels=CHANNEL, content="more", filename="b.txt")
    assert [message.text for message in mocks.slack.messages()][:2] == ["hello", "see"]
    assert {file.name: mocks.slack.content(file.id) for file in mocks.slack.files()} == {
        "a.txt": b"all is well",
        "b.txt": b"more",
    }


@pytest.mark.parametrize(
    ("error", "connection", "message"),
    [
        ("invalid_auth", "slack_stolen", {}),
        ("channel_not_found", "slack", {"channel": "#nowhere"}),
        ("not_in_channel", "slack", {"channel": "#away"}),
        ("is_archived", "slack", {"channel": "#old"}),
        ("no_text", "slack", {"text": ""}),
        ("invalid_blocks", "slack", {"blocks": [{"type": "section"}]}),
    ],
)
def test_slacks_refusals_are_heard(
    mocks: MocksControl, error: str, connection: str, message: dict[str, Any]
) -> None:
    mocks.slack.set_channels(
        [CHANNEL, {"name": "away", "is_member": False}, {"name": "old", "is_archived": True}]
    )
    assert refused(connection, **message).response["error"] == error
    assert mocks.slack.messages() == []


def test_slacks_rate_limit_is_heard_with_its_time(mocks: MocksControl) -> None:
    mocks.slack.fail_next(429, retry_after=3)
    response = refused().response
    assert (response.status_code, response["error"], response.headers["Retry-After"]) == (
        429,
        "ratelimited",
        "3",
    )


def test_a_webhook_delivers(mocks: MocksControl) -> None:
    hook = SlackWebhookHook(slack_webhook_conn_id="slack_webhook")
    hook.send_text("by webhook")
    hook.send(text="with blocks", blocks=[{"type": "divider"}])
    assert [message.text for message in mocks.slack.messages(CHANNEL)] == ["by webhook", "with blocks"]


def test_a_sheet_is_written_and_read_by_every_method_of_the_hook(mocks: MocksControl) -> None:
    hook = GSheetsHook(gcp_conn_id="google")
    spreadsheet = hook.create_spreadsheet({"properties": {"title": "Plan"}})["spreadsheetId"]
    hook.update_values(spreadsheet, "Sheet1!A1:B1", [["Day", "Time"]])
    hook.append_values(spreadsheet, "Sheet1!A1:B", [["Monday", "9:00"]])
    ranges, values = ["Sheet1!A3", "Sheet1!B3"], [[["Tuesday"]], [["11:00"]]]
    hook.batch_update_values(spreadsheet, ranges, values)
    assert hook.get_values(spreadsheet, "Sheet1!A2:B") == [["Monday", "9:00"], ["Tuesday", "11:00"]]
    batch = hook.batch_get_values(spreadsheet, ["Sheet1!A:A", "Sheet1!B3"])
    assert [one["values"] for one in batch["valueRanges"]] == [
        [["Day"], ["Monday"], ["Tuesday"]],
        [["11:00"]],
    ]
    hook.clear(spreadsheet, "Sheet1!A2:B2")
    hook.batch_clear(spreadsheet, ["Sheet1!A3", "Sheet1!B3"])
    assert hook.get_sheet_titles(spreadsheet) == ["Sheet1"]
    assert hook.get_spreadsheet(spreadsheet)["properties"]["title"] == "Plan"
    assert mocks.sheets.rows(spreadsheet, "Sheet1") == [["Day", "Time"]]


def test_googles_refusals_are_heard(mocks: MocksControl) -> None:
    hook = GSheetsHook(gcp_conn_id="google")
    with pytest.raises(HttpError, match=r"404.*Requested entity was not found"):
        hook.get_values("nowhere", "A1")
    mocks.sheets.put("plan", "tab", [["x"]])
    with pytest.raises(HttpError, match=r"400.*Unable to parse range: Nowhere!A1"):
        hook.get_values("plan", "Nowhere!A1")
    with pytest.raises(HttpError, match=r"403.*insufficient authentication scopes"):
        GSheetsHook(gcp_conn_id="google_reading").clear("plan", "A1")
    with pytest.raises(RefreshError, match="Invalid JWT Signature"):
        GSheetsHook(gcp_conn_id="google_stolen").get_values("plan", "A1")


@pytest.mark.parametrize("resumable", [False, True])
def test_a_file_goes_into_a_folder_of_drive_and_back(
    mocks: MocksControl, tmp_path: Path, resumable: bool
) -> None:
    hook = GoogleDriveHook(gcp_conn_id="google")
    (tmp_path / "report.txt").write_text("all is well")
    made = hook.upload_file(str(tmp_path / "report.txt"), "reports/november/report.txt", resumable=resumable)
    assert hook.exists(hook._ensure_folders_exists("reports/november", "root"), "report.txt")
    found = hook.get_file_id(hook._ensure_folders_exists("reports/november", "root"), "report.txt")
    assert found["id"] == made
    with (tmp_path / "back.txt").open("wb") as back:
        hook.download_file(made, back)
    assert (tmp_path / "back.txt").read_text() == "all is well"
    reader = {"type": "user", "role": "reader", "emailAddress": "ada@example.com"}
    hook.get_conn().permissions().create(fileId=made, body=reader).execute()
    assert [effect.kind for effect in mocks.ledger()][-2:] == ["drive.create", "drive.share"]


@pytest.mark.parametrize("connection", ["aws_path", "aws_virtual"])
def test_s3_stores_lists_and_deletes(mocks: MocksControl, connection: str) -> None:
    hook = S3Hook(aws_conn_id=connection)
    hook.load_string("all is well", "a/1.log", BUCKET)
    hook.load_bytes(bytes(6 * 1024 * 1024), "a/2.log", BUCKET)
    assert (hook.check_for_bucket(BUCKET), hook.check_for_key("a/3.log", BUCKET)) == (True, False)
    assert hook.list_keys(BUCKET, prefix="a/") == ["a/1.log", "a/2.log"]
    assert hook.read_key("a/1.log", BUCKET) == "all is well"
    hook.copy_object("a/1.log", "a/3.log", BUCKET, BUCKET)
    hook.delete_objects(BUCKET, ["a/1.log", "a/2.log"])
    assert mocks.s3.keys(BUCKET) == ["a/3.log"]
    with pytest.raises(ClientError, match=r"NoSuchKey|404"):
        hook.read_key("a/1.log", BUCKET)
