"""File operations that a kill -9 cannot leave half done, and the paths they work on."""

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from content_syncer import log

PYCACHE = "__pycache__"


class Volume:
    """The paths inside the target directory.

    Everything that is not read by Airflow lives under `.syncer`, on the same file system as the
    links, so that each rename between the two is atomic.
    """

    def __init__(self, target: Path) -> None:
        self.target = target
        self.home = target / ".syncer"
        self.trees = self.home / "trees"
        self.staging = self.home / "staging"
        self.spares = self.home / "spares"
        self.hold = self.home / "hold"
        self.status = self.home / "status.json"
        self.record = self.home / "published.json"
        self.journal = self.home / "publishing.json"

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the volume's lock; waits for another syncer of the same volume. The kernel drops it on a kill."""
        for directory in (self.trees, self.staging, self.target / "plugins"):
            directory.mkdir(parents=True, exist_ok=True)
        with (self.home / "lock").open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    def scratch(self) -> Path:
        """Return a path in staging that does not exist yet."""
        return self.staging / os.urandom(8).hex()

    def clear_staging(self) -> None:
        """Remove what a killed sync left in staging; call with the lock held."""
        for leftover in self.staging.iterdir():
            self.discard(leftover)

    def discard(self, path: Path) -> None:
        """Remove `path`, or say why not: what another user wrote in an old checkout must not stop the syncing."""
        try:
            remove(path)
        except OSError as error:
            log.warning("cannot remove what is no longer needed", path=path, error=error)

    def write_json(self, path: Path, value: dict[str, Any]) -> None:
        """Replace the file at `path` (inside the volume) with `value`, atomically and durably."""
        self.write_text(path, json.dumps(value, indent=1) + "\n")

    def write_text(self, path: Path, text: str) -> None:
        """Replace the file at `path` (inside the volume) with `text`, atomically and durably."""
        self.staging.mkdir(parents=True, exist_ok=True)
        scratch = self.scratch()
        try:
            with scratch.open("w", encoding="utf-8") as handle:
                handle.write(text)
                handle.flush()
                os.fsync(handle.fileno())
            scratch.rename(path)
        except BaseException:
            scratch.unlink(missing_ok=True)
            raise


def read_json(path: Path) -> dict[str, Any] | None:
    """Return the object in the file at `path`, or None where there is no such file or no whole object in it."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def remove(path: Path) -> None:
    """Remove a file, a link or a whole directory; does nothing where `path` does not exist."""
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
        return
    for parent, directories, files in os.walk(path, topdown=False):
        for name in files:
            Path(parent, name).unlink(missing_ok=True)
        for name in directories:
            child = Path(parent, name)
            child.unlink() if child.is_symlink() else child.rmdir()
    path.rmdir()


def list_files(root: Path) -> Iterator[str]:
    """Yield the relative paths of the files and links under `root`, without what Python caches there."""
    for parent, directories, files in os.walk(root):
        links = [name for name in directories if Path(parent, name).is_symlink()]
        directories[:] = [name for name in directories if name != PYCACHE and name not in links]
        for name in files + links:
            yield str(Path(parent, name).relative_to(root))
