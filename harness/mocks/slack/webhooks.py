"""Incoming webhooks (docs.slack.dev/messaging/sending-messages-using-incoming-webhooks): answers are plain text."""

import json
from typing import Any

from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Request, Response

from harness.mocks.ledger import Kind, note
from harness.mocks.slack.blocks import parse_blocks
from harness.mocks.slack.errors import SlackError
from harness.mocks.slack.models import TEAM_ID, stable_id
from harness.mocks.slack.workspace import Workspace
from harness.mocks.wsgi import Router, pod_of

STATUS = {
    "no_service": 404,
    "channel_not_found": 404,
    "invalid_token": 403,
    "action_prohibited": 403,
    "channel_is_archived": 410,
}
"""HTTP statuses of a webhook's errors, from the page above, "Handling errors"; else 400."""


def webhook_path(channel: str, token: str) -> str:
    """The path of the webhook that posts to a channel (its name); its last part is as secret as a token."""
    return f"/services/{TEAM_ID}/{stable_id('B', channel)}/{token}"


class Webhooks:
    """WSGI application under hooks.slack.com: one webhook a channel, all with the token of the bot."""

    def __init__(self, workspace: Workspace, token: str) -> None:
        self._workspace = workspace
        self._token = token
        self.app = Router([("POST", "/services/<team>/<service>/<token>", self._post)], _http_error)

    def _post(self, request: Request, team: str, service: str, token: str) -> Response:
        try:
            self._deliver(request, team, service, token)
        except SlackError as error:
            code = "channel_is_archived" if error.code == "is_archived" else error.code
            return _plain(code, STATUS.get(code, 400))
        return _plain("ok", 200)

    def _deliver(self, request: Request, team: str, service: str, token: str) -> None:
        channels = self._workspace.channels()
        found = next((c for c in channels if stable_id("B", c.name) == service), None)
        if team != TEAM_ID or found is None:
            raise SlackError("no_service")
        if token != self._token:
            raise SlackError("invalid_token")
        body = _payload(request)
        content = {
            "text": str(body.get("text") or ""),
            "blocks": parse_blocks(body.get("blocks")),
            "attachments": body.get("attachments") or [],
        }
        channel = self._workspace.channel(found.name, writing=True)
        draft = self._workspace.draft(channel, content, body.get("thread_ts"), pod_of(request))
        message = self._workspace.post(draft)
        note(request, Kind.SLACK_MESSAGE, channel.name, ts=message.ts, text=message.text, webhook=True)


def _payload(request: Request) -> dict[str, Any]:
    """The message: the JSON body, or a form's `payload`."""
    try:
        body = json.loads(request.form.get("payload") or request.get_data())
    except ValueError as error:
        raise SlackError("invalid_payload") from error
    if not isinstance(body, dict):
        raise SlackError("invalid_payload")
    return body


def _plain(text: str, status: int) -> Response:
    return Response(text, status, content_type="text/html")


def _http_error(error: HTTPException) -> Response:
    return _plain(error.description or "", error.code or 500)
