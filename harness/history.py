"""The append-only record of what happened to a stack: one JSON object a line, written as it happens."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol


class Recorder(Protocol):
    """Takes one event of a stack's history, as `History.record` does."""

    def __call__(self, kind: str, **facts: object) -> None: ...


class History:
    """Writes events to a file. Every event has ``at`` (UTC, ISO 8601), ``kind``, and facts of its kind."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._file = path.open("a", buffering=1)
        self._lock = threading.Lock()

    def record(self, kind: str, **facts: object) -> None:
        """Append one event. Facts must be JSON; their names must not be ``at`` or ``kind``."""
        event = {"at": datetime.now(UTC).isoformat(timespec="milliseconds"), "kind": kind, **facts}
        with self._lock:
            self._file.write(json.dumps(event) + "\n")

    def close(self) -> None:
        self._file.close()


def read(path: Path) -> Iterator[dict[str, object]]:
    """The events of a history file, oldest first."""
    with path.open() as lines:
        for line in lines:
            yield json.loads(line)
