"""Google Sheets API v4: `spreadsheets.create/get/batchUpdate`, and `spreadsheets.values` by `values`.

Requests of batchUpdate, and query parameters, that are not modelled are answered as not mocked, never ignored.
"""

import copy
from collections.abc import Callable, Mapping
from typing import Any

from werkzeug.exceptions import BadRequest
from werkzeug.wrappers import Request, Response

from harness.mocks.google import fields
from harness.mocks.google.access import STANDARD_PARAMETERS, ScopesOf, authorize
from harness.mocks.google.errors import google_error
from harness.mocks.google.grid import MIN_COLUMNS, MIN_ROWS, Spreadsheet, Tab
from harness.mocks.google.spreadsheets import Spreadsheets
from harness.mocks.google.values import READ_SCOPES, WRITE_SCOPES, Values
from harness.mocks.ledger import Kind, note
from harness.mocks.wsgi import Router, Unmocked, json_object, refuse_unknown

BATCH_FIELDS = frozenset(
    {"requests", "includeSpreadsheetInResponse", "responseRanges", "responseIncludeGridData"}
)


class Sheets:
    """WSGI application over the spreadsheets of one world."""

    def __init__(self, spreadsheets: Spreadsheets, scopes_of: ScopesOf) -> None:
        self._spreadsheets = spreadsheets
        self._scopes_of = scopes_of
        one = "/v4/spreadsheets/<spreadsheet_id>"
        self.app = Router(
            [
                ("POST", "/v4/spreadsheets", self._create),
                ("GET", one, self._get),
                ("POST", f"{one}:batchUpdate", self._batch_update),
                *Values(spreadsheets, scopes_of).routes(),
            ],
            google_error,
        )

    def _create(self, request: Request) -> Response:
        authorize(request, self._scopes_of, WRITE_SCOPES)
        refuse_unknown(request, STANDARD_PARAMETERS)
        body = json_object(request)
        properties = body.get("properties") or {}
        unknown = set(body) - {"properties", "sheets"} | set(properties) - {"title", "locale", "timeZone"}
        if unknown:
            raise Unmocked(f"the fields {', '.join(sorted(unknown))} of spreadsheets.create")
        tabs = [
            _new_tab(item.get("properties") or {}, index)
            for index, item in enumerate(body.get("sheets") or [])
        ]
        title = str(properties.get("title") or "Untitled spreadsheet")
        made = self._spreadsheets.create(title, tabs or [Tab("Sheet1", 0)])
        note(request, Kind.SHEETS_CREATE, made.spreadsheet_id, title=title)
        return fields.answer(request, _resource(made))

    def _get(self, request: Request, spreadsheet_id: str) -> Response:
        authorize(request, self._scopes_of, READ_SCOPES)
        refuse_unknown(request, STANDARD_PARAMETERS | {"includeGridData"})
        if request.args.get("includeGridData", "false").lower() != "false":
            raise Unmocked("includeGridData=true of spreadsheets.get")
        with self._spreadsheets.lock:
            return fields.answer(request, _resource(self._spreadsheets.find(spreadsheet_id)))

    def _batch_update(self, request: Request, spreadsheet_id: str) -> Response:
        authorize(request, self._scopes_of, WRITE_SCOPES)
        refuse_unknown(request, STANDARD_PARAMETERS)
        body = json_object(request)
        if set(body) - BATCH_FIELDS or not isinstance(body.get("requests"), list) or not body["requests"]:
            raise BadRequest("Must specify at least one request.")
        with self._spreadsheets.lock:
            # All or nothing: the requests change a copy.
            changed = copy.deepcopy(self._spreadsheets.find(spreadsheet_id))
            replies = [_apply(changed, item, index) for index, item in enumerate(body["requests"])]
            self._spreadsheets.keep(changed)
        note(
            request,
            Kind.SHEETS_CHANGE,
            spreadsheet_id,
            requests=[next(iter(item)) for item in body["requests"]],
        )
        answer: dict[str, Any] = {"spreadsheetId": spreadsheet_id, "replies": replies}
        if body.get("includeSpreadsheetInResponse"):
            answer["updatedSpreadsheet"] = _resource(changed)
        return fields.answer(request, answer)


