"""The immutable checkouts that slots point to: `.syncer/trees/<slot>/<tree id>.<nanoseconds>`.

A checkout gets its final name only when it is complete, and is never written to again (Python may add
`__pycache__` to it, and no two checkouts share one). A file that did not change is a hard link to the
one served before, so it keeps its time of modification: Airflow parses again only what changed.
"""

import contextlib
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from content_syncer import log
from content_syncer.files import PYCACHE, Volume, list_files, remove
from content_syncer.layout import Blob, Tree, check_content, kept_while_bridging, published_blob
from content_syncer.objects import Entry, MissingObjectError, Objects

_BRIDGE = "bridge"
_EMPTY = "empty"


@dataclass(frozen=True)
class Checkout:
    """A complete checkout: its path, and the files in it that were written for it rather than linked."""

    path: Path
    written: tuple[Path, ...]


@dataclass(frozen=True)
class Spare:
    """A retired checkout where no reader can find it, the git tree that it holds, and its number of files."""

    path: Path
    tree: str
    count: int


class TreeStore:
    """Builds checkouts in the volume and prunes them; call with the volume's lock held.

    A checkout whose retention is over becomes its slot's *spare*: it is moved away from where readers could
    find it, and the next revision is made from it by renaming in and out what differs, so that the cost is
    that of the change. Spares belong to this process; what another left is removed.
    """

    def __init__(self, volume: Volume, allow: frozenset[str] = frozenset()) -> None:
        """`allow` is what of CONTENT_SYNCER_ALLOW says."""
        self._volume = volume
        self._allow = allow
        self._spares: dict[str, Spare] = {}
        self._counts: dict[str, int] = {}
        self.bytes_written = 0
        """Bytes of file contents that were written since this process started."""

    def build(self, tree: Tree, objects: Objects, served: Path | None) -> Checkout:
        """Check out `tree`, sharing unchanged files with the checkout `served` (None: share nothing).

        Where git still has the trees that `served` and the spare were made from, only what differs is looked
        at. Else a served file is shared only if its bytes are what git says, so damage is not handed on.
        """
        changed = self._changes(objects, served, tree)
        spare = self._spares.pop(tree.slot, None)
        if spare and served and changed is not None:
            with contextlib.suppress(MissingObjectError, OSError):
                return self._renew(spare, tree, objects, served, changed)
        if spare:
            self._volume.discard(spare.path)
        staged = self._volume.scratch()
        staged.mkdir()
        writer = _Writer(staged, objects, self._allow)
        folders = {""}
        for entry in objects.files(tree.id):
            blob = published_blob(entry, self._allow)
            if not blob:
                continue
            parent = entry.path.rpartition("/")[0]
            if parent not in folders:
                (staged / parent).mkdir(parents=True, exist_ok=True)
                folders.add(parent)
            unchanged = served and (changed is None or entry.path not in changed)
            if unchanged and served and _share(served, entry.path, staged, blob, check=changed is None):
                writer.count += 1
            else:
                writer.write(entry.path, blob)
        return self._finish(writer, tree)

    def _changes(self, objects: Objects, served: Path | None, tree: Tree) -> dict[str, Entry | None] | None:
        """Return what differs between the checkout and `tree`; None where git cannot tell."""
        if served is None or served.name.endswith(_BRIDGE):
            return None
        try:
            return dict(objects.changes(_tree_id(served), tree.id))
        except MissingObjectError:
            return None

    def _renew(
        self, spare: Spare, tree: Tree, objects: Objects, served: Path, changed: dict[str, Entry | None]
    ) -> Checkout:
        """Make the spare hold `tree`. Its files are replaced, never written to: older checkouts share them."""
        # Under its new name it is swept like any half checkout should this be killed.
        staged = spare.path.rename(self._volume.scratch())
        writer = _Writer(staged, objects, self._allow, spare.count)
        # What differs from the served tree is in this too: a file that is as the spare has it but not as it
        # is served must be written anew, or its old time would hide the change from Airflow.
        differing = dict(objects.changes(spare.tree, tree.id)) | changed
        blobs = {
            path: published_blob(entry, self._allow) if entry else None for path, entry in differing.items()
        }
        for path in (path for path, blob in blobs.items() if blob is None):
            writer.remove(path)
        for path, blob in blobs.items():
            if blob is None:
                continue
            writer.make_way(path)
            if path not in changed and _share(served, path, staged, blob, check=False):
                writer.count += 1
            else:
                writer.write(path, blob)
        return self._finish(writer, tree)

    def _finish(self, writer: "_Writer", tree: Tree) -> Checkout:
        self.bytes_written += writer.size
        final = self._install(writer.root, tree.slot, f"{tree.id or _EMPTY}.{time.time_ns()}")
        self._counts[final.name] = writer.count
        return Checkout(final, tuple(final / relative for relative in writer.written))

    def intact(self, checkout: Path, tree: Tree, objects: Objects) -> bool:
        """Compare every byte of a checkout with git; after a difference, none that may share it is renewed."""
        files = {entry.path: published_blob(entry, self._allow) for entry in objects.files(tree.id)}
        wanted = {path: blob for path, blob in files.items() if blob}
        if _count_files(checkout) == len(wanted) and all(
            _is(checkout / path, b) for path, b in wanted.items()
        ):
            return True
        for spare in self._spares.values():
            self._volume.discard(spare.path)
        self._spares.clear()
        self._counts.clear()
        return False

    def sweep(self) -> None:
        """Remove the spares that another process left."""
        if not self._volume.spares.is_dir():
            return
        own = {spare.path for spare in self._spares.values()}
        for path in self._volume.spares.iterdir():
            if path not in own:
                self._volume.discard(path)

    def drop(self, checkout: Path) -> None:
        """Remove a checkout that was built and shall not be published."""
        self._volume.discard(checkout.rename(self._volume.scratch()))

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
        """Put away the checkouts not in `served` that were replaced more than `older_than` seconds ago.

        The newest of a slot becomes its spare, if it is intact; the others are removed.
        """
        limit = time.time() - older_than
        slots = [*self._volume.trees.glob("plugins/*"), *self._volume.trees.glob("dags")]
        for slot in slots:
            old = [path for path in slot.iterdir() if path not in served and path.stat().st_mtime < limit]
            for checkout in sorted(old, key=lambda path: path.stat().st_mtime, reverse=True):
                # Renamed first, so that nobody ever finds half a checkout.
                away = checkout.rename(self._volume.scratch())
                name = str(slot.relative_to(self._volume.trees))
                if name in self._spares or not self._keep(name, checkout.name, away):
                    self._counts.pop(checkout.name, None)
                    self._volume.discard(away)

    def _keep(self, slot: str, name: str, path: Path) -> bool:
        """Keep a retired checkout as its slot's spare; False where it is not known or was changed."""
        tree = _tree_id(Path(name))
        count = self._counts.pop(name, None)
        if count is None or tree is None:
            return False
        if _count_files(path) != count:
            log.warning("somebody changed a retired checkout; the next one is made afresh", slot=slot)
            return False
        self._volume.spares.mkdir(parents=True, exist_ok=True)
        self._spares[slot] = Spare(path.rename(self._volume.spares / path.name), tree, count)
        return True

    def _install(self, staged: Path, slot: str, name: str) -> Path:
        final = self._volume.trees / slot / name
        final.parent.mkdir(parents=True, exist_ok=True)
        return staged.rename(final)


