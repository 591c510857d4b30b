"""The commands that sync: `run` (a sidecar, until told to stop) and `once` (an init container)."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator, Mapping

from content_syncer import log
from content_syncer.errors import SyncError
from content_syncer.settings import Settings
from content_syncer.status import Status
from content_syncer.sync import Outcome, Syncer

_FIRST_BACK_OFF = 1.0
_LONGEST_BACK_OFF = 15.0
_FIRST_RETRY = 5.0


class Service:
    """Syncs and keeps the status file up to date. SIGUSR1 must be blocked in this process: it wakes `run`."""

    def __init__(self, settings: Settings, environment: Mapping[str, str]) -> None:
        """`environment` is what git inherits from."""
        self._settings = settings
        self._syncer = Syncer(settings, environment)
        self._status = Status(settings.source.url, settings.branch, settings.subpath, os.getpid())
        self._status.continue_from(self._syncer.volume)
        self._shown = self._status.fields(self._syncer.publisher.published())

    def close(self) -> None:
        """Leave nothing behind but the volume."""
        self._syncer.close()

    def run(self) -> None:
        """Sync at once, then every interval and at each SIGUSR1; only an exception from a signal handler ends it.

        After a failure the waits grow from a few seconds up to `max_back_off`. Raises OSError where the address
        to listen on is taken.
        """
        log.info(
            "started",
            source=self._settings.source.url,
            branch=self._settings.branch,
            subpath=self._settings.subpath,
            interval=f"{self._settings.interval:g}s",
        )
        with self._serving():
            longest = self._settings.max_back_off
            back_off = first = min(_FIRST_RETRY, longest)
            while True:
                if self.attempt():
                    wait, back_off = self._settings.interval, first
                else:
                    wait, back_off = back_off, min(2 * back_off, longest)
                # A signal that arrived during the attempt is still pending: its push may have been missed.
                if signal.sigtimedwait({signal.SIGUSR1}, _jittered(wait)):
                    log.info("asked to sync now")

    @contextlib.contextmanager
    def _serving(self) -> Iterator[None]:
        if self._settings.listen is None:
            yield
            return
        # Imported here: an init container and most sidecars never need a server.
        from content_syncer.web import Pages, serving

        pages = Pages(
            status=lambda: self._shown,
            # To this process: it is the signal that it waits for.
            wake=lambda: os.kill(os.getpid(), signal.SIGUSR1),
            volume=self._syncer.volume,
            ready_limit=self._settings.ready_limit,
            token_file=self._settings.http_token_file,
        )
        with serving(self._settings.listen, pages) as (host, port):
            log.info("listening", host=host, port=port)
            yield

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
        failure: Exception | None = None
        try:
            outcome = self._syncer.sync()
        except Exception as error:  # a fault of ours must not end the serving; the next attempt may do better
            failure = error
        took = time.monotonic() - started
        self._status.took(took, self._syncer.trees.bytes_written)
        if failure is None:
            self._status.succeed(outcome.held)
            _log_outcome(outcome, took)
        else:
            self._note(failure, took)
        self._write_status()
        return failure is None

    def _note(self, failure: Exception, took: float) -> None:
        expected = isinstance(failure, (SyncError, OSError))
        text = str(failure) if expected else f"unexpected {type(failure).__name__}: {failure}"
        message = " ".join(self._settings.source.redact(text).split())
        self._status.fail(failure, message)
        reason, failures = self._status.last_error_reason, self._status.failures
        log.error("sync failed", reason=reason, error=message, took=f"{took:.2f}s", failures=failures)

    def _write_status(self) -> None:
        try:
            self._shown = self._status.fields(self._syncer.publisher.published())
            with self._syncer.volume.locked():
                self._syncer.volume.write_json(self._syncer.volume.status, self._shown)
        except OSError as error:
            log.error("the status file cannot be written", error=error)


def _log_outcome(outcome: Outcome, seconds: float) -> None:
    took = f"{seconds:.2f}s"
    if outcome.changed:
        log.info("synced", revision=outcome.revision, took=took, changed=",".join(outcome.changed))
    elif outcome.held:
        log.info("held", revision=outcome.revision, took=took)
    else:
        log.info("up to date", revision=outcome.revision, took=took)


def _jittered(seconds: float) -> float:
    """Shorten by up to a tenth, so that the pods of a deployment do not ask the origin in step."""
    return seconds * (1 - 0.1 * int.from_bytes(os.urandom(2), "big") / 0xFFFF)
