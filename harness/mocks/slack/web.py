"""Slack's Web API: which method does what (docs.slack.dev/reference/methods).

Slack answers 200 for its own errors: `{"ok": false, "error": "<code>"}`. Methods that are not here are not mocked.
"""

from collections.abc import Callable, Mapping
from typing import Any

from werkzeug.exceptions import BadRequest, HTTPException
from werkzeug.wrappers import Request, Response

from harness.mocks.slack.arguments import Arguments
from harness.mocks.slack.chat import Chat
from harness.mocks.slack.conversations import Conversations
from harness.mocks.slack.errors import SlackError
from harness.mocks.slack.files import Files
from harness.mocks.slack.models import BOT, BOT_ID, TEAM_ID, USER_ID
from harness.mocks.slack.people import People
from harness.mocks.slack.workspace import Workspace
from harness.mocks.wsgi import Router, json_response

Method = Callable[[Arguments], dict[str, Any]]


def _http_error(error: HTTPException) -> Response:
    return json_response(
        {"ok": False, "error": "invalid_json"}, 200 if isinstance(error, BadRequest) else 500
    )


class WebApi:
    """WSGI application under slack.com for the bot whose token is `token`."""

    def __init__(self, workspace: Workspace, token: str) -> None:
        self._token = token
        methods: Mapping[str, Method] = {
            "api.test": lambda _: {},
            "auth.test": self._auth_test,
            **Chat(workspace).methods(),
            **Conversations(workspace).methods(),
            **People(workspace).methods(),
            **Files(workspace).methods(),
        }
        self.app = Router(
            [
                (verb, f"/api/{name}", self._handler(method))
                for name, method in methods.items()
                for verb in ("GET", "POST")
            ],
            _http_error,
        )

    def _handler(self, method: Method) -> Callable[[Request], Response]:
        return lambda request: self._call(request, method)

    def _call(self, request: Request, method: Method) -> Response:
        arguments = Arguments(request)
        try:
            self._check_token(arguments.token)
            return json_response({"ok": True, **method(arguments)})
        except SlackError as error:
            body: dict[str, Any] = {"ok": False, "error": error.code}
            if error.messages:
                body["response_metadata"] = {"messages": list(error.messages)}
            return json_response(body)

    def _check_token(self, token: str) -> None:
        if not token:
            raise SlackError("not_authed")
        if token != self._token:
            raise SlackError("invalid_auth")

    def _auth_test(self, _arguments: Arguments) -> dict[str, Any]:
        return {
            "url": "https://itest.slack.com/",
            "team": "itest",
            "user": BOT.name,
            "team_id": TEAM_ID,
            "user_id": USER_ID,
            "bot_id": BOT_ID,
            "is_enterprise_install": False,
        }