def holds(checkout: Path, tree: Tree) -> bool:
    """Tell whether the checkout was made from exactly this tree, and still exists."""
    return (
        not checkout.name.endswith(_BRIDGE)
        and checkout.name.partition(".")[0] == (tree.id or _EMPTY)
        and checkout.is_dir()
    )


def touch(paths: tuple[Path, ...]) -> None:
    """Set the times of freshly written files to now, the moment before they are published.

    Airflow compares a DAG file's time with the end of its last parse: without this, a parse of the old
    file that ended between writing and publishing the new one would hide the change until a later parse.
    """
    # By this process's clock, which Airflow and `prune` compare with, not the kernel's: tests may skip time.
    now = time.time_ns()
    for path in paths:
        os.utime(path, ns=(now, now))


def mark_replaced(checkout: Path) -> None:
    """Note the time at which a checkout is replaced; `prune` counts from it."""
    with contextlib.suppress(FileNotFoundError):
        touch((checkout,))


class _Writer:
    """Writes and removes files of a checkout in the making, and remembers which it wrote."""

    def __init__(self, root: Path, objects: Objects, allow: frozenset[str], count: int = 0) -> None:
        self.root = root
        self.count = count
        """How many files and links the checkout has."""
        self.written: list[str] = []
        self.size = 0
        self._objects = objects
        self._allow = allow

    def write(self, relative: str, blob: Blob) -> None:
        """Write a file or link from git. Raises ContentError for one that is refused."""
        content = self._objects.blob(blob.id)
        check_content(relative, blob, content, self._allow)
        self.count += 1
        path = self.root / relative
        if blob.link:
            path.symlink_to(os.fsdecode(content))
            return
        _write(path, content, executable=blob.executable)
        self.written.append(relative)
        self.size += len(content)

    def remove(self, relative: str) -> None:
        """Remove a file or link, and the folders that have nothing left."""
        self._unlink(relative)
        parent = (self.root / relative).parent
        # Bytecode alone would keep the folder, and Python would import that as a package.
        while parent != self.root and parent.is_dir() and all(p.name == PYCACHE for p in parent.iterdir()):
            remove(parent)
            parent = parent.parent

    def make_way(self, relative: str) -> None:
        """Make room for a file or link at this path."""
        path = self.root / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        self._unlink(relative)

    def _unlink(self, relative: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            (self.root / relative).unlink()
            self.count -= 1


def _share(served: Path, relative: str, staged: Path, blob: Blob, *, check: bool) -> bool:
    """Link the served file into `staged`, if (with `check`) it is this very blob; returns whether it did."""
    source = served / relative
    if blob.link or (check and not _is(source, blob)):
        return False
    return _link(source, staged / relative)


def _is(path: Path, blob: Blob) -> bool:
    """Tell whether the file or link at `path` is what git has."""
    if blob.link or path.is_symlink():
        return blob.link and path.is_symlink() and _id_of(os.fsencode(path.readlink()), blob) == blob.id
    if not path.is_file() or bool(path.stat().st_mode & 0o100) != blob.executable:
        return False
    return _id_of(path.read_bytes(), blob) == blob.id


def _count_files(root: str | Path) -> int:
    """Count files and links without looking at any: the one part of a sync that grows with the tree."""
    count = 0
    with os.scandir(root) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                count += 0 if entry.name == PYCACHE else _count_files(entry.path)
            else:
                count += 1
    return count


def _tree_id(checkout: Path) -> str | None:
    """Return the tree that a checkout was made from, by its name; None for the empty one."""
    name = checkout.name.partition(".")[0]
    return None if name == _EMPTY else name


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


def _id_of(content: bytes, like: Blob) -> str:
    """Hash a file's bytes as git does; ids of 64 characters are SHA-256's."""
    # Imported here: it takes a while to load, and a start mostly needs no hash.
    import hashlib

    data = b"blob %d\0" % len(content) + content
    if len(like.id) == 64:
        return hashlib.sha256(data).hexdigest()
    return hashlib.sha1(data, usedforsecurity=False).hexdigest()


def _write(path: Path, content: bytes, *, executable: bool) -> None:
    # Read-only: a checkout shares its files with others, so nothing may write to them in place.
    with path.open("xb") as handle:
        handle.write(content)
        os.fchmod(handle.fileno(), 0o555 if executable else 0o444)
