"""The state of Google Sheets: spreadsheets by id, and what an A1 range means in one."""

import secrets
import threading
from collections.abc import Sequence
from typing import Any

from werkzeug.exceptions import BadRequest, NotFound

from harness.mocks.google import a1
from harness.mocks.google.grid import Spreadsheet, Tab

Bounds = tuple[int, int, int, int]


class Spreadsheets:
    """Thread-safe; who works with what `find` returns holds `lock`."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._spreadsheets: dict[str, Spreadsheet] = {}

    def reset(self) -> None:
        """No spreadsheets."""
        with self.lock:
            self._spreadsheets.clear()

    def changes(self) -> list[str]:
        """How it differs from a new one, each in a few words."""
        with self.lock:
            return [f"{len(self._spreadsheets)} spreadsheets"] if self._spreadsheets else []

    def put(self, spreadsheet_id: str, tab: str, rows: Sequence[Sequence[Any]]) -> None:
        """Make a tab hold exactly `rows`, creating tab and spreadsheet. Raises FormulaError."""
        with self.lock:
            spreadsheet = self._spreadsheets.get(spreadsheet_id) or Spreadsheet(spreadsheet_id)
            spreadsheet.replace(tab, rows)
            self._spreadsheets[spreadsheet_id] = spreadsheet

    def rows(self, spreadsheet_id: str, tab: str) -> list[list[str]]:
        """What a tab shows. Raises KeyError when there is no such tab or spreadsheet."""
        with self.lock:
            found = self._spreadsheets[spreadsheet_id].tab(tab)
            return [
                [cell.shown if cell else "" for cell in row] for row in found.block(found.bounds(a1.Span()))
            ]

    def contents(self) -> dict[str, dict[str, list[list[str]]]]:
        """Everything: spreadsheet id to tab to rows."""
        with self.lock:
            return {
                key: {title: self.rows(key, title) for title in spreadsheet.titles()}
                for key, spreadsheet in self._spreadsheets.items()
            }

    def create(self, title: str, tabs: Sequence[Tab]) -> Spreadsheet:
        """A new spreadsheet."""
        with self.lock:
            made = Spreadsheet(secrets.token_urlsafe(33), list(tabs), title)
            self._spreadsheets[made.spreadsheet_id] = made
            return made

    def keep(self, spreadsheet: Spreadsheet) -> None:
        """Put a changed copy in the place of what it was."""
        with self.lock:
            self._spreadsheets[spreadsheet.spreadsheet_id] = spreadsheet

    def delete(self, spreadsheet_id: str) -> None:
        """Forget one. Raises NotFound."""
        with self.lock:
            self._spreadsheets.pop(self.find(spreadsheet_id).spreadsheet_id)

    def all(self) -> list[Spreadsheet]:
        """All of them."""
        with self.lock:
            return list(self._spreadsheets.values())

    def find(self, spreadsheet_id: str) -> Spreadsheet:
        try:
            return self._spreadsheets[spreadsheet_id]
        except KeyError as error:
            raise NotFound("Requested entity was not found.") from error

    def locate(self, spreadsheet: Spreadsheet, text: str) -> tuple[Tab, Bounds]:
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
