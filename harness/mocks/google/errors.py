"""Errors in the shape of Google's REST APIs."""

from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

from harness.mocks.wsgi import json_response

STATUS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
"""google.rpc.Code's names for HTTP statuses (google/rpc/code.proto)."""


def google_error(error: HTTPException) -> Response:
    """`{"error": {"code", "message", "status"}}`."""
    code = error.code or 500
    body = {"code": code, "message": error.description, "status": STATUS.get(code, "INTERNAL")}
    return json_response({"error": body}, code)


REASONS = {
    400: "invalid",
    401: "authError",
    403: "insufficientPermissions",
    404: "notFound",
    429: "rateLimitExceeded",
    500: "internalError",
    503: "backendError",
}
"""Drive's reasons for HTTP statuses (Drive API, "Resolve errors")."""


def drive_error(error: HTTPException) -> Response:
    """The same as Drive writes it: `{"error": {"code", "message", "errors": [{"domain", "reason", "message"}]}}`."""
    code = error.code or 500
    one = {"domain": "global", "reason": REASONS.get(code, "internalError"), "message": error.description}
    return json_response({"error": {"code": code, "message": error.description, "errors": [one]}}, code)
