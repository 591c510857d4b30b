"""The control API (plain HTTP and JSON): how a test prepares the fakes and reads what they saw.

The header X-Itest-Tenant chooses whose world a request is about; without it, it is the default one. The journal, the
reset and S3 are then everybody's; a tenant gets the entries, and sees the objects, that carry its token.

Errors are `{"error": reason}`: 400 for malformed input, 404 for what does not exist, 409 for a refused change.
"""

from collections.abc import Callable
from dataclasses import asdict

from werkzeug.exceptions import BadRequest, Conflict, HTTPException, NotFound, ServiceUnavailable
from werkzeug.wrappers import Request, Response

from harness.mocks.control_parts import clearing, done, list_of
from harness.mocks.fakes import Fakes, World
from harness.mocks.fault_control import fault_routes
from harness.mocks.google.grid import FormulaError
from harness.mocks.ic_control import ic_routes
from harness.mocks.journal import Journal
from harness.mocks.s3 import NoSuchObject
from harness.mocks.slack_control import slack_routes
from harness.mocks.tenancy import DEFAULT, HEADER, TOKEN, is_tenant
from harness.mocks.wsgi import Route, Router, json_object, json_response


def _error(error: HTTPException) -> Response:
    return json_response({"error": error.description}, error.code or 500)


def _tenant(request: Request) -> str:
    """The tenant that the header names, `DEFAULT` without one. Raises BadRequest."""
    tenant = request.headers.get(HEADER)
    if tenant is None:
        return DEFAULT
    if not is_tenant(tenant):
        raise BadRequest(f"{HEADER}: {tenant!r} is no tenant, which is {TOKEN.pattern}")
    return tenant


def _for_tenant(handler: Callable[..., Response]) -> Callable[..., Response]:
    """A handler of requests from a handler of (tenant, request)."""
    return lambda request, **variables: handler(_tenant(request), request, **variables)


def _required(request: Request, name: str) -> str:
    value = request.args.get(name, "")
    if not value:
        raise BadRequest(f"query parameter {name!r} is required")
    return value


class Control:
    """WSGI application over one stack's fakes and journal."""

    def __init__(self, fakes: Fakes, journal: Journal) -> None:
        self._fakes = fakes
        self._journal = journal
        everybody = [
            ("GET", "/healthz", self._health),
            ("GET", "/journal", self._read_journal),
            ("GET", "/tally", self._tally),
            ("GET", "/pristine", self._pristine),
            ("GET", "/next_due", self._next_due),
            ("POST", "/reset", self._reset),
            *self._s3_routes(),
        ]
        worlds = [*slack_routes(), *self._sheets_routes(), *ic_routes(), *fault_routes()]
        self.app = Router(
            [
                *((method, path, _for_tenant(handler)) for method, path, handler in everybody),
                *((method, path, _for_tenant(self._in_world(handler))) for method, path, handler in worlds),
            ],
            _error,
        )

    def _in_world(self, handler: Callable[..., Response]) -> Callable[..., Response]:
        """A handler of (tenant, request) from one of (world, request), which so gets no other tenant's."""
        return lambda tenant, request, **variables: handler(self._fakes.world(tenant), request, **variables)

    def _sheets_routes(self) -> list[Route]:
        return [
            ("GET", "/sheets", lambda world, _: json_response(world.sheets.contents())),
            ("GET", "/sheets/<spreadsheet_id>/<path:tab>", self._rows),
            ("PUT", "/sheets/<spreadsheet_id>/<path:tab>", self._put_rows),
            ("DELETE", "/sheets", clearing(lambda world: world.sheets.reset())),
        ]

    def _s3_routes(self) -> list[Route]:
        return [
            ("GET", "/s3/objects", self._objects),
            ("GET", "/s3/object", self._object),
            ("DELETE", "/s3", self._empty_s3),
        ]

    def _health(self, _tenant: str, _request: Request) -> Response:
        failure = self._fakes.s3.failed()
        if failure is not None:
            raise ServiceUnavailable(f"S3 did not load: {failure!r}")
        return json_response({"ok": True})

    def _read_journal(self, tenant: str, request: Request) -> Response:
        since = request.args.get("since", "0")
        if not since.isdecimal():
            raise BadRequest("'since' must be a sequence number")
        service, pod = request.args.get("service"), request.args.get("pod")
        return json_response(self._journal.entries(int(since), service, pod, tenant))

    def _tally(self, tenant: str, _request: Request) -> Response:
        if tenant:
            raise BadRequest(f"the tally is of all tenants: ask without {HEADER}")
        return json_response(asdict(self._fakes.tally()))

    def _pristine(self, tenant: str, _request: Request) -> Response:
        why = self._differences(tenant) if tenant else self._all_differences()
        return json_response({"pristine": not why, "why": why})

    def _differences(self, tenant: str) -> list[str]:
        """What is left of one tenant outside of S3."""
        entries = len(self._journal.entries(tenant=tenant))
        return [*self._fakes.changes(tenant), *([f"{entries} journal entries"] if entries else [])]

    def _all_differences(self) -> list[str]:
        """What is left of anybody."""
        worlds = [
            f"{tenant or 'default'}: {change}"
            for tenant in self._fakes.tenants()
            for change in self._fakes.changes(tenant)
        ]
        entries = len(self._journal.entries())
        return [*worlds, *([f"{entries} journal entries"] if entries else []), *self._fakes.s3.changes()]

    def _next_due(self, _tenant: str, _request: Request) -> Response:
        return json_response({"next_due": self._fakes.next_due()})

    def _reset(self, tenant: str, _request: Request) -> Response:
        if tenant:
            self._fakes.drop(tenant)
        else:
            self._fakes.reset()
        self._journal.forget(tenant)
        return done()

    def _rows(self, world: World, _request: Request, spreadsheet_id: str, tab: str) -> Response:
        try:
            return json_response({"rows": world.sheets.rows(spreadsheet_id, tab)})
        except KeyError as error:
            raise NotFound(f"no tab {tab!r} in spreadsheet {spreadsheet_id!r}") from error

    def _put_rows(self, world: World, request: Request, spreadsheet_id: str, tab: str) -> Response:
        rows = list_of(json_object(request), "rows", list)
        if not all(item is None or isinstance(item, str | int | float) for row in rows for item in row):
            raise BadRequest("a cell must be text, a number, a boolean or null")
        try:
            world.sheets.put(spreadsheet_id, tab, rows)
        except FormulaError as error:
            raise BadRequest(f"formulas are not computed: {error}") from error
        return done()

    def _objects(self, tenant: str, request: Request) -> Response:
        bucket = _required(request, "bucket")
        try:
            found = self._fakes.s3.objects(bucket, request.args.get("prefix", ""))
        except NoSuchObject as error:
            raise NotFound(f"no bucket {bucket!r}") from error
        return json_response({"objects": [item for item in found if tenant in item["key"]]})

    def _object(self, tenant: str, request: Request) -> Response:
        bucket, key = _required(request, "bucket"), _required(request, "key")
        missing = NotFound(f"no object {key!r} in bucket {bucket!r}")
        if tenant not in key:
            raise missing
        try:
            return Response(self._fakes.s3.read(bucket, key), content_type="application/octet-stream")
        except NoSuchObject as error:
            raise missing from error

    def _empty_s3(self, tenant: str, _request: Request) -> Response:
        if tenant:
            raise Conflict("S3 is everybody's: one tenant cannot empty it")
        self._fakes.s3.reset()
        return done()
