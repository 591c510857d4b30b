"""The state of Google Drive: files, folders, permissions, uploads in parts. Spreadsheets are files, too."""

import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from werkzeug.exceptions import NotFound

from harness.mocks.google.grid import Spreadsheet
from harness.mocks.google.spreadsheets import Spreadsheets

ROOT = "0AItestRootFolder"
"""The id behind the alias `root`."""
FOLDER = "application/vnd.google-apps.folder"
SPREADSHEET = "application/vnd.google-apps.spreadsheet"


@dataclass(slots=True)
class Permission:
    """Who may do what with a file."""

    id: str
    type: str
    role: str
    email: str = ""
    domain: str = ""

    def shown(self) -> dict[str, Any]:
        """A Permission of the Drive API."""
        shown = {"kind": "drive#permission", "id": self.id, "type": self.type, "role": self.role}
        return {
            **shown,
            **({"emailAddress": self.email} if self.email else {}),
            **({"domain": self.domain} if self.domain else {}),
        }


@dataclass(slots=True)
class File:
    """A file or folder; `created` and `modified` in UNIX seconds."""

    id: str
    name: str
    mime_type: str
    parents: tuple[str, ...]
    created: float
    modified: float
    content: bytes = b""
    description: str = ""
    trashed: bool = False
    permissions: dict[str, Permission] = field(default_factory=dict)

    def shown(self) -> dict[str, Any]:
        """A File of the Drive API, with every field that is kept."""
        shown: dict[str, Any] = {
            "kind": "drive#file",
            "id": self.id,
            "name": self.name,
            "mimeType": self.mime_type,
            "parents": list(self.parents),
            "trashed": self.trashed,
            "createdTime": _moment(self.created),
            "modifiedTime": _moment(self.modified),
            "webViewLink": f"https://drive.google.com/file/d/{self.id}/view",
            "shared": len(self.permissions) > 1,
            "permissions": [permission.shown() for permission in self.permissions.values()],
        }
        if self.description:
            shown["description"] = self.description
        if not self.mime_type.startswith("application/vnd.google-apps."):
            shown["size"] = str(len(self.content))
        return shown


@dataclass(slots=True)
class Upload:
    """A resumable upload: what the file is to be, and what has arrived of it."""

    metadata: Mapping[str, Any]
    mime_type: str
    file_id: str | None
    content: bytes = b""


class DriveFiles:
    """Thread-safe. Raises NotFound with Google's words for a file that is not there."""

    def __init__(self, spreadsheets: Spreadsheets, now: Callable[[], float] = time.time) -> None:
        self.now = now
        self.lock = threading.RLock()
        self._spreadsheets = spreadsheets
        self.reset()

    def reset(self) -> None:
        """No files but the root folder."""
        with self.lock:
            root = File(ROOT, "My Drive", FOLDER, (), 0.0, 0.0)
            self._files: dict[str, File] = {ROOT: root}
            self._uploads: dict[str, Upload] = {}

    def changes(self) -> list[str]:
        """How it differs from a new one, each in a few words."""
        with self.lock:
            count = len(self._files) - 1
        return [f"{count} files in Drive"] if count else []

    def all(self) -> list[File]:
        """Files, newest first, spreadsheets made through the Sheets API among them."""
        with self.lock:
            made = [file for file in self._files.values() if file.id != ROOT]
            return [*reversed(made), *self._other_spreadsheets()]

    def find(self, file_id: str) -> File:
        """One file; `root` is the root folder."""
        with self.lock:
            if file_id in ("root", ROOT):
                return self._files[ROOT]
            found = next((file for file in self.all() if file.id == file_id), None)
            if found is None:
                raise NotFound(f"File not found: {file_id}.")
            return self._files.setdefault(file_id, found)

    def _other_spreadsheets(self) -> Iterator[File]:
        for spreadsheet in self._spreadsheets.all():
            if spreadsheet.spreadsheet_id not in self._files:
                yield self._as_file(spreadsheet)

    def _as_file(self, spreadsheet: Spreadsheet) -> File:
        now = self.now()
        return File(spreadsheet.spreadsheet_id, spreadsheet.shown_title, SPREADSHEET, (ROOT,), now, now)

    def create(self, name: str, mime_type: str, parents: tuple[str, ...], owner: str) -> File:
        """A new file that belongs to `owner` (an address). A parent that is not there is NotFound."""
        with self.lock:
            ids = tuple(self.find(parent).id for parent in parents) or (ROOT,)
            now = self.now()
            file = File(secrets.token_urlsafe(24), name, mime_type, ids, now, now)
            self._files[file.id] = file
            self.share(file.id, Permission("", "user", "owner", owner))
            return file

    def delete(self, file_id: str) -> None:
        """Remove a file; with a folder goes what is in it."""
        with self.lock:
            file = self.find(file_id)
            for inside in [other.id for other in self.all() if file.id in other.parents]:
                self.delete(inside)
            self._files.pop(file.id)
            if file.mime_type == SPREADSHEET:
                self._spreadsheets.delete(file.id)

    def share(self, file_id: str, permission: Permission) -> Permission:
        """Add a permission, which gets an id."""
        with self.lock:
            permission.id = (
                "anyoneWithLink" if permission.type == "anyone" else str(secrets.randbelow(10**20))
            )
            self.find(file_id).permissions[permission.id] = permission
            return permission

    def begin(self, upload: Upload) -> str:
        """Begin a resumable upload; its id."""
        with self.lock:
            upload_id = secrets.token_urlsafe(24)
            self._uploads[upload_id] = upload
            return upload_id

    def upload(self, upload_id: str) -> Upload:
        """One that has begun."""
        with self.lock:
            if upload_id not in self._uploads:
                raise NotFound("No such upload.")
            return self._uploads[upload_id]


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
