"""The schemas find what is wrong: without that, an exchange that passes says nothing."""

from dataclasses import replace
from typing import Any

import pytest

from harness.mocks.exchanges import Exchange
from harness.mocks.names import S3_HOST
from tests.contract.schemas import judge

SLACK = Exchange(
    "slack", "POST", "slack.com", "/api/chat.postMessage", {}, {}, {"channel": "x", "text": "y"}, 200, {},
    {
        "ok": True, "channel": "C00000000", "ts": "1763283600.000001",
        "message": {"type": "message", "text": "y", "ts": "1763283600.000001", "user": "U00000000"},
    },
)  # fmt: skip
SHEETS = Exchange(
    "google_sheets", "GET", "sheets.googleapis.com", "/v4/spreadsheets/id/values/it's / odd!A1",
    {"majorDimension": ["ROWS"]}, {}, None, 200, {}, {"range": "A1", "majorDimension": "ROWS", "values": [["x"]]},
)  # fmt: skip
LISTING = (
    '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name><KeyCount>1</KeyCount>'
    "<Contents><Key>k</Key><Size>7</Size><StorageClass>STANDARD</StorageClass></Contents></ListBucketResult>"
)
S3 = Exchange("s3", "GET", S3_HOST, "/b", {"list-type": ["2"]}, {}, None, 200, {}, {"text": LISTING})
TOKEN = Exchange(
    "google_oauth", "POST", "oauth2.googleapis.com", "/token", {}, {}, {}, 200, {},
    {"access_token": "[redacted]", "expires_in": 3599, "token_type": "Bearer"},
)  # fmt: skip


@pytest.mark.parametrize(
    ("exchange", "operation"),
    [
        (SLACK, "chat.postMessage"),
        (SHEETS, "sheets.spreadsheets.values.get"),
        (S3, "ListObjectsV2"),
        (replace(S3, host=f"b.{S3_HOST}", path="/"), "ListObjectsV2"),
        (TOKEN, "token"),
    ],
)
def test_what_is_right_passes_under_its_name(exchange: Exchange, operation: str) -> None:
    judgement = judge(exchange)
    assert (judgement.operation, judgement.faults) == (operation, ())


def message(**changes: Any) -> dict[str, Any]:
    answer = {**SLACK.response, "message": {**SLACK.response["message"], **changes}}
    return {"response": answer}


def listing(before: str, after: str) -> dict[str, Any]:
    assert before in LISTING
    return {"response": {"text": LISTING.replace(before, after)}}


@pytest.mark.parametrize(
    ("exchange", "changes", "fault"),
    [
        (SLACK, message(ts=1763283600.000001), "is not of type 'string'"),
        (SLACK, message(ts="1763283600.1"), "does not match"),
        (SLACK, message(colour="red"), "Additional properties"),
        (SLACK, {"response": {"ok": True}}, "'channel' is a required property"),
        (SLACK, {"response": {"ok": False, "error": 7}}, "is not of type 'string'"),
        (SLACK, {"request": {"channel": "x", "txt": "y"}}, "the page knows no argument txt"),
        (SLACK, {"request": {"text": "y"}}, "the argument channel is missing"),
        (SLACK, {"status": 201}, "status 201"),
        (SLACK, {"path": "/api/chat.shout"}, "does not describe chat.shout"),
        (SHEETS, {"response": {"range": 7}}, "is not of type 'string'"),
        (SHEETS, {"response": {"majorDimension": "DIAGONALS"}}, "is not one of"),
        (SHEETS, {"response": {"colour": "red"}}, "Additional properties"),
        (SHEETS, {"response": None}, "the response is empty"),
        (SHEETS, {"query": {"majorDimensions": ["ROWS"]}}, "no query parameter majorDimensions"),
        (SHEETS, {"query": {"majorDimension": ["DIAGONALS"]}}, "majorDimension is DIAGONALS"),
        (SHEETS, {"query": {"majorDimension": ["ROWS", "ROWS"]}}, "majorDimension is repeated"),
        (SHEETS, {"status": 404, "response": {"error": "gone"}}, "is not of type 'object'"),
        (SHEETS, {"path": "/v5/spreadsheets"}, "does not describe"),
        (S3, listing("<Size>7<", "<Size>seven<"), "Size is 'seven', no long"),
        (S3, listing("STANDARD<", "SHELF<"), "none of"),
        (S3, listing("<Key>k</Key>", "<Key>k</Key><Colour>red</Colour>"), "Object has no member Colour"),
        (S3, listing("<Name>b<", "<Title>x</Title><Name>b<"), "has no member Title"),
        (S3, {"status": 404, "response": {"text": "<Fault/>"}}, "the error is <Fault>"),
        (S3, {"method": "PATCH"}, "does not describe"),
        (TOKEN, {"response": {**TOKEN.response, "expires_in": "3599"}}, "is not of type 'integer'"),
        (TOKEN, {"path": "/tokens"}, "does not describe"),
        (replace(TOKEN, service="gopher"), {}, "no schema describes it"),
    ],
)
def test_what_is_wrong_is_told(exchange: Exchange, changes: dict[str, Any], fault: str) -> None:
    faults = judge(replace(exchange, **changes)).faults
    assert any(fault in told for told in faults), faults
