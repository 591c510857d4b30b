"""Uploads to Drive: simple, multipart and resumable (Drive API, "Upload file data")."""

import email
import email.policy
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from werkzeug.exceptions import BadRequest
from werkzeug.wrappers import Request, Response

from harness.mocks.google.access import STANDARD_PARAMETERS
from harness.mocks.google.drive_files import DriveFiles, File, Upload
from harness.mocks.google.drive_metadata import change, create
from harness.mocks.ledger import Kind, note
from harness.mocks.wsgi import Route, json_object, refuse_unknown

PARAMETERS = STANDARD_PARAMETERS | {"uploadType", "upload_id", "supportsAllDrives", "supportsTeamDrives"}
_RANGE = re.compile(r"bytes (?:(?P<first>\d+)-(?P<last>\d+)|\*)/(?P<total>\d+|\*)")


class Uploads:
    """Routes below /upload; `allow` raises for who may not write, `shown` makes the answer about a file."""

    def __init__(
        self,
        files: DriveFiles,
        allow: Callable[[Request], None],
        shown: Callable[[Request, File], Response],
    ) -> None:
        self._files = files
        self._allow = allow
        self._shown = shown

    def routes(self) -> list[Route]:
        """For new files and for new content of files."""
        path = "/upload/drive/v3/files"
        return [
            ("POST", path, lambda request: self._upload(request, None)),
            ("PATCH", f"{path}/<file_id>", self._upload),
            ("PUT", path, self._continue),
            ("PUT", f"{path}/<file_id>", lambda request, file_id: self._continue(request)),
        ]

    def _upload(self, request: Request, file_id: str | None) -> Response:
        self._allow(request)
        refuse_unknown(request, PARAMETERS)
        if file_id is not None:
            self._files.find(file_id)
        kind = request.args.get("uploadType")
        if kind == "resumable":
            return self._begin(request, file_id)
        if kind == "multipart":
            metadata, mime_type, content = _parts(request)
        elif kind == "media":
            metadata, mime_type, content = {}, request.mimetype, request.get_data()
        else:
            raise BadRequest("Invalid value for uploadType.")
        return self._finish(request, Upload(metadata, mime_type, file_id, content))

    def _begin(self, request: Request, file_id: str | None) -> Response:
        metadata = json_object(request) if request.get_data() else {}
        mime_type = request.headers.get("X-Upload-Content-Type", "application/octet-stream")
        upload_id = self._files.begin(Upload(metadata, mime_type, file_id))
        response = Response(status=200)
        query = f"uploadType=resumable&upload_id={upload_id}"
        if "fields" in request.args:
            query += f"&fields={request.args['fields']}"
        response.headers["Location"] = f"{request.base_url}?{query}"
        return response

    def _continue(self, request: Request) -> Response:
        """A chunk of a resumable upload, or the question how much has arrived. The upload's id is its permission."""
        refuse_unknown(request, PARAMETERS)
        upload = self._files.upload(request.args.get("upload_id", ""))
        given = request.headers.get("Content-Range")
        match = _RANGE.fullmatch(given or f"bytes */{len(request.get_data())}")
        if match is None:
            raise BadRequest("Invalid Content-Range.")
        chunk = request.get_data()
        if match["first"] is not None and int(match["first"]) != len(upload.content):
            raise BadRequest("The chunk does not begin where the last one ended.")
        upload.content += chunk
        if match["total"] == "*" or len(upload.content) < int(match["total"]):
            return _more(upload)
        return self._finish(request, upload)

    def _finish(self, request: Request, upload: Upload) -> Response:
        with self._files.lock:
            if upload.file_id is None:
                file = create(self._files, upload.metadata, upload.mime_type)
            else:
                file = self._files.find(upload.file_id)
                change(file, upload.metadata, self._files.now())
            file.content = upload.content
        kind = Kind.DRIVE_CREATE if upload.file_id is None else Kind.DRIVE_CHANGE
        note(request, kind, file.id, name=file.name, size=len(file.content))
        return self._shown(request, file)


def _more(upload: Upload) -> Response:
    """308 with what has arrived; without a Range header when that is nothing."""
    response = Response(status=308)
    if upload.content:
        response.headers["Range"] = f"bytes=0-{len(upload.content) - 1}"
    return response


def _parts(request: Request) -> tuple[Mapping[str, Any], str, bytes]:
    """(metadata, MIME type, content) of a multipart/related body. Raises BadRequest."""
    head = f"Content-Type: {request.headers.get('Content-Type', '')}\r\n\r\n".encode()
    message = email.message_from_bytes(head + request.get_data(), policy=email.policy.HTTP)
    parts = list(message.iter_parts()) if message.is_multipart() else []
    if len(parts) != 2:
        raise BadRequest("Malformed multipart body.")
    raw = parts[0].get_payload(decode=True)
    content = parts[1].get_payload(decode=True)
    try:
        metadata = json.loads(raw if isinstance(raw, bytes) else b"")
    except ValueError as error:
        raise BadRequest("Malformed multipart body.") from error
    if not isinstance(metadata, dict) or not isinstance(content, bytes):
        raise BadRequest("Malformed multipart body.")
    return metadata, parts[1].get_content_type(), content
