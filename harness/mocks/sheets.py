"""Google Sheets API v4: `spreadsheets.get` and `values.get/batchGet/update/append`.

Answers, errors and trimming follow the API's reference (REST resource spreadsheets.values). Query parameters that
are not modelled are answered as not mocked, never ignored.
"""

import threading
from collections.abc import Callable, Sequence
from typing import Any

from werkzeug.exceptions import BadRequest, Forbidden, NotFound, Unauthorized
from werkzeug.wrappers import Request, Response

from harness.mocks import a1
from harness.mocks.google_errors import google_error
from harness.mocks.grid import Cell, FormulaError, Spreadsheet, Tab, raw, typed
from harness.mocks.ledger import Kind, note
from harness.mocks.wsgi import Router, Unmocked, json_object, json_response, refuse_unknown

_SCOPE = "https://www.googleapis.com/auth/"
WRITE_SCOPES = frozenset({f"{_SCOPE}{name}" for name in ("spreadsheets", "drive", "drive.file")})
READ_SCOPES = WRITE_SCOPES | {f"{_SCOPE}{name}" for name in ("spreadsheets.readonly", "drive.readonly")}
STANDARD_PARAMETERS = frozenset({"alt", "prettyPrint", "quotaUser", "$.xgafv"})
RENDERING = frozenset({"majorDimension", "valueRenderOption", "dateTimeRenderOption"})
WRITING = frozenset(
    {"valueInputOption", "includeValuesInResponse"}
    | {"responseValueRenderOption", "responseDateTimeRenderOption"}
)

Bounds = tuple[int, int, int, int]


