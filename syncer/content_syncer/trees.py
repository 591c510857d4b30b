"""The immutable checkouts that slots point to: `.syncer/trees/<slot>/<tree id>.<nanoseconds>`.

A checkout gets its final name only when it is complete, and is never written to again (Python may add
`__pycache__` to it, and no two checkouts share one). A file that did not change is a hard link to the
one served before, so it keeps its time of modification: Airflow parses again only what changed.
"""

import contextlib
import hashlib
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from content_syncer.files import Volume, list_files
from content_syncer.layout import Blob, Tree, check_link, kept_while_bridging

_BRIDGE = "bridge"


@dataclass(frozen=True)
class Checkout:
    """A complete checkout: its path, and the files in it that were written for it rather than linked."""

    path: Path
    written: tuple[Path, ...]


class TreeStore:
    """Builds checkouts in the volume and prunes them; call with the volume's lock held."""

    def __init__(self, volume: Volume) -> None:
        self._volume = volume

    def build(self, tree: Tree, read: Callable[[str], bytes], served: Path | None) -> Checkout:
        """Check out `tree`, sharing unchanged files with the checkout `served` (None: share nothing).

        A served file is shared only if its bytes still are what git says, so damage is not handed on.
        """
        staged = self._volume.scratch()
        staged.mkdir()
        written: list[str] = []
        for relative, blob in tree.files.items():
            path = staged / relative
            path.parent.mkdir(parents=True, exist_ok=True)
            if served and _share(served / relative, path, blob):
                continue
            content = read(blob.id)
            if blob.link:
                check_link(relative, os.fsdecode(content))
                path.symlink_to(os.fsdecode(content))
            else:
                _write(path, content, executable=blob.executable)
                written.append(relative)
        final = self._install(staged, tree.slot, f"{tree.id}.{time.time_ns()}")
        return Checkout(final, tuple(final / relative for relative in written))

    def build_bridge(self, slot: str, new: Path, old: Path) -> Path | None:
        """Make a checkout of `new` plus what only `old` has; None where nothing was removed.

        It is served between publishing new modules and publishing the DAGs that no longer need the
        removed ones. See `kept_while_bridging` for the removed files that are left out.
        """
        files = list(list_files(new))
        kept = kept_while_bridging(list_files(old), files)
        if not kept:
            return None
        staged = self._volume.scratch()
        sources: Mapping[str, Path] = dict.fromkeys(files, new) | dict.fromkeys(kept, old)
        for relative, root in sources.items():
            path = staged / relative
            path.parent.mkdir(parents=True, exist_ok=True)
            _link_or_copy(root / relative, path)
        return self._install(staged, slot, f"{new.name}.{_BRIDGE}")

    def prune(self, served: set[Path], older_than: float) -> None:
        """Remove the checkouts that are not in `served` and were replaced more than `older_than` seconds ago."""
        limit = time.time() - older_than
        slots = [*self._volume.trees.glob("plugins/*"), *self._volume.trees.glob("dags")]
        for checkout in (checkout for slot in slots for checkout in slot.iterdir()):
            if checkout not in served and checkout.stat().st_mtime < limit:
                # Renamed first, so that nobody ever finds half a checkout.
                self._volume.discard(checkout.rename(self._volume.scratch()))

    def _install(self, staged: Path, slot: str, name: str) -> Path:
        final = self._volume.trees / slot / name
        final.parent.mkdir(parents=True, exist_ok=True)
        return staged.rename(final)


def holds(checkout: Path, tree: Tree) -> bool:
    """Tell whether the checkout was made from exactly this tree, and still exists."""
    return (
        checkout.name.startswith(f"{tree.id}.") and not checkout.name.endswith(_BRIDGE) and checkout.is_dir()
    )


def touch(paths: tuple[Path, ...]) -> None:
    """Set the times of freshly written files to now, the moment before they are published.

    Airflow compares a DAG file's time with the end of its last parse: without this, a parse of the old
    file that ended between writing and publishing the new one would hide the change until a later parse.
    """
    for path in paths:
        os.utime(path)


def mark_replaced(checkout: Path) -> None:
    """Note the time at which a checkout is replaced; `prune` counts from it."""
    with contextlib.suppress(FileNotFoundError):
        os.utime(checkout)


def _share(served: Path, path: Path, blob: Blob) -> bool:
    """Link `path` to the served file if that is this very blob; returns whether it did."""
    if blob.link or served.is_symlink() or not served.is_file():
        return False
    if bool(served.stat().st_mode & 0o100) != blob.executable or _blob_id(served, len(blob.id)) != blob.id:
        return False
    return _link(served, path)


def _link(source: Path, path: Path) -> bool:
    """Make `path` another name of `source` (of the link itself, where it is one); returns whether it could."""
    # The kernel refuses where another user owns the file, or where it has too many names.
    with contextlib.suppress(OSError):
        path.hardlink_to(source)
        return True
    return False


def _link_or_copy(source: Path, path: Path) -> None:
    if _link(source, path):
        return
    if source.is_symlink():
        path.symlink_to(source.readlink())
    else:
        _write(path, source.read_bytes(), executable=bool(source.stat().st_mode & 0o100))


def _blob_id(path: Path, length: int) -> str:
    """Hash a file as git does; ids of 64 characters are SHA-256's."""
    content = path.read_bytes()
    data = b"blob %d\0" % len(content) + content
    if length == 64:
        return hashlib.sha256(data).hexdigest()
    return hashlib.sha1(data, usedforsecurity=False).hexdigest()


def _write(path: Path, content: bytes, *, executable: bool) -> None:
    # Read-only: a checkout shares its files with others, so nothing may write to them in place.
    with path.open("xb") as handle:
        handle.write(content)
        os.fchmod(handle.fileno(), 0o555 if executable else 0o444)
