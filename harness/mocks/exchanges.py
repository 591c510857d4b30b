"""Whole exchanges, kept for the contract suite: what was asked and answered, in full but for secrets.

Written only when it is asked for: the journal is for tests of content, this is for tests of the mocks.
"""

import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from harness.mocks.journal import redact

FILE = "exchanges.jsonl"


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and its answer. Header names are in lower case; values only of those that `HEADERS` names.

    request and response: decoded JSON or forms, {"text"} of other text, {"bytes": n} of anything else, None of nothing.
    faults: the kinds of the scripted faults that it met.
    """

    service: str
    method: str
    host: str
    path: str
    query: Mapping[str, list[str]]
    request_headers: Mapping[str, str]
    request: Any
    status: int
    response_headers: Mapping[str, str]
    response: Any
    faults: Sequence[str] = ()


HEADERS = frozenset(
    {"content-type", "content-length", "retry-after", "location", "range", "content-range", "etag"}
    | {"last-modified", "user-agent", "x-amz-copy-source", "accept-ranges", "date", "x-upload-content-type"}
)


def kept_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """All names; the values that say something about the exchange's form, no others."""
    return {name.lower(): value if name.lower() in HEADERS else "" for name, value in headers.items()}


def kept_body(body: bytes, content_type: str) -> Any:
    """A body as an exchange holds it."""
    if not body:
        return None
    kind = content_type.split(";", 1)[0].strip().lower()
    try:
        if kind.endswith("json"):
            return redact(json.loads(body))
        if kind.startswith("text/") or kind.endswith("xml"):
            return {"text": body.decode()}
    except ValueError:
        return {"bytes": len(body), "malformed": kind}
    return {"bytes": len(body)}


class ExchangeLog:
    """Appends exchanges to a file, one JSON object a line. Thread-safe."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._file = path.open("a", encoding="utf-8", buffering=1)

    def append(self, exchange: Exchange) -> None:
        """Store one."""
        with self._lock:
            self._file.write(json.dumps(asdict(exchange)) + "\n")

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._file.close()


def read(path: Path, start: int = 0) -> list[Exchange]:
    """The exchanges of a file from number `start` on."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [Exchange(**json.loads(line)) for line in lines[start:]]
