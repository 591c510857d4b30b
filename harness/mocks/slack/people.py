"""The methods `users.*`."""

from collections.abc import Callable, Mapping
from typing import Any

from harness.mocks.slack.arguments import Arguments
from harness.mocks.slack.errors import SlackError
from harness.mocks.slack.workspace import Workspace


class People:
    """Their handlers over one workspace."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def methods(self) -> Mapping[str, Callable[[Arguments], dict[str, Any]]]:
        """By their names."""
        return {
            "users.info": self._info,
            "users.list": self._list,
            "users.lookupByEmail": self._by_email,
        }

    def _info(self, arguments: Arguments) -> dict[str, Any]:
        return {"user": self._workspace.user(arguments.needed("user", "user_not_found")).shown()}

    def _list(self, arguments: Arguments) -> dict[str, Any]:
        page, cursor = arguments.page(self._workspace.users(), 200)
        return {
            "members": [user.shown() for user in page],
            "cache_ts": int(self._workspace.now()),
            "response_metadata": {"next_cursor": cursor},
        }

    def _by_email(self, arguments: Arguments) -> dict[str, Any]:
        email = arguments.needed("email", "users_not_found").lower()
        found = next((user for user in self._workspace.users() if user.email.lower() == email), None)
        if found is None:
            raise SlackError("users_not_found")
        return {"user": found.shown()}
