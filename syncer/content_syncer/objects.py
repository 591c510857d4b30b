"""Reads git's objects through one `git cat-file --batch`, and compares trees in as many reads as differ.

Two trees are compared from their tops; a subtree with the same id is not looked into. So the cost of a
comparison grows with what changed. Nothing is checked out by git: no filter, no hook, no configuration
of a repository has a say in what a file holds.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from content_syncer.errors import GitError
from content_syncer.git import Git

_KINDS = {"40000": "tree", "160000": "commit"}


@dataclass(frozen=True)
class Entry:
    """An entry of a git tree: its path in the tree that was asked for, its mode, its kind and its object's id."""

    path: str
    mode: str
    kind: str
    id: str


class MissingObjectError(GitError):
    """The repository does not have the object (any more), or it is broken."""


class Objects:
    """A conversation with a running `git cat-file --batch`. Raises `MissingObjectError` and `GitError`."""

    def __init__(self, requests: IO[bytes], answers: IO[bytes]) -> None:
        self._requests = requests
        self._answers = answers

    def has(self, name: str) -> bool:
        """Tell whether the repository has the object."""
        try:
            self.id_of(name)
        except MissingObjectError:
            return False
        return True

    def id_of(self, name: str) -> str:
        """Return the id of the object that git knows by this name."""
        return self._read(name)[0]

    def blob(self, identifier: str) -> bytes:
        """Return the bytes of a file as git has them."""
        _, kind, content = self._read(identifier)
        if kind != "blob":
            raise MissingObjectError(f"git object {identifier} is a {kind}, not a file")
        return content

    def folders_to(self, commit: str, subpath: str) -> list[str]:
        """Return the ids of the folders from a commit's root to `subpath` (`.`: the root); [] where there is none."""
        _, kind, content = self._read(commit)
        if kind != "commit":
            raise MissingObjectError(f"git object {commit} is a {kind}, not a commit")
        folders = [content.split(b"\n", 1)[0].removeprefix(b"tree ").decode()]
        for part in Path(subpath).parts:
            entry = {entry.path: entry for entry in self.entries(folders[-1])}.get(part)
            if entry is None or entry.kind != "tree":
                return []
            folders.append(entry.id)
        return folders

    def entries(self, tree: str | None, prefix: str = "") -> list[Entry]:
        """List a folder, not what is below it; `prefix` goes before each path. None is the empty folder."""
        if tree is None:
            return []
        _, kind, content = self._read(tree)
        if kind != "tree":
            raise MissingObjectError(f"git object {tree} is a {kind}, not a folder")
        return list(_parse(content, len(tree) // 2, prefix))

    def files(self, tree: str | None, prefix: str = "") -> Iterator[Entry]:
        """Yield all that is in a folder and below it, but no folders."""
        for entry in self.entries(tree, prefix):
            if entry.kind == "tree":
                yield from self.files(entry.id, f"{entry.path}/")
            else:
                yield entry

    def changes(
        self, old: str | None, new: str | None, prefix: str = ""
    ) -> Iterator[tuple[str, Entry | None]]:
        """Yield each path below the folders that differs, with its entry in `new` (None: it is gone)."""
        if old == new:
            return
        before = {entry.path: entry for entry in self.entries(old, prefix)}
        after = {entry.path: entry for entry in self.entries(new, prefix)}
        for path in sorted(before.keys() | after.keys()):
            if before.get(path) != after.get(path):
                yield from self._change(path, before.get(path), after.get(path))

    def _change(self, path: str, old: Entry | None, new: Entry | None) -> Iterator[tuple[str, Entry | None]]:
        old_tree = old.id if old and old.kind == "tree" else None
        new_tree = new.id if new and new.kind == "tree" else None
        # A removal comes before what takes its place, be it a file for a folder or the reverse.
        if old and old_tree is None and (new is None or new_tree is not None):
            yield path, None
        yield from self.changes(old_tree, new_tree, f"{path}/")
        if new and new_tree is None:
            yield path, new

    def _read(self, name: str) -> tuple[str, str, bytes]:
        """Return id, kind and content."""
        try:
            self._requests.write(name.encode() + b"\n")
            self._requests.flush()
        except BrokenPipeError:
            raise MissingObjectError(f"git cat-file ended before object {name}") from None
        header = self._answers.readline().split()
        if len(header) != 3:
            raise MissingObjectError(f"git cat-file: object {name} is missing or broken")
        size = int(header[2])
        content = self._answers.read(size + 1)
        if len(content) != size + 1:
            raise MissingObjectError(f"git cat-file ended inside object {name}")
        return header[0].decode(), header[1].decode(), content[:-1]


@contextmanager
def open_objects(git: Git, directory: Path) -> Iterator[Objects]:
    """Read the objects of the repository at `directory` until the block ends."""
    with git.process("cat-file", "--batch", directory=directory) as process:
        if process.stdin is None or process.stdout is None:
            raise GitError("git cat-file: no pipes")
        yield Objects(process.stdin, process.stdout)


def _parse(content: bytes, id_length: int, prefix: str) -> Iterator[Entry]:
    """Take a tree object apart: `<mode> <name>NUL<id in binary>`, one after the other."""
    position = 0
    while position < len(content):
        end = content.index(b"\0", position)
        mode, _, name = content[position:end].partition(b" ")
        position = end + 1 + id_length
        text = mode.decode()
        yield Entry(
            prefix + os.fsdecode(name), text, _KINDS.get(text, "blob"), content[end + 1 : position].hex()
        )
