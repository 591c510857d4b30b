"""What a fault answers: an error in the words of the service that it pretends to come from, or half an answer."""

from collections.abc import Mapping
from typing import Any

from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

from harness.mocks.faults import Fault
from harness.mocks.google.errors import drive_error, google_error
from harness.mocks.names import Service
from harness.mocks.wsgi import json_response

SLACK_CODES = {429: "ratelimited", 503: "service_unavailable"}
"""Error codes of Slack's Web API (docs.slack.dev, "Rate limits" and the methods' error tables); else internal_error."""
S3_CODES = {
    403: "AccessDenied",
    404: "NoSuchKey",
    429: "TooManyRequests",
    500: "InternalError",
    503: "SlowDown",
}
"""Codes of the S3 API reference, "Error responses"."""
GOOGLE = (Service.GOOGLE_SHEETS, Service.GOOGLE_IAM)


def error_answer(fault: Fault, service: Service) -> Response:
    """The error that a fault of kind "error" answers."""
    if fault.body is None:
        response = _own_words(service, fault.status)
    elif isinstance(fault.body, str):
        response = Response(fault.body, fault.status, content_type="text/plain; charset=utf-8")
    else:
        response = json_response(fault.body, fault.status)
    response.headers.update(fault.headers)
    return response


def _own_words(service: Service, status: int) -> Response:
    if service is Service.SLACK:
        return json_response({"ok": False, "error": SLACK_CODES.get(status, "internal_error")}, status)
    if service is Service.S3:
        code = S3_CODES.get(status, "InternalError")
        text = f"<?xml version='1.0' encoding='UTF-8'?><Error><Code>{code}</Code><Message>{code}</Message></Error>"
        return Response(text, status, content_type="application/xml")
    if service is Service.GOOGLE_DRIVE:
        return drive_error(_Scripted(status))
    if service in GOOGLE:
        return google_error(_Scripted(status))
    return json_response(_plain(service, status), status)


def _plain(service: Service, status: int) -> Mapping[str, Any]:
    reason = f"scripted by the test: {status}"
    if service is Service.GOOGLE_OAUTH:
        return {"error": "temporarily_unavailable", "error_description": reason}
    if service is Service.PROMETHEUS:
        return {"status": "error", "errorType": "unavailable", "error": reason}
    return {"detail": reason} if service is Service.IC_PROPOSALS else {"error": reason}


class _Scripted(HTTPException):
    def __init__(self, status: int) -> None:
        super().__init__(f"Scripted by the test: {status}.")
        self.code = status


def half(body: bytes) -> bytes:
    """The first half of a body, at least a byte short."""
    return body[: len(body) // 2]


def garbage(body: bytes) -> bytes:
    """Text that starts like the body and is neither JSON nor XML."""
    return half(body) + b"\x00<"
