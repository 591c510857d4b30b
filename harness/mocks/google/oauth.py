"""Google's OAuth 2.0 token endpoint for service accounts (JWT bearer grant, RFC 7523).

The assertion's signature, audience, issuer and times are verified as Google does it.
"""

import secrets
import threading
import time
from collections.abc import Callable
from typing import Any

import jwt
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Request, Response

from harness.mocks.wsgi import Router, json_response

AUDIENCE = "https://oauth2.googleapis.com/token"
GRANT_TYPE = "urn:ietf:params:oauth:grant-type:jwt-bearer"
LIFETIME = 3600
CLOCK_SKEW = 300


def _error(code: str, description: str) -> Response:
    return json_response({"error": code, "error_description": description}, 400)


def _http_error(error: HTTPException) -> Response:
    return json_response(
        {"error": "invalid_request", "error_description": error.description}, error.code or 400
    )


class GoogleOAuth:
    """Issues opaque access tokens to one service account and remembers their scopes."""

    def __init__(self, public_key: str, client_email: str, now: Callable[[], float] = time.time) -> None:
        self._public_key = public_key
        self._client_email = client_email
        self._now = now
        self._lock = threading.Lock()
        self._tokens: dict[str, tuple[float, frozenset[str]]] = {}
        self.app = Router([("POST", "/token", self._token)], _http_error)

    def scopes(self, token: str) -> frozenset[str] | None:
        """The scopes granted to `token`, or None when it is unknown or has expired."""
        with self._lock:
            granted = self._tokens.get(token)
        if granted is None or granted[0] <= self._now():
            return None
        return granted[1]

    def _token(self, request: Request) -> Response:
        if request.form.get("grant_type") != GRANT_TYPE:
            return _error(
                "unsupported_grant_type", "Invalid grant_type: only the JWT bearer grant is known here"
            )
        try:
            claims = self._verified(request.form.get("assertion", ""))
        except jwt.InvalidSignatureError:
            return _error("invalid_grant", "Invalid JWT Signature.")
        except jwt.InvalidTokenError as error:
            return _error("invalid_grant", f"Invalid JWT: {error}")
        scopes = frozenset(str(claims.get("scope", "")).split())
        if not scopes:
            return _error("invalid_scope", "Empty or missing scope not allowed.")
        token = f"ya29.{secrets.token_urlsafe(48)}"
        with self._lock:
            self._tokens[token] = (self._now() + LIFETIME, scopes)
        return json_response({"access_token": token, "expires_in": LIFETIME - 1, "token_type": "Bearer"})

    def _verified(self, assertion: str) -> dict[str, Any]:
        """The assertion's claims. Raises jwt.InvalidTokenError with the reason it is refused."""
        claims: dict[str, Any] = jwt.decode(
            assertion,
            self._public_key,
            algorithms=["RS256"],
            audience=AUDIENCE,
            issuer=self._client_email,
            leeway=CLOCK_SKEW,
            options={"require": ["exp", "iat", "iss", "aud"]},
        )
        if claims["exp"] - claims["iat"] > LIFETIME:
            raise jwt.InvalidTokenError(
                "it must be a short-lived token (60 minutes) and in a reasonable timeframe"
            )
        return claims
