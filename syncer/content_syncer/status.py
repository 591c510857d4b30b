"""What is served and how the syncing goes: for the status file, probes, metrics and tests."""

import time
from dataclasses import asdict, dataclass, field
from typing import Any

from content_syncer.errors import REASONS, GateError, reason_of
from content_syncer.files import Volume, read_json
from content_syncer.publish import Published


def utc_now() -> str:
    """Return the time as ISO 8601 in UTC with milliseconds."""
    nanoseconds = time.time_ns()
    seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(nanoseconds // 1_000_000_000))
    return f"{seconds}.{nanoseconds // 1_000_000 % 1000:03d}Z"


def age_of(moment: str | None) -> float | None:
    """Return how many seconds ago a time of the status was (0 for a future one); None where it is no time."""
    # Imported here: only probes and metrics need it.
    from datetime import UTC, datetime

    try:
        then = datetime.strptime(moment or "", "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
    except ValueError:
        return None
    return max(0.0, time.time() - then.timestamp())


@dataclass
class Status:
    """The fields of `status.json`; times are ISO 8601 in UTC or None.

    `attempts`, `failures`, `failures_by_reason`, `bytes_written` and `sync_seconds_total` count since this
    process started. `last_error` and `last_error_reason` are None after a success. `revision` and
    `published_at` are about what is served now, whoever published it. `rejected` is what the gate refused last:
    revision, `since` and the errors by DAG file; None once something else is served.
    """

    source: str
    branch: str
    subpath: str
    pid: int
    revision: str | None = None
    published_at: str | None = None
    held: bool = False
    last_success: str | None = None
    last_attempt: str | None = None
    last_error: str | None = None
    last_error_reason: str | None = None
    rejected: dict[str, Any] | None = None
    attempts: int = 0
    failures: int = 0
    failures_by_reason: dict[str, int] = field(default_factory=lambda: dict.fromkeys(REASONS, 0))
    last_sync_seconds: float | None = None
    sync_seconds_total: float = 0
    bytes_written: int = 0

    def continue_from(self, volume: Volume) -> None:
        """Take over what the process before knew: the last success and since when a revision is rejected."""
        before = read_json(volume.status) or {}
        last, rejected = before.get("last_success"), before.get("rejected")
        self.last_success = last if isinstance(last, str) else None
        self.rejected = rejected if isinstance(rejected, dict) and "since" in rejected else None

    def begin(self) -> None:
        """Count an attempt."""
        self.attempts += 1
        self.last_attempt = utc_now()

    def succeed(self, held: bool) -> None:
        """Note that the attempt succeeded."""
        self.held = held
        self.last_success = utc_now()
        self.last_error = self.last_error_reason = self.rejected = None

    def fail(self, failure: Exception, message: str) -> None:
        """Note that the attempt failed; `message` must hold no secret."""
        self.failures += 1
        self.last_error = message
        self.last_error_reason = reason_of(failure)
        self.failures_by_reason[self.last_error_reason] += 1
        if isinstance(failure, GateError):
            same = (
                self.rejected if self.rejected and self.rejected.get("revision") == failure.revision else {}
            )
            since = same.get("since") or utc_now()
            self.rejected = {"revision": failure.revision, "since": since, "errors": failure.errors}

    def took(self, seconds: float, bytes_written: int) -> None:
        """Note how long the attempt took, and what was written since the process started."""
        self.last_sync_seconds = round(seconds, 3)
        self.sync_seconds_total = round(self.sync_seconds_total + seconds, 3)
        self.bytes_written = bytes_written

    def fields(self, published: Published | None) -> dict[str, Any]:
        """Return the fields, with what is served now."""
        self.revision = published.revision if published else None
        self.published_at = published.published_at if published else None
        return asdict(self)


def is_ready(fields: dict[str, Any], limit: float) -> bool:
    """Tell from the status's fields whether a revision is served and the last success is at most `limit` s old."""
    age = age_of(fields.get("last_success"))
    return bool(fields.get("revision")) and age is not None and age <= limit
