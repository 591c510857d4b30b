"""Append-only record of everything that reached the mocks: one entry an HTTP request or DNS question.

Entries are kept in memory for the control API and written to disk as JSON lines. Secrets never enter it.
"""

import json
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from harness.mocks.identity import NOBODY, Identity
from harness.mocks.tenancy import DEFAULT

REDACTED = "[redacted]"
SECRET_KEYS = frozenset(
    {"token", "access_token", "refresh_token", "id_token", "assertion", "authorization", "client_secret"}
    | {"password", "key", "private_key", "x-amz-signature", "x-amz-credential", "x-amz-security-token"}
)


def redact(value: Any, key: str = "") -> Any:
    """A copy of JSON-like `value` without what sits under a secret key, and without any private key text."""
    if key.lower() in SECRET_KEYS:
        return REDACTED
    if isinstance(value, Mapping):
        return {name: redact(item, str(name)) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [redact(item) for item in value]
    if isinstance(value, str) and "PRIVATE KEY" in value:
        return REDACTED
    return value


@dataclass(frozen=True, slots=True)
class Event:
    """What happened, before it has a place in the journal.

    kind: "http", "dns", "tls" (a handshake that a fault reset) or "connect" (a pod could not connect to an address).
    For dns, `method` is the record type, `host` the name asked for. port: the destination's, 0 where it is not known.
    service: the fake that answered, "dns", or "" when nobody mocks the host.
    request: the decoded body (JSON or form), or {"bytes": n} for any other body, or None.
    client: the caller's address; pod: its name, or the address again when it has none.
    unmocked: nothing here serves that host or path.
    error: what went wrong inside the fake, a bug of the mocks.
    faults: the kinds of the scripted faults that it met. effects: what it changed outside, as `ledger.note` keeps it.
    identity: the task that asked; its fields and its tenant are fields of the entry.
    """

    kind: str
    service: str
    method: str
    host: str
    client: str
    pod: str
    path: str = ""
    query: Mapping[str, list[str]] = field(default_factory=dict)
    request: Any = None
    status: int = 0
    duration_ms: float = 0.0
    unmocked: bool = False
    error: str = ""
    port: int = 0
    faults: tuple[str, ...] = ()
    effects: tuple[Mapping[str, Any], ...] = ()
    identity: Identity = NOBODY


class Journal:
    """Thread-safe. `seq` starts at 1 and never goes back, not even after `forget()`."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._entries: list[dict[str, Any]] = []
        self._seq = 0
        self._file = path.open("a", encoding="utf-8", buffering=1)

    def append(self, event: Event) -> None:
        """Store `event` redacted, with its `seq` and the UTC time."""
        entry = asdict(event)
        entry.update(tenant=event.identity.tenant, **entry.pop("identity"))
        entry["query"] = redact(entry["query"])
        entry["request"] = redact(entry["request"])
        entry["effects"] = redact(entry["effects"])
        with self._lock:
            self._seq += 1
            entry = {"seq": self._seq, "time": datetime.now(UTC).isoformat(), **entry}
            self._entries.append(entry)
            if not self._file.closed:
                self._file.write(json.dumps(entry) + "\n")

    def entries(
        self, since: int = 0, service: str | None = None, pod: str | None = None, tenant: str = DEFAULT
    ) -> list[dict[str, Any]]:
        """Entries with `seq` greater than `since`, oldest first, of one service or pod if given.

        Of one tenant if given, else of everybody.
        """
        with self._lock:
            entries = list(self._entries)
        return [
            entry
            for entry in entries
            if entry["seq"] > since
            and (service is None or entry["service"] == service)
            and (pod is None or entry["pod"] == pod)
            and tenant in (DEFAULT, entry["tenant"])
        ]

    def forget(self, tenant: str = DEFAULT) -> None:
        """Drop what is in memory, of one tenant if given, for a test that starts anew; the file keeps all of it."""
        with self._lock:
            self._entries = [entry for entry in self._entries if tenant not in (DEFAULT, entry["tenant"])]

    def close(self) -> None:
        """Close the file; later entries stay in memory only."""
        with self._lock:
            self._file.close()
