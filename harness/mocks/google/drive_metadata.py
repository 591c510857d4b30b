"""Metadata of Drive's files as clients write it, with content or without."""

from collections.abc import Mapping
from typing import Any

from werkzeug.exceptions import BadRequest

from harness.mocks.google.drive_files import DriveFiles, File
from harness.mocks.wsgi import Unmocked

WRITABLE = frozenset({"name", "mimeType", "parents", "description", "trashed"})
OWNER = "owner@itest.iam.gserviceaccount.com"


def create(files: DriveFiles, metadata: Mapping[str, Any], mime_type: str) -> File:
    """A new file from its metadata. Raises BadRequest and Unmocked."""
    body = known(metadata)
    parents = body.get("parents", [])
    if not isinstance(parents, list) or not all(isinstance(parent, str) for parent in parents):
        raise BadRequest("Invalid value for parents.")
    name, kind = str(body.get("name") or "Untitled"), str(body.get("mimeType") or mime_type)
    file = files.create(name, kind, tuple(parents), OWNER)
    file.description = str(body.get("description") or "")
    return file


def change(file: File, body: Mapping[str, Any], now: float) -> None:
    """Change what of a file its new metadata names."""
    if "parents" in body:
        raise BadRequest(
            "The parents field is not directly writable in update requests. "
            "Use the addParents and removeParents parameters instead."
        )
    file.name = str(body.get("name", file.name))
    file.mime_type = str(body.get("mimeType", file.mime_type))
    file.description = str(body.get("description", file.description))
    file.trashed = bool(body.get("trashed", file.trashed))
    file.modified = now


def known(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """The metadata itself. Raises Unmocked for a field that is not modelled."""
    unknown = set(body) - WRITABLE
    if unknown:
        raise Unmocked(f"the fields {', '.join(sorted(unknown))} of a Drive file")
    return body
