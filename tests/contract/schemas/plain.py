"""Answers so small that their documentation pages are the schema: tokens, webhooks, uploads of bytes."""

import re
from dataclasses import dataclass
from typing import Any

from harness.mocks.exchanges import Exchange
from tests.contract.schemas.judgement import Judgement, broken, untyped

TEXT = {"type": "string"}


@dataclass(frozen=True)
class Page:
    """An operation, where it is documented, and the schemas of its good and bad answers; of text a pattern."""

    operation: str
    url: str
    method: str
    path: str
    good: Any
    bad: Any


def _object(required: dict[str, Any], **optional: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "required": list(required),
        "properties": {**required, **optional},
        "additionalProperties": False,
    }


PAGES = {
    "google_oauth": Page(
        "token",
        "https://developers.google.com/identity/protocols/oauth2/service-account",
        "POST",
        r"/token",
        _object(
            {"access_token": TEXT, "expires_in": {"type": "integer"}, "token_type": {"const": "Bearer"}},
            scope=TEXT,
        ),
        _object({"error": {"type": "string", "pattern": "^[a-z_]+$"}, "error_description": TEXT}),
    ),
    "google_iam": Page(
        "getAllowedLocations",
        "https://docs.cloud.google.com/iam/docs/reference/credentials/rest",
        "GET",
        r"/v1/projects/-/serviceAccounts/[^/]+/allowedLocations",
        _object({"locations": {"type": "array", "items": TEXT}, "encodedLocations": TEXT}),
        _object({"error": _object({"code": {"type": "integer"}, "message": TEXT, "status": TEXT})}),
    ),
    "slack_hooks": Page(
        "incoming webhook",
        "https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks",
        "POST",
        r"/services/T\w+/B\w+/[\w-]+",
        r"ok",
        r"[a-z_]+",
    ),
    "slack_files": Page(
        "upload of a file's bytes",
        "https://docs.slack.dev/messaging/working-with-files",
        "POST",
        r"/upload/v1/[\w-]+",
        r"OK - \d+",
        r"[a-z ]+",
    ),
}


def judge(exchange: Exchange) -> Judgement:
    page = PAGES[exchange.service]
    if exchange.method != page.method or not re.fullmatch(page.path, exchange.path):
        return untyped(page.url, f"{exchange.method} {exchange.path}")
    schema = page.good if exchange.status < 400 else page.bad
    if isinstance(schema, str):
        text = exchange.response.get("text", "") if isinstance(exchange.response, dict) else ""
        faults = [] if re.fullmatch(schema, text) else [f"the answer is {text!r}"]
    else:
        faults = broken(exchange.response, schema, "response")
    return Judgement(page.operation, page.url, tuple(faults))
