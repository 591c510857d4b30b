"""The test's side of the mocked Google services: Sheets, Drive and their tokens."""

from collections.abc import Sequence
from urllib.parse import quote

from harness.mocks.names import Service
from harness.mocks.readers.connection import Connection
from harness.mocks.readers.faults import Scripted


class SheetsReader(Scripted):
    """The mocked spreadsheets."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection, Service.GOOGLE_SHEETS)

    def put(
        self, spreadsheet_id: str, tab: str, rows: Sequence[Sequence[str | int | float | bool | None]]
    ) -> None:
        """Make a tab hold exactly `rows`, as if a person typed them; creates tab and spreadsheet."""
        self._connection.call("PUT", _tab_path(spreadsheet_id, tab), {"rows": [list(row) for row in rows]})

    def rows(self, spreadsheet_id: str, tab: str) -> list[list[str]]:
        """What the tab shows, without empty ends. MocksRefusedError (404) when it does not exist."""
        rows: list[list[str]] = self._connection.json("GET", _tab_path(spreadsheet_id, tab))["rows"]
        return rows


def _tab_path(spreadsheet_id: str, tab: str) -> str:
    return f"/sheets/{quote(spreadsheet_id, safe='')}/{quote(tab, safe='')}"
