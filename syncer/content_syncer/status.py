"""The status file: what is served and how the syncing goes, for people, probes and tests."""

import time
from dataclasses import asdict, dataclass
from typing import Any

from content_syncer.files import Volume, read_json
from content_syncer.publish import Published


def utc_now() -> str:
    """Return the time as ISO 8601 in UTC with milliseconds."""
    nanoseconds = time.time_ns()
    seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(nanoseconds // 1_000_000_000))
    return f"{seconds}.{nanoseconds // 1_000_000 % 1000:03d}Z"


@dataclass
class Status:
    """The fields of `status.json`; times are ISO 8601 in UTC or None.

    `attempts` and `failures` count since this process started. `last_error` is None after a success.
    `revision` and `published_at` are about what is served now, whoever published it.
    """

    source: str
    branch: str
    subpath: str
    pid: int
    revision: str | None = None
    published_at: str | None = None
    last_success: str | None = None
    last_attempt: str | None = None
    last_error: str | None = None
    attempts: int = 0
    failures: int = 0

    def continue_from(self, volume: Volume) -> None:
        """Take over the time of the last success from the process before."""
        last = (read_json(volume.status) or {}).get("last_success")
        self.last_success = last if isinstance(last, str) else None

    def begin(self) -> None:
        """Count an attempt."""
        self.attempts += 1
        self.last_attempt = utc_now()

    def succeed(self) -> None:
        """Note that the attempt succeeded."""
        self.last_success = utc_now()
        self.last_error = None

    def fail(self, message: str) -> None:
        """Note that the attempt failed; `message` must hold no secret."""
        self.failures += 1
        self.last_error = message

    def write(self, volume: Volume, published: Published | None) -> None:
        """Write the file atomically. Raises OSError, as on a full disk."""
        self.revision = published.revision if published else None
        self.published_at = published.published_at if published else None
        fields: dict[str, Any] = asdict(self)
        volume.write_json(volume.status, fields)
