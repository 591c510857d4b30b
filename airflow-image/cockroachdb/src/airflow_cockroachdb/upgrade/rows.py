"""Rows as both databases agree on them: a canonical text for each value, and checksums that know no order."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

MODULUS = 1 << 64
SEPARATOR = "\x1f"


@dataclass(frozen=True)
class Fingerprint:
    """How many rows, and the sum of their hashes modulo 2^64: equal for equal sets of rows in any order."""

    count: int = 0
    checksum: int = 0

    def __str__(self) -> str:
        return f"{self.count} rows, {self.checksum:016x}"

    def add(self, row: Sequence[Any], json_columns: Sequence[bool]) -> Fingerprint:
        """The same with one more row; `json_columns` tells for each value whether it is JSON text."""
        texts = (canonical(value, is_json) for value, is_json in zip(row, json_columns, strict=True))
        digest = hashlib.sha256(SEPARATOR.join(texts).encode()).digest()
        return Fingerprint(self.count + 1, (self.checksum + int.from_bytes(digest[:8])) % MODULUS)


def canonical(value: Any, is_json: bool = False) -> str:
    """One text for all ways in which databases write the same value."""
    if value is None:
        return "\0"
    if is_json:
        return _json(json.loads(value, parse_float=Decimal, parse_int=Decimal))
    if isinstance(value, memoryview | bytes):
        return bytes(value).hex()
    if isinstance(value, datetime):
        return (value.astimezone(UTC) if value.tzinfo else value).isoformat()
    if isinstance(value, Decimal):
        return _number(value)
    return str(value)


def _number(value: Decimal) -> str:
    return format(value.normalize(), "f") if value.is_finite() else str(value)


def _json(value: Any) -> str:
    """JSON with sorted keys and plain numbers: JSONB keeps neither the order nor the notation."""
    if isinstance(value, dict):
        members = (f"{json.dumps(key)}:{_json(value[key])}" for key in sorted(value))
        return "{" + ",".join(members) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_json, value)) + "]"
    return _number(value) if isinstance(value, Decimal) else json.dumps(value)
