"""Google Sheets API v4, `spreadsheets.values`: get, batchGet, update, batchUpdate, append, clear, batchClear.

Answers, errors and trimming follow the API's reference (REST resource spreadsheets.values). Query parameters that
are not modelled are answered as not mocked, never ignored.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from werkzeug.exceptions import BadRequest
from werkzeug.wrappers import Request, Response

from harness.mocks.google import a1
from harness.mocks.google.access import STANDARD_PARAMETERS, ScopesOf, authorize, scopes
from harness.mocks.google.fields import answer
from harness.mocks.google.grid import Cell, FormulaError, Tab, raw, typed
from harness.mocks.google.spreadsheets import Bounds, Spreadsheets
from harness.mocks.ledger import Kind, note
from harness.mocks.wsgi import Route, Unmocked, json_object, refuse_unknown

WRITE_SCOPES = scopes("spreadsheets", "drive", "drive.file")
READ_SCOPES = WRITE_SCOPES | scopes("spreadsheets.readonly", "drive.readonly")
RENDERING = frozenset({"majorDimension", "valueRenderOption", "dateTimeRenderOption"})
WRITING = frozenset(
    {"valueInputOption", "includeValuesInResponse"}
    | {"responseValueRenderOption", "responseDateTimeRenderOption"}
)


class Values:
    """The handlers over the spreadsheets of one world."""

    def __init__(self, spreadsheets: Spreadsheets, scopes_of: ScopesOf) -> None:
        self._spreadsheets = spreadsheets
        self._scopes_of = scopes_of

    def routes(self) -> list[Route]:
        """Below the path of one spreadsheet."""
        one = "/v4/spreadsheets/<spreadsheet_id>"
        return [
            ("GET", f"{one}/values:batchGet", self._values_batch_get),
            ("POST", f"{one}/values:batchUpdate", self._values_batch_update),
            ("POST", f"{one}/values:batchClear", self._values_batch_clear),
            ("GET", f"{one}/values/<path:a1_range>", self._values_get),
            ("PUT", f"{one}/values/<path:a1_range>", self._values_update),
            ("POST", f"{one}/values/<path:a1_range>:append", self._values_append),
            ("POST", f"{one}/values/<path:a1_range>:clear", self._values_clear),
        ]

    def _values_get(self, request: Request, spreadsheet_id: str, a1_range: str) -> Response:
        authorize(request, self._scopes_of, READ_SCOPES)
        refuse_unknown(request, STANDARD_PARAMETERS | RENDERING)
        with self._spreadsheets.lock:
            tab, bounds = self._spreadsheets.locate(self._spreadsheets.find(spreadsheet_id), a1_range)
            return answer(request, _value_range(request.args, tab, bounds))

    def _values_batch_get(self, request: Request, spreadsheet_id: str) -> Response:
        authorize(request, self._scopes_of, READ_SCOPES)
        refuse_unknown(request, STANDARD_PARAMETERS | RENDERING | {"ranges"})
        with self._spreadsheets.lock:
            spreadsheet = self._spreadsheets.find(spreadsheet_id)
            found = [self._spreadsheets.locate(spreadsheet, text) for text in request.args.getlist("ranges")]
            ranges = [_value_range(request.args, tab, bounds) for tab, bounds in found]
        return answer(request, {"spreadsheetId": spreadsheet_id, "valueRanges": ranges})

    def _values_update(self, request: Request, spreadsheet_id: str, a1_range: str) -> Response:
        authorize(request, self._scopes_of, WRITE_SCOPES)
        refuse_unknown(request, STANDARD_PARAMETERS | WRITING)
        enter = _input_option(request.args)
        values = _values(json_object(request), a1_range)
        with self._spreadsheets.lock:
            tab, bounds = self._spreadsheets.locate(self._spreadsheets.find(spreadsheet_id), a1_range)
            _check_fits(bounds, a1.parse(a1_range, [tab.title]), values)
            written = _write(tab, bounds[0], bounds[1], values, enter)
            note(request, Kind.SHEETS_WRITE, spreadsheet_id, range=a1.written(tab.title, *written))
            return answer(request, _update_response(request.args, spreadsheet_id, tab, written, values))

    def _values_batch_update(self, request: Request, spreadsheet_id: str) -> Response:
        authorize(request, self._scopes_of, WRITE_SCOPES)
        refuse_unknown(request, STANDARD_PARAMETERS)
        body = json_object(request)
        data = body.get("data")
        if not isinstance(data, list) or not all(isinstance(item, dict) for item in data):
            raise BadRequest("Invalid value at 'data', it must be a list of value ranges")
        enter = _input_option(body)
        with self._spreadsheets.lock:
            spreadsheet = self._spreadsheets.find(spreadsheet_id)
            planned = []
            for item in data:
                text = str(item.get("range") or "")
                tab, bounds = self._spreadsheets.locate(spreadsheet, text)
                values = _values(item, text)
                _check_fits(bounds, a1.parse(text, spreadsheet.titles()), values)
                planned.append((tab, bounds, values))
            responses = []
            for tab, bounds, values in planned:
                written = _write(tab, bounds[0], bounds[1], values, enter)
                note(request, Kind.SHEETS_WRITE, spreadsheet_id, range=a1.written(tab.title, *written))
                responses.append(_update_response(body, spreadsheet_id, tab, written, values))
        totals = {
            f"total{name}": sum(response.get(name[0].lower() + name[1:], 0) for response in responses)
            for name in ("UpdatedRows", "UpdatedColumns", "UpdatedCells")
        }
        sheets = len({id(tab) for tab, _, _ in planned})
        body_of_answer = {
            "spreadsheetId": spreadsheet_id,
            **totals,
            "totalUpdatedSheets": sheets,
            "responses": responses,
        }
        return answer(request, body_of_answer)

    def _values_clear(self, request: Request, spreadsheet_id: str, a1_range: str) -> Response:
        (cleared,) = self._clear(request, spreadsheet_id, [a1_range])
        return answer(request, {"spreadsheetId": spreadsheet_id, "clearedRange": cleared})

    def _values_batch_clear(self, request: Request, spreadsheet_id: str) -> Response:
        ranges = json_object(request).get("ranges") or []
        cleared = self._clear(request, spreadsheet_id, [str(text) for text in ranges])
        return answer(request, {"spreadsheetId": spreadsheet_id, "clearedRanges": cleared})

    def _clear(self, request: Request, spreadsheet_id: str, ranges: Sequence[str]) -> list[str]:
        authorize(request, self._scopes_of, WRITE_SCOPES)
        refuse_unknown(request, STANDARD_PARAMETERS)
        with self._spreadsheets.lock:
            spreadsheet = self._spreadsheets.find(spreadsheet_id)
            found = [self._spreadsheets.locate(spreadsheet, text) for text in ranges]
            for tab, bounds in found:
                tab.clear(bounds)
        cleared = [a1.written(tab.title, *bounds) for tab, bounds in found]
        for text in cleared:
            note(request, Kind.SHEETS_WRITE, spreadsheet_id, range=text, cleared=True)
        return cleared

    def _values_append(self, request: Request, spreadsheet_id: str, a1_range: str) -> Response:
        authorize(request, self._scopes_of, WRITE_SCOPES)
        refuse_unknown(request, STANDARD_PARAMETERS | WRITING | {"insertDataOption"})
        enter = _input_option(request.args)
        insert = _option(request.args, "insertDataOption", ("OVERWRITE", "INSERT_ROWS"))
        values = _values(json_object(request), a1_range)
        body: dict[str, Any] = {"spreadsheetId": spreadsheet_id}
        with self._spreadsheets.lock:
            tab, bounds = self._spreadsheets.locate(self._spreadsheets.find(spreadsheet_id), a1_range)
            table = tab.table_at(bounds)
            top, left = (table[2], table[1]) if table else bounds[:2]
            if table:
                body["tableRange"] = a1.written(tab.title, *table)
            if insert == "INSERT_ROWS":
                tab.insert_rows(top, len(values))
            written = _write(tab, top, left, values, enter)
            note(request, Kind.SHEETS_WRITE, spreadsheet_id, range=a1.written(tab.title, *written))
            body["updates"] = _update_response(request.args, spreadsheet_id, tab, written, values)
        return answer(request, body)


def _option(options: Mapping[str, Any], name: str, choices: Sequence[str]) -> str:
    """An option (a query parameter, or a batch's field) of a fixed set, the first being the default."""
    value = str(options.get(name, choices[0]))
    if value not in choices:
        raise BadRequest(f"Invalid value at '{name}', \"{value}\"")
    return value


def _dimension(value: str) -> str:
    """ROWS or COLUMNS; Airflow's hook sends the enumeration's "unspecified", which means rows."""
    if value not in ("ROWS", "COLUMNS", "DIMENSION_UNSPECIFIED"):
        raise BadRequest(f"Invalid value at 'majorDimension', \"{value}\"")
    return "COLUMNS" if value == "COLUMNS" else "ROWS"


def _input_option(options: Mapping[str, Any]) -> Callable[[Any], Cell]:
    if "valueInputOption" not in options:
        raise BadRequest("'valueInputOption' is required but not specified")
    return raw if _option(options, "valueInputOption", ("RAW", "USER_ENTERED")) == "RAW" else typed


def _values(body: Mapping[str, Any], a1_range: str) -> list[list[Any]]:
    """The rows of a ValueRange, whose range must be the one in the path."""
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


def _check_fits(bounds: Bounds, area: a1.Area, values: list[list[Any]]) -> None:
    """Refuse values that leave the requested range; a range of one corner may be left, as Google allows it."""
    top, left, bottom, right = bounds
    span, shown = area.span, a1.written(area.title, *bounds)
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
    options: Mapping[str, Any], spreadsheet_id: str, tab: Tab, written: Bounds, values: list[list[Any]]
) -> dict[str, Any]:
    given = [sum(item is not None for item in row) for row in values]
    body: dict[str, Any] = {"spreadsheetId": spreadsheet_id, "updatedRange": a1.written(tab.title, *written)}
    if sum(given):
        body["updatedRows"] = sum(count > 0 for count in given)
        body["updatedColumns"] = written[3] - written[1]
        body["updatedCells"] = sum(given)
    if str(options.get("includeValuesInResponse", "false")).lower() == "true":
        body["updatedData"] = _value_range(options, tab, written, prefix="response")
    return body


def _value_range(options: Mapping[str, Any], tab: Tab, bounds: Bounds, prefix: str = "") -> dict[str, Any]:
    """A ValueRange of the cells; `values` is absent when all are empty."""
    dimension = "ROWS" if prefix else _dimension(options.get("majorDimension", "ROWS"))
    render = _renderer(options, prefix)
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


def _renderer(options: Mapping[str, Any], prefix: str) -> Callable[[Cell | None], Any]:
    value_name = f"{prefix}ValueRenderOption" if prefix else "valueRenderOption"
    moment_name = f"{prefix}DateTimeRenderOption" if prefix else "dateTimeRenderOption"
    values = _option(options, value_name, ("FORMATTED_VALUE", "UNFORMATTED_VALUE", "FORMULA"))
    moments = _option(options, moment_name, ("SERIAL_NUMBER", "FORMATTED_STRING"))

    def render(cell: Cell | None) -> Any:
        if cell is None:
            return ""
        shown = values == "FORMATTED_VALUE" or (cell.moment and moments == "FORMATTED_STRING")
        return cell.shown if shown else cell.value

    return render
