"""The commands that sync: `run` (a sidecar, until told to stop) and `once` (an init container)."""

import os
import signal
import time
from collections.abc import Mapping

from content_syncer import log
from content_syncer.errors import SyncError
from content_syncer.settings import Settings
from content_syncer.status import Status
from content_syncer.sync import Outcome, Syncer

_FIRST_BACK_OFF = 1.0
_LONGEST_BACK_OFF = 15.0


class Service:
    """Syncs and keeps the status file up to date. SIGUSR1 must be blocked in this process: it wakes `run`."""

    def __init__(self, settings: Settings, environment: Mapping[str, str]) -> None:
        """`environment` is what git inherits from."""
        self._settings = settings
        self._syncer = Syncer(settings, environment)
        self._status = Status(settings.source.url, settings.branch, settings.subpath, os.getpid())
        self._status.continue_from(self._syncer.volume)

    def close(self) -> None:
        """Leave nothing behind but the volume."""
        self._syncer.close()

    def run(self) -> None:
        """Sync at once, then every interval and at each SIGUSR1; only an exception from a signal handler ends it."""
        log.info(
            "started",
            source=self._settings.source.url,
            branch=self._settings.branch,
            subpath=self._settings.subpath,
            interval=f"{self._settings.interval:g}s",
        )
        while True:
            self.attempt()
            # A signal that arrived during the attempt is still pending: its push may have been missed.
            if signal.sigtimedwait({signal.SIGUSR1}, _jittered(self._settings.interval)):
                log.info("asked to sync now")

    def once(self) -> int:
        """Sync until it works; returns the exit code.

        0: synced, or the origin failed but an earlier revision is there to be served. 1: gave up.
        """
        deadline = time.monotonic() + self._settings.once_timeout
        back_off = _FIRST_BACK_OFF
        while not self.attempt():
            published = self._syncer.publisher.published()
            if published and self._syncer.publisher.intact(published):
                log.warning("going on with what an earlier sync published", revision=published.revision)
                return 0
            left = deadline - time.monotonic()
            if left <= 0:
                log.error(
                    "gave up", after=f"{self._settings.once_timeout:g}s", attempts=self._status.attempts
                )
                return 1
            signal.sigtimedwait({signal.SIGUSR1}, min(_jittered(back_off), left))
            back_off = min(2 * back_off, _LONGEST_BACK_OFF)
        return 0

    def attempt(self) -> bool:
        """Sync once, log how it went and write the status; returns whether it succeeded. Never raises an error."""
        started = time.monotonic()
        self._status.begin()
        error = None
        try:
            outcome = self._syncer.sync()
        except (SyncError, OSError) as failure:
            error = str(failure)
        except (
            Exception
        ) as failure:  # a fault of ours must not end the serving; the next attempt may do better
            error = f"unexpected {type(failure).__name__}: {failure}"
        took = f"{time.monotonic() - started:.2f}s"
        if error is None:
            self._status.succeed()
            _log_outcome(outcome, took)
        else:
            message = " ".join(self._settings.source.redact(error).split())
            self._status.fail(message)
            log.error("sync failed", error=message, took=took, failures=self._status.failures)
        self._write_status()
        return error is None

    def _write_status(self) -> None:
        try:
            with self._syncer.volume.locked():
                self._status.write(self._syncer.volume, self._syncer.publisher.published())
        except OSError as error:
            log.error("the status file cannot be written", error=error)


def _log_outcome(outcome: Outcome, took: str) -> None:
    if outcome.changed:
        log.info("synced", revision=outcome.revision, took=took, changed=",".join(outcome.changed))
    else:
        log.info("up to date", revision=outcome.revision, took=took)


def _jittered(seconds: float) -> float:
    """Shorten by up to a tenth, so that the pods of a deployment do not ask the origin in step."""
    return seconds * (1 - 0.1 * int.from_bytes(os.urandom(2), "big") / 0xFFFF)