class Sheets:
    """Spreadsheets by id. `scopes_of` tells what an access token may do, None for an unknown one."""

    def __init__(self, scopes_of: Callable[[str], frozenset[str] | None]) -> None:
        self._scopes_of = scopes_of
        self._lock = threading.RLock()
        self._spreadsheets: dict[str, Spreadsheet] = {}
        one = "/v4/spreadsheets/<spreadsheet_id>"
        self.app = Router(
            [
                ("GET", one, self._get),
                ("GET", f"{one}/values:batchGet", self._values_batch_get),
                ("GET", f"{one}/values/<path:a1_range>", self._values_get),
                ("PUT", f"{one}/values/<path:a1_range>", self._values_update),
                ("POST", f"{one}/values/<path:a1_range>:append", self._values_append),
            ],
            google_error,
        )

    def reset(self) -> None:
        """No spreadsheets."""
        with self._lock:
            self._spreadsheets.clear()

    def changes(self) -> list[str]:
        """How it differs from a new one, each in a few words."""
        with self._lock:
            return [f"{len(self._spreadsheets)} spreadsheets"] if self._spreadsheets else []

    def put(self, spreadsheet_id: str, tab: str, rows: Sequence[Sequence[Any]]) -> None:
        """Make a tab hold exactly `rows`, creating tab and spreadsheet. Raises FormulaError."""
        with self._lock:
            spreadsheet = self._spreadsheets.get(spreadsheet_id) or Spreadsheet(spreadsheet_id)
            spreadsheet.replace(tab, rows)
            self._spreadsheets[spreadsheet_id] = spreadsheet

    def rows(self, spreadsheet_id: str, tab: str) -> list[list[str]]:
        """What a tab shows. Raises KeyError when there is no such tab or spreadsheet."""
        with self._lock:
            found = self._spreadsheets[spreadsheet_id].tab(tab)
            return [
                [cell.shown if cell else "" for cell in row] for row in found.block(found.bounds(a1.Span()))
            ]

    def contents(self) -> dict[str, dict[str, list[list[str]]]]:
        """Everything: spreadsheet id to tab to rows."""
        with self._lock:
            return {
                key: {title: self.rows(key, title) for title in spreadsheet.titles()}
                for key, spreadsheet in self._spreadsheets.items()
            }

    def _authorize(self, request: Request, wanted: frozenset[str]) -> None:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        scopes = self._scopes_of(token)
        if scopes is None:
            raise Unauthorized(
                "Request had invalid authentication credentials. Expected OAuth 2 access token."
            )
        if not scopes & wanted:
            raise Forbidden("Request had insufficient authentication scopes.")

    def _find(self, spreadsheet_id: str) -> Spreadsheet:
        try:
            return self._spreadsheets[spreadsheet_id]
        except KeyError as error:
            raise NotFound("Requested entity was not found.") from error

    def _locate(self, spreadsheet: Spreadsheet, text: str) -> tuple[Tab, Bounds]:
        """The tab and the closed bounds that an A1 range means."""
        try:
            area = a1.parse(text, spreadsheet.titles())
        except a1.RangeError as error:
            raise BadRequest(str(error)) from error
        tab = spreadsheet.tab(area.title)
        if area.span.top >= tab.rows or area.span.left >= tab.columns:
            limits = f"Max rows: {tab.rows}, max columns: {tab.columns}"
            raise BadRequest(f"Range ({text}) exceeds grid limits. {limits}")
        return tab, tab.bounds(area.span)

    def _get(self, request: Request, spreadsheet_id: str) -> Response:
        self._authorize(request, READ_SCOPES)
        refuse_unknown(request, STANDARD_PARAMETERS | {"includeGridData"})
        if request.args.get("includeGridData", "false").lower() != "false":
            raise Unmocked("includeGridData=true of spreadsheets.get")
        with self._lock:
            spreadsheet = self._find(spreadsheet_id)
            tabs = [_sheet_resource(index, tab) for index, tab in enumerate(spreadsheet.tabs)]
        return json_response(
            {
                "spreadsheetId": spreadsheet_id,
                "properties": {"title": spreadsheet_id, "locale": "en_US", "timeZone": "Etc/UTC"},
                "sheets": tabs,
                "spreadsheetUrl": f"https://docs.google.com/spreadsheets/d/{spreadsheet_id}/edit",
            }
        )

    def _values_get(self, request: Request, spreadsheet_id: str, a1_range: str) -> Response:
        self._authorize(request, READ_SCOPES)
        refuse_unknown(request, STANDARD_PARAMETERS | RENDERING)
        with self._lock:
            tab, bounds = self._locate(self._find(spreadsheet_id), a1_range)
            return json_response(_value_range(request, tab, bounds))

    def _values_batch_get(self, request: Request, spreadsheet_id: str) -> Response:
        self._authorize(request, READ_SCOPES)
        refuse_unknown(request, STANDARD_PARAMETERS | RENDERING | {"ranges"})
        with self._lock:
            spreadsheet = self._find(spreadsheet_id)
            found = [self._locate(spreadsheet, text) for text in request.args.getlist("ranges")]
            ranges = [_value_range(request, tab, bounds) for tab, bounds in found]
        return json_response({"spreadsheetId": spreadsheet_id, "valueRanges": ranges})

    def _values_update(self, request: Request, spreadsheet_id: str, a1_range: str) -> Response:
        self._authorize(request, WRITE_SCOPES)
        refuse_unknown(request, STANDARD_PARAMETERS | WRITING)
        enter = _input_option(request)
        values = _values(request, a1_range)
        with self._lock:
            tab, bounds = self._locate(self._find(spreadsheet_id), a1_range)
            area = a1.parse(a1_range, [tab.title])
            _check_fits(a1.written(tab.title, *bounds), bounds, area.span, values)
            written = _write(tab, bounds[0], bounds[1], values, enter)
            note(request, Kind.SHEETS_WRITE, spreadsheet_id, range=a1.written(tab.title, *written))
            return json_response(_update_response(request, spreadsheet_id, tab, written, values))

    def _values_append(self, request: Request, spreadsheet_id: str, a1_range: str) -> Response:
        self._authorize(request, WRITE_SCOPES)
        refuse_unknown(request, STANDARD_PARAMETERS | WRITING | {"insertDataOption"})
        enter = _input_option(request)
        insert = _option(request, "insertDataOption", ("OVERWRITE", "INSERT_ROWS"))
        values = _values(request, a1_range)
        body: dict[str, Any] = {"spreadsheetId": spreadsheet_id}
        with self._lock:
            tab, bounds = self._locate(self._find(spreadsheet_id), a1_range)
            table = tab.table_at(bounds)
            top, left = (table[2], table[1]) if table else bounds[:2]
            if table:
                body["tableRange"] = a1.written(tab.title, *table)
            if insert == "INSERT_ROWS":
                tab.insert_rows(top, len(values))
            written = _write(tab, top, left, values, enter)
            note(request, Kind.SHEETS_WRITE, spreadsheet_id, range=a1.written(tab.title, *written))
            body["updates"] = _update_response(request, spreadsheet_id, tab, written, values)
        return json_response(body)


def _sheet_resource(index: int, tab: Tab) -> dict[str, Any]:
    grid = {"rowCount": tab.rows, "columnCount": tab.columns}
    properties = {"sheetId": tab.sheet_id, "title": tab.title, "index": index, "sheetType": "GRID"}
    return {"properties": {**properties, "gridProperties": grid}}


def _option(request: Request, name: str, choices: Sequence[str]) -> str:
    """A query parameter of a fixed set, the first being the default."""
    value = request.args.get(name, choices[0])
    if value not in choices:
        raise BadRequest(f"Invalid value at '{name}', \"{value}\"")
    return value


def _dimension(value: str) -> str:
    """ROWS or COLUMNS; Airflow's hook sends the enumeration's "unspecified", which means rows."""
    if value not in ("ROWS", "COLUMNS", "DIMENSION_UNSPECIFIED"):
        raise BadRequest(f"Invalid value at 'majorDimension', \"{value}\"")
    return "COLUMNS" if value == "COLUMNS" else "ROWS"