def _resource(spreadsheet: Spreadsheet) -> dict[str, Any]:
    """A Spreadsheet without its cells."""
    spreadsheet_id = spreadsheet.spreadsheet_id
    properties = {
        "title": spreadsheet.shown_title,
        "locale": "en_US",
        "timeZone": "Etc/UTC",
        "autoRecalc": "ON_CHANGE",
    }
    return {
        "spreadsheetId": spreadsheet_id,
        "properties": properties,
        "sheets": [{"properties": _properties(index, tab)} for index, tab in enumerate(spreadsheet.tabs)],
        "spreadsheetUrl": f"https://docs.google.com/spreadsheets/d/{spreadsheet_id}/edit",
    }


def _properties(index: int, tab: Tab) -> dict[str, Any]:
    grid = {"rowCount": tab.rows, "columnCount": tab.columns}
    return {
        "sheetId": tab.sheet_id,
        "title": tab.title,
        "index": index,
        "sheetType": "GRID",
        "gridProperties": grid,
    }


def _new_tab(properties: Mapping[str, Any], number: int) -> Tab:
    unknown = set(properties) - {"title", "sheetId", "index", "gridProperties", "sheetType"}
    if unknown:
        raise Unmocked(f"the properties {', '.join(sorted(unknown))} of a new sheet")
    grid = properties.get("gridProperties") or {}
    return Tab(
        title=str(properties.get("title") or f"Sheet{number + 1}"),
        sheet_id=int(properties.get("sheetId", number)),
        rows=int(grid.get("rowCount", MIN_ROWS)),
        columns=int(grid.get("columnCount", MIN_COLUMNS)),
    )


def _apply(spreadsheet: Spreadsheet, item: Any, index: int) -> dict[str, Any]:
    """Carry out one request of a batch; its reply. Raises BadRequest with Google's "Invalid requests[i].kind: ..."."""
    if not isinstance(item, dict) or len(item) != 1:
        raise BadRequest(
            f"Invalid value at 'requests[{index}]' (oneof), exactly one kind of request is needed"
        )
    kind, arguments = next(iter(item.items()))
    change = CHANGES.get(kind)
    if change is None:
        raise Unmocked(f"the request {kind} of spreadsheets.batchUpdate")
    try:
        return change(spreadsheet, arguments or {})
    except ValueError as error:
        raise BadRequest(f"Invalid requests[{index}].{kind}: {error}") from error


def _add_sheet(spreadsheet: Spreadsheet, arguments: Mapping[str, Any]) -> dict[str, Any]:
    properties = dict(arguments.get("properties") or {})
    ids = [tab.sheet_id for tab in spreadsheet.tabs]
    properties.setdefault("sheetId", max(ids, default=-1) + 1)
    tab = _new_tab(properties, len(spreadsheet.tabs))
    _check_title(spreadsheet, tab.title)
    if tab.sheet_id in ids:
        raise ValueError(f"A sheet with the ID {tab.sheet_id} already exists.")
    index = int(properties.get("index", len(spreadsheet.tabs)))
    spreadsheet.tabs.insert(index, tab)
    return {"addSheet": {"properties": _properties(index, tab)}}


def _delete_sheet(spreadsheet: Spreadsheet, arguments: Mapping[str, Any]) -> dict[str, Any]:
    tab = _tab_by_id(spreadsheet, arguments.get("sheetId", 0))
    if len(spreadsheet.tabs) == 1:
        raise ValueError("You can't remove all the sheets in a document.")
    spreadsheet.tabs.remove(tab)
    return {}


def _update_properties(spreadsheet: Spreadsheet, arguments: Mapping[str, Any]) -> dict[str, Any]:
    properties = arguments.get("properties") or {}
    if fields.parse(str(arguments.get("fields") or "*")) != {"title": {}}:
        raise Unmocked("fields other than title of updateSheetProperties")
    tab = _tab_by_id(spreadsheet, properties.get("sheetId", 0))
    title = str(properties.get("title") or "")
    if title != tab.title:
        _check_title(spreadsheet, title)
        tab.title = title
    return {}


def _check_title(spreadsheet: Spreadsheet, title: str) -> None:
    if not title:
        raise ValueError("The sheet name cannot be empty.")
    if title in spreadsheet.titles():
        raise ValueError(f'A sheet with the name "{title}" already exists. Please enter another name.')


def _tab_by_id(spreadsheet: Spreadsheet, sheet_id: Any) -> Tab:
    for tab in spreadsheet.tabs:
        if tab.sheet_id == sheet_id:
            return tab
    raise ValueError(f"No sheet with id: {sheet_id}")


CHANGES: Mapping[str, Callable[[Spreadsheet, Mapping[str, Any]], dict[str, Any]]] = {
    "addSheet": _add_sheet,
    "deleteSheet": _delete_sheet,
    "updateSheetProperties": _update_properties,
}
