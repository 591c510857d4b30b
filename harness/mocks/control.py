"""The control API (plain HTTP and JSON): how a test prepares the fakes and reads what they saw.

Errors are `{"error": reason}`: 400 for malformed input, 404 for what does not exist, 409 for a refused change.
"""

from collections.abc import Callable
from dataclasses import asdict, fields
from typing import Any

from werkzeug.exceptions import BadRequest, Conflict, HTTPException, NotFound, ServiceUnavailable
from werkzeug.wrappers import Request, Response

from harness.mocks.fakes import Fakes
from harness.mocks.grid import FormulaError
from harness.mocks.ic_state import Alert, LifeCycle, Refused, Subnet
from harness.mocks.journal import Journal
from harness.mocks.s3 import NoSuchObject
from harness.mocks.wsgi import Router, json_object, json_response


def _error(error: HTTPException) -> Response:
    return json_response({"error": error.description}, error.code or 500)


def _done(changed: Any = None) -> Response:
    return json_response({"ok": True} if changed is None else changed)


def _clearing(reset: Callable[[], None]) -> Callable[..., Response]:
    """A handler that puts one fake back to pristine."""

    def clear(_request: Request) -> Response:
        reset()
        return _done()

    return clear


def _list_of(body: dict[str, Any], name: str, kind: type) -> list[Any]:
    """The list under `name`, all of one type. Raises BadRequest."""
    value = body.get(name)
    if not isinstance(value, list) or not all(isinstance(item, kind) for item in value):
        raise BadRequest(f"{name!r} must be a list, each item a {kind.__name__}")
    return value


def _required(request: Request, name: str) -> str:
    value = request.args.get(name, "")
    if not value:
        raise BadRequest(f"query parameter {name!r} is required")
    return value


def _subnet(item: dict[str, Any]) -> Subnet:
    kinds = {"subnet_id": str, "replica_count": int, "subnet_type": str, "replica_version_id": str}
    wrong = [name for name, kind in kinds.items() if type(item.get(name)) is not kind]
    if wrong:
        raise BadRequest(f"subnet {item.get('subnet_id')!r}: missing or malformed {', '.join(wrong)}")
    if item["replica_count"] < 1:
        raise BadRequest(f"subnet {item['subnet_id']}: replica_count must be at least 1")
    return Subnet(**{name: item[name] for name in kinds})


def _alert(item: Any) -> Alert:
    """An alert given by its name, or as {"alertname", "severity"}."""
    if isinstance(item, str) and item:
        return Alert(item)
    if not isinstance(item, dict) or not set(item) <= {"alertname", "severity"}:
        raise BadRequest(f"{item!r} is neither an alert's name nor {{alertname, severity}}")
    if not item.get("alertname") or not all(isinstance(value, str) for value in item.values()):
        raise BadRequest(f"{item!r}: alertname and severity must be text")
    return Alert(**item)


