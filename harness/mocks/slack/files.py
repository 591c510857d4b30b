"""Uploading files: `files.getUploadURLExternal`, the bytes at files.slack.com, `files.completeUploadExternal`."""

from collections.abc import Callable, Mapping
from typing import Any

from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Request, Response

from harness.mocks.ledger import Kind, note
from harness.mocks.slack.arguments import Arguments
from harness.mocks.slack.chat import posted
from harness.mocks.slack.errors import SlackError
from harness.mocks.slack.models import USER_ID, Channel, File, Message
from harness.mocks.slack.workspace import Workspace
from harness.mocks.wsgi import Router

UPLOAD_HOST = "files.slack.com"


class Files:
    """Their handlers over one workspace."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def methods(self) -> Mapping[str, Callable[[Arguments], dict[str, Any]]]:
        """By their names."""
        return {
            "files.getUploadURLExternal": self._reserve,
            "files.completeUploadExternal": self._complete,
            "files.info": self._info,
        }

    def _reserve(self, arguments: Arguments) -> dict[str, Any]:
        length = arguments.number("length")
        if not length:
            raise SlackError("invalid_arguments", "[ERROR] missing required field: length")
        file = self._workspace.reserve(arguments.needed("filename"), length)
        url = f"https://{UPLOAD_HOST}/upload/v1/{file.upload_token}"
        return {"upload_url": url, "file_id": file.id}

    def _complete(self, arguments: Arguments) -> dict[str, Any]:
        given = arguments.list_of("files", "invalid_arguments")
        if not given or not all(isinstance(item.get("id"), str) for item in given):
            raise SlackError("invalid_arguments", "[ERROR] missing required field: files")
        channels = self._channels(arguments)
        names = tuple(channel.name for channel in channels)
        files = [self._workspace.complete(item["id"], str(item.get("title") or ""), names) for item in given]
        for file in files:
            note(arguments.request, Kind.SLACK_FILE, ",".join(names), file_id=file.id, name=file.name)
        for channel in channels:
            self._share(arguments, channel, files)
        return {"files": [file.shown() for file in files]}

    def _channels(self, arguments: Arguments) -> list[Channel]:
        given = arguments.text("channel_id") or arguments.text("channels") or ""
        return [self._workspace.channel(name, writing=True) for name in given.split(",") if name]

    def _share(self, arguments: Arguments, channel: Channel, files: list[File]) -> None:
        message = Message(
            ts="",
            channel=channel.name,
            text=arguments.text("initial_comment") or "",
            blocks=[],
            attachments=[],
            thread_ts=arguments.text("thread_ts"),
            user=USER_ID,
            pod=arguments.pod,
            files=[file.id for file in files],
        )
        posted(arguments, self._workspace.post(message))

    def _info(self, arguments: Arguments) -> dict[str, Any]:
        return {"file": self._workspace.file(arguments.needed("file", "file_not_found")).shown()}


class Uploads:
    """WSGI application under files.slack.com: takes the bytes of a file, raw or as a form's `file` or `filename`."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self.app = Router([("POST", "/upload/v1/<token>", self._upload)], _http_error)

    def _upload(self, request: Request, token: str) -> Response:
        # Whatever its type says: slack_sdk sends the bytes as they are, and urllib calls them a form.
        is_form = request.mimetype == "multipart/form-data"
        content = b"".join(part.read() for part in request.files.values()) if is_form else request.get_data()
        if self._workspace.upload(token, content) is None:
            return Response("file not found", 404, content_type="text/plain")
        return Response(f"OK - {len(content)}", content_type="text/plain")


def _http_error(error: HTTPException) -> Response:
    return Response(error.description or "", error.code or 500, content_type="text/plain")