def _input_option(request: Request) -> Callable[[Any], Cell]:
    if "valueInputOption" not in request.args:
        raise BadRequest("'valueInputOption' is required but not specified")
    return raw if _option(request, "valueInputOption", ("RAW", "USER_ENTERED")) == "RAW" else typed


def _values(request: Request, a1_range: str) -> list[list[Any]]:
    """The rows of the ValueRange in the body, whose range must be the one in the path."""
    body = json_object(request)
    if body.get("range", a1_range) != a1_range:
        raise BadRequest(f"Requested range [{a1_range}] does not match value's range [{body['range']}]")
    values = body.get("values", [])
    if not isinstance(values, list) or not all(isinstance(row, list) for row in values):
        raise BadRequest("Invalid value at 'data.values', it must be a list of lists")
    if not all(item is None or isinstance(item, str | int | float) for row in values for item in row):
        raise BadRequest("Invalid values: a cell holds a string, a number, a boolean or null")
    if _dimension(body.get("majorDimension", "ROWS")) == "COLUMNS":
        depth = max((len(column) for column in values), default=0)
        return [[column[row] if row < len(column) else None for column in values] for row in range(depth)]
    return values


def _check_fits(shown: str, bounds: Bounds, span: a1.Span, values: list[list[Any]]) -> None:
    """Refuse values that leave the requested range; a range of one corner may be left, as Google allows it."""
    top, left, bottom, right = bounds
    if (bottom - top, right - left) == (1, 1):
        return
    if span.bottom is not None and len(values) > bottom - top:
        row = bottom + 1
        raise BadRequest(f"Requested writing within range [{shown}], but tried writing to row [{row}]")
    if span.right is not None and any(len(row) > right - left for row in values):
        column = a1.column_letters(right)
        raise BadRequest(f"Requested writing within range [{shown}], but tried writing to column [{column}]")


def _write(tab: Tab, top: int, left: int, values: list[list[Any]], enter: Callable[[Any], Cell]) -> Bounds:
    """Enter values from (top, left); null leaves a cell alone. Returns the closed bounds of what was given."""
    try:
        cells = [[None if item is None else enter(item) for item in row] for row in values]
    except FormulaError as error:
        raise Unmocked(f"the formula {error}") from error
    for row, line in enumerate(cells, start=top):
        for column, cell in enumerate(line, start=left):
            if cell is not None:
                tab.put(row, column, cell)
    width = max((len(row) for row in values), default=0)
    return top, left, top + max(len(values), 1), left + max(width, 1)


def _update_response(
    request: Request, spreadsheet_id: str, tab: Tab, written: Bounds, values: list[list[Any]]
) -> dict[str, Any]:
    given = [sum(item is not None for item in row) for row in values]
    body: dict[str, Any] = {"spreadsheetId": spreadsheet_id, "updatedRange": a1.written(tab.title, *written)}
    if sum(given):
        body["updatedRows"] = sum(count > 0 for count in given)
        body["updatedColumns"] = written[3] - written[1]
        body["updatedCells"] = sum(given)
    if request.args.get("includeValuesInResponse", "false").lower() == "true":
        body["updatedData"] = _value_range(request, tab, written, prefix="response")
    return body


def _value_range(request: Request, tab: Tab, bounds: Bounds, prefix: str = "") -> dict[str, Any]:
    """A ValueRange of the cells; `values` is absent when all are empty."""
    dimension = "ROWS" if prefix else _dimension(request.args.get("majorDimension", "ROWS"))
    render = _renderer(request, prefix)
    rows = [[render(cell) for cell in row] for row in tab.block(bounds)]
    body = {"range": a1.written(tab.title, *bounds), "majorDimension": dimension}
    if not rows:
        return body
    return {**body, "values": rows if dimension == "ROWS" else _columns(rows)}


def _columns(rows: list[list[Any]]) -> list[list[Any]]:
    """Rows turned into columns, each without its empty end."""
    columns = []
    for index in range(max(len(row) for row in rows)):
        column = [row[index] if index < len(row) else "" for row in rows]
        while column and column[-1] == "":
            column.pop()
        columns.append(column)
    return columns


def _renderer(request: Request, prefix: str) -> Callable[[Cell | None], Any]:
    value_name = f"{prefix}ValueRenderOption" if prefix else "valueRenderOption"
    moment_name = f"{prefix}DateTimeRenderOption" if prefix else "dateTimeRenderOption"
    values = _option(request, value_name, ("FORMATTED_VALUE", "UNFORMATTED_VALUE", "FORMULA"))
    moments = _option(request, moment_name, ("SERIAL_NUMBER", "FORMATTED_STRING"))

    def render(cell: Cell | None) -> Any:
        if cell is None:
            return ""
        shown = values == "FORMATTED_VALUE" or (cell.moment and moments == "FORMATTED_STRING")
        return cell.shown if shown else cell.value

    return render
