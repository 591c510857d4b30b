"""Google Drive API v3 as far as the provider uploads, finds and shares files: `files` and `permissions`.

Query parameters and fields that are not modelled are answered as not mocked, never ignored.
"""

from collections.abc import Mapping
from typing import Any

from werkzeug.exceptions import BadRequest, NotFound
from werkzeug.wrappers import Request, Response

from harness.mocks.google import drive_query, fields
from harness.mocks.google.access import STANDARD_PARAMETERS, ScopesOf, authorize, scopes
from harness.mocks.google.drive_files import DriveFiles, File, Permission
from harness.mocks.google.drive_metadata import change, create, known
from harness.mocks.google.drive_upload import Uploads
from harness.mocks.google.errors import drive_error
from harness.mocks.ledger import Kind, note
from harness.mocks.wsgi import Router, json_object, refuse_unknown

WRITE = scopes("drive", "drive.file")
READ = WRITE | scopes("drive.readonly", "drive.metadata.readonly")
SHARED_DRIVES = frozenset({"supportsAllDrives", "supportsTeamDrives"})
LISTING = frozenset(
    {"q", "pageSize", "pageToken", "orderBy", "spaces", "corpora", "includeItemsFromAllDrives"}
)
FILE_FIELDS = "kind,id,name,mimeType"
PERMISSION_FIELDS = "kind,id,type,role"
"""What is answered without `fields` (Drive API, "Return specific fields")."""
ROLES = ("owner", "organizer", "fileOrganizer", "writer", "commenter", "reader")
TYPES = ("user", "group", "domain", "anyone")
SHARING = frozenset({"sendNotificationEmail", "emailMessage", "transferOwnership"})
MOVING = frozenset({"addParents", "removeParents"})


class Drive:
    """WSGI application over the files of one world."""

    def __init__(self, files: DriveFiles, scopes_of: ScopesOf) -> None:
        self._files = files
        self._scopes_of = scopes_of
        one = "/drive/v3/files/<file_id>"
        self.app = Router(
            [
                ("GET", "/drive/v3/files", self._list),
                ("POST", "/drive/v3/files", self._create),
                ("GET", one, self._get),
                ("PATCH", one, self._update),
                ("DELETE", one, self._delete),
                ("GET", f"{one}/permissions", self._permissions),
                ("POST", f"{one}/permissions", self._share),
                ("DELETE", f"{one}/permissions/<permission_id>", self._unshare),
                *Uploads(files, self._allow_writing, shown).routes(),
            ],
            drive_error,
        )

    def _allow_writing(self, request: Request) -> None:
        authorize(request, self._scopes_of, WRITE)

    def _list(self, request: Request) -> Response:
        authorize(request, self._scopes_of, READ)
        refuse_unknown(request, STANDARD_PARAMETERS | SHARED_DRIVES | LISTING)
        taken = drive_query.parse(request.args.get("q", ""))
        size, start = request.args.get("pageSize", 100, int), request.args.get("pageToken", "0")
        if not 1 <= size <= 1000 or not start.isdecimal():
            raise BadRequest("Invalid value for pageSize or pageToken.")
        found = [file for file in self._files.all() if taken(file)]
        end = int(start) + size
        body = {
            "kind": "drive#fileList",
            "incompleteSearch": False,
            "files": [file.shown() for file in found[int(start) : end]],
            **({"nextPageToken": str(end)} if end < len(found) else {}),
        }
        default = f"kind,incompleteSearch,nextPageToken,files({FILE_FIELDS})"
        return fields.answer(request, body, default)

    def _create(self, request: Request) -> Response:
        self._allow_writing(request)
        refuse_unknown(request, STANDARD_PARAMETERS | SHARED_DRIVES)
        file = create(self._files, json_object(request), "application/octet-stream")
        note(request, Kind.DRIVE_CREATE, file.id, name=file.name)
        return shown(request, file)

    def _get(self, request: Request, file_id: str) -> Response:
        authorize(request, self._scopes_of, READ)
        refuse_unknown(request, STANDARD_PARAMETERS | SHARED_DRIVES | {"acknowledgeAbuse"})
        file = self._files.find(file_id)
        if request.args.get("alt", "json") == "media":
            return Response(file.content, content_type=file.mime_type)
        return shown(request, file)

    def _update(self, request: Request, file_id: str) -> Response:
        self._allow_writing(request)
        refuse_unknown(request, STANDARD_PARAMETERS | SHARED_DRIVES | MOVING)
        body = known(json_object(request))
        with self._files.lock:
            file = self._files.find(file_id)
            change(file, body, self._files.now())
            moved = _ids(request.args.get("addParents")), _ids(request.args.get("removeParents"))
            file.parents = tuple(p for p in (*file.parents, *moved[0]) if p not in moved[1])
        note(request, Kind.DRIVE_CHANGE, file.id, name=file.name)
        return shown(request, file)

    def _delete(self, request: Request, file_id: str) -> Response:
        self._allow_writing(request)
        refuse_unknown(request, STANDARD_PARAMETERS | SHARED_DRIVES)
        self._files.delete(file_id)
        note(request, Kind.DRIVE_DELETE, file_id)
        return Response(status=204)

    def _permissions(self, request: Request, file_id: str) -> Response:
        authorize(request, self._scopes_of, READ)
        refuse_unknown(request, STANDARD_PARAMETERS | SHARED_DRIVES)
        found = [permission.shown() for permission in self._files.find(file_id).permissions.values()]
        body = {"kind": "drive#permissionList", "permissions": found}
        default = f"kind,permissions({PERMISSION_FIELDS})"
        return fields.answer(request, body, default)

    def _share(self, request: Request, file_id: str) -> Response:
        self._allow_writing(request)
        refuse_unknown(request, STANDARD_PARAMETERS | SHARED_DRIVES | SHARING)
        permission = self._files.share(file_id, _permission(json_object(request)))
        what = {"type": permission.type, "role": permission.role, "email": permission.email}
        note(request, Kind.DRIVE_SHARE, file_id, **what)
        return fields.answer(request, permission.shown(), PERMISSION_FIELDS)

    def _unshare(self, request: Request, file_id: str, permission_id: str) -> Response:
        self._allow_writing(request)
        refuse_unknown(request, STANDARD_PARAMETERS | SHARED_DRIVES)
        with self._files.lock:
            if self._files.find(file_id).permissions.pop(permission_id, None) is None:
                raise NotFound(f"Permission not found: {permission_id}.")
        note(request, Kind.DRIVE_CHANGE, file_id, unshared=permission_id)
        return Response(status=204)


def shown(request: Request, file: File) -> Response:
    """The answer with the fields that the request wants."""
    return fields.answer(request, file.shown(), FILE_FIELDS)


def _ids(given: str | None) -> list[str]:
    return [item.strip() for item in (given or "").split(",") if item.strip()]


def _permission(body: Mapping[str, Any]) -> Permission:
    if body.get("type") not in TYPES:
        raise BadRequest("The permission type field is required.")
    if body.get("role") not in ROLES:
        raise BadRequest("The permission role field is required.")
    email, domain = str(body.get("emailAddress") or ""), str(body.get("domain") or "")
    if body["type"] in ("user", "group") and not email:
        raise BadRequest(
            "The specified emailAddress is invalid or not applicable for the given permission type."
        )
    if body["type"] == "domain" and not domain:
        raise BadRequest("The specified domain is invalid or not applicable for the given permission type.")
    return Permission("", body["type"], body["role"], email, domain)
