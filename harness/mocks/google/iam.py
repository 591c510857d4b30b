"""Google's IAM Credentials API, as far as google-auth calls it by itself: `getAllowedLocations`.

The client asks for an account's regional access boundary after it got a token, in the background. The answer is
the one that google-auth takes for "no boundary" (`NO_OP_TRUST_BOUNDARY_ENCODED_LOCATIONS`).
"""

from collections.abc import Callable

from werkzeug.exceptions import NotFound, Unauthorized
from werkzeug.wrappers import Request, Response

from harness.mocks.google.errors import google_error
from harness.mocks.wsgi import Router, json_response

NO_BOUNDARY = "0x0"


class GoogleIam:
    """Knows one service account. `scopes_of` tells what an access token may do, None for an unknown one."""

    def __init__(self, client_email: str, scopes_of: Callable[[str], frozenset[str] | None]) -> None:
        self._client_email = client_email
        self._scopes_of = scopes_of
        path = "/v1/projects/-/serviceAccounts/<email>/allowedLocations"
        self.app = Router([("GET", path, self._allowed_locations)], google_error)

    def _allowed_locations(self, request: Request, email: str) -> Response:
        if self._scopes_of(request.headers.get("Authorization", "").removeprefix("Bearer ")) is None:
            raise Unauthorized("Request had invalid authentication credentials.")
        if email != self._client_email:
            raise NotFound("Unknown service account")
        return json_response({"locations": [], "encodedLocations": NO_BOUNDARY})
