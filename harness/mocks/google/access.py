"""Who may do what: access tokens and their scopes."""

from collections.abc import Callable

from werkzeug.exceptions import Forbidden, Unauthorized
from werkzeug.wrappers import Request

SCOPE = "https://www.googleapis.com/auth/"
STANDARD_PARAMETERS = frozenset({"alt", "fields", "prettyPrint", "quotaUser", "$.xgafv", "key"})
"""Query parameters of every Google API that change nothing here, but for `fields` (`fields.select`)."""

ScopesOf = Callable[[str], frozenset[str] | None]
"""What an access token may do, None for an unknown one."""


def scopes(*names: str) -> frozenset[str]:
    """The scopes of these short names."""
    return frozenset(f"{SCOPE}{name}" for name in names)


def authorize(request: Request, scopes_of: ScopesOf, wanted: frozenset[str]) -> None:
    """Raise Unauthorized or Forbidden unless the request's token has one of the scopes."""
    granted = scopes_of(request.headers.get("Authorization", "").removeprefix("Bearer "))
    if granted is None:
        raise Unauthorized("Request had invalid authentication credentials. Expected OAuth 2 access token.")
    if not granted & wanted:
        raise Forbidden("Request had insufficient authentication scopes.")