class Control:
    """WSGI application over one stack's fakes and journal."""

    def __init__(self, fakes: Fakes, journal: Journal) -> None:
        self._fakes = fakes
        self._journal = journal
        self.app = Router(
            [
                ("GET", "/healthz", self._health),
                ("GET", "/journal", self._read_journal),
                ("POST", "/reset", self._reset),
                *self._slack_routes(),
                *self._sheets_routes(),
                *self._ic_routes(),
                *self._s3_routes(),
            ],
            _error,
        )

    def _slack_routes(self) -> list[tuple[str, str, Callable[..., Response]]]:
        return [
            ("GET", "/slack/messages", self._messages),
            ("GET", "/slack/channels", self._channels),
            ("PUT", "/slack/channels", self._set_channels),
            ("DELETE", "/slack", _clearing(self._fakes.slack.reset)),
        ]

    def _sheets_routes(self) -> list[tuple[str, str, Callable[..., Response]]]:
        return [
            ("GET", "/sheets", lambda _: json_response(self._fakes.sheets.contents())),
            ("GET", "/sheets/<spreadsheet_id>/<path:tab>", self._rows),
            ("PUT", "/sheets/<spreadsheet_id>/<path:tab>", self._put_rows),
            ("DELETE", "/sheets", _clearing(self._fakes.sheets.reset)),
        ]

    def _ic_routes(self) -> list[tuple[str, str, Callable[..., Response]]]:
        ic = self._fakes.ic
        return [
            ("GET", "/ic/registry", lambda _: json_response(ic.subnets())),
            ("PUT", "/ic/registry", self._set_registry),
            ("PUT", "/ic/settings", self._set_life_cycle),
            ("PUT", "/ic/alerts", self._set_alerts),
            ("GET", "/ic/proposals", lambda _: json_response(ic.proposals())),
            ("GET", "/ic/admin-calls", lambda _: json_response(ic.admin_calls())),
            ("POST", "/ic/proposals/<int:proposal_id>/accept", lambda _, **id_: self._decide(True, **id_)),
            ("POST", "/ic/proposals/<int:proposal_id>/reject", lambda _, **id_: self._decide(False, **id_)),
            ("DELETE", "/ic", _clearing(ic.reset)),
        ]

    def _s3_routes(self) -> list[tuple[str, str, Callable[..., Response]]]:
        return [
            ("GET", "/s3/objects", self._objects),
            ("GET", "/s3/object", self._object),
            ("DELETE", "/s3", _clearing(self._fakes.s3.reset)),
        ]

    def _health(self, _request: Request) -> Response:
        failure = self._fakes.s3.failed()
        if failure is not None:
            raise ServiceUnavailable(f"S3 did not load: {failure!r}")
        return json_response({"ok": True})

    def _read_journal(self, request: Request) -> Response:
        since = request.args.get("since", "0")
        if not since.isdecimal():
            raise BadRequest("'since' must be a sequence number")
        found = self._journal.entries(int(since), request.args.get("service"), request.args.get("pod"))
        return json_response(found)

    def _reset(self, _request: Request) -> Response:
        self._fakes.reset()
        self._journal.forget()
        return _done()

    def _messages(self, request: Request) -> Response:
        return json_response(self._fakes.slack.messages(request.args.get("channel")))

    def _channels(self, _request: Request) -> Response:
        return json_response({"channels": self._fakes.slack.channels()})

    def _set_channels(self, request: Request) -> Response:
        names = _list_of(json_object(request), "channels", str)
        self._fakes.slack.set_channels(name.removeprefix("#") for name in names)
        return _done()

    def _rows(self, _request: Request, spreadsheet_id: str, tab: str) -> Response:
        try:
            return json_response({"rows": self._fakes.sheets.rows(spreadsheet_id, tab)})
        except KeyError as error:
            raise NotFound(f"no tab {tab!r} in spreadsheet {spreadsheet_id!r}") from error

    def _put_rows(self, request: Request, spreadsheet_id: str, tab: str) -> Response:
        rows = _list_of(json_object(request), "rows", list)
        if not all(item is None or isinstance(item, str | int | float) for row in rows for item in row):
            raise BadRequest("a cell must be text, a number, a boolean or null")
        try:
            self._fakes.sheets.put(spreadsheet_id, tab, rows)
        except FormulaError as error:
            raise BadRequest(f"formulas are not computed: {error}") from error
        return _done()

    def _set_registry(self, request: Request) -> Response:
        subnets = [_subnet(item) for item in _list_of(json_object(request), "subnets", dict)]
        ids = [subnet.subnet_id for subnet in subnets]
        twice = sorted({name for name in ids if ids.count(name) > 1})
        if twice:
            raise BadRequest(f"subnet given twice: {', '.join(twice)}")
        self._fakes.ic.set_registry(subnets)
        return _done()

    def _set_life_cycle(self, request: Request) -> Response:
        body = json_object(request)
        known = {field.name for field in fields(LifeCycle)}
        if set(body) - known:
            raise BadRequest(
                f"unknown setting {', '.join(sorted(set(body) - known))}; known: {sorted(known)}"
            )
        for name, value in body.items():
            if name == "auto":
                if not isinstance(value, bool):
                    raise BadRequest("'auto' must be true or false")
            elif isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
                raise BadRequest(f"{name!r} must be a number of seconds, not negative")
        return _done(asdict(self._fakes.ic.set_life_cycle(body)))

    def _set_alerts(self, request: Request) -> Response:
        body = json_object(request)
        alerts = [_alert(item) for item in _list_of(body, "alerts", object)]
        try:
            self._fakes.ic.set_alerts(str(body.get("subnet_id", "")), alerts)
        except Refused as error:
            raise BadRequest(str(error)) from error
        return _done()

    def _decide(self, accept: bool, proposal_id: int) -> Response:
        try:
            return json_response(self._fakes.ic.decide(proposal_id, accept))
        except KeyError as error:
            raise NotFound(f"no proposal {proposal_id}") from error
        except Refused as error:
            raise Conflict(str(error)) from error

    def _objects(self, request: Request) -> Response:
        bucket = _required(request, "bucket")
        try:
            return json_response({"objects": self._fakes.s3.objects(bucket, request.args.get("prefix", ""))})
        except NoSuchObject as error:
            raise NotFound(f"no bucket {bucket!r}") from error

    def _object(self, request: Request) -> Response:
        bucket, key = _required(request, "bucket"), _required(request, "key")
        try:
            return Response(self._fakes.s3.read(bucket, key), content_type="application/octet-stream")
        except NoSuchObject as error:
            raise NotFound(f"no object {key!r} in bucket {bucket!r}") from error
