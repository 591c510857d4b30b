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
