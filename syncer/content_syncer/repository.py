"""The private shallow repository that revisions are fetched into.

It is one process's own: a fresh directory under the cache, gone with the process. So a lock, a half
fetch or a broken object that an earlier process left can never meet a later one, and a changed
address, branch or history needs no repair. It is never on the shared volume, where a task could plant
configuration for git to run. A restart costs one shallow fetch, and only if the revision changed.
"""

import fcntl
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from content_syncer.errors import ContentError, GitError
from content_syncer.files import remove
from content_syncer.git import Git

_REF = "refs/content-syncer/head"
_FULL_ID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_MARK = "owner.lock"


@dataclass(frozen=True)
class Remote:
    """What the origin offers for the branch: the ref (or id) to fetch and the commit it stands for."""

    ref: str
    commit: str


@dataclass(frozen=True)
class Entry:
    """A line of a git tree: its path in the listed tree, its mode, its kind (blob, tree, commit) and id."""

    path: str
    mode: str
    kind: str
    id: str


class Repository:
    """Looks up, fetches and reads revisions. Not for use by several threads."""

    def __init__(self, git: Git, cache: Path) -> None:
        self._git = git
        self._cache = cache
        self._fetched = False
        self._own: Path | None = None
        self._mark: IO[str] | None = None

    def resolve(self, branch: str) -> Remote:
        """Ask the origin which commit `branch` is: a branch, else a tag, else a full commit id as it is."""
        if _FULL_ID.fullmatch(branch.lower()):
            return Remote(ref=branch.lower(), commit=branch.lower())
        head, tag = f"refs/heads/{branch}", f"refs/tags/{branch}"
        names = (head, tag, f"{tag}^{{}}")
        listing = self._run("ls-remote", "--", self._git.source.url, *names).decode()
        pairs = (line.split("\t", 1) for line in listing.splitlines())
        found = {name: identifier for identifier, name in pairs}
        if head in found:
            return Remote(ref=head, commit=found[head])
        if tag in found:
            return Remote(ref=tag, commit=found.get(f"{tag}^{{}}", found[tag]))
        raise ContentError(f"{self._git.source.url} has no branch or tag {branch!r}")

    def fetch(self, remote: Remote) -> str:
        """Fetch that ref alone, without history; return the commit that came (a newer one after a push)."""
        fetch = ("fetch", "--quiet", "--depth=1", "--no-tags", "--no-write-fetch-head")
        self._fetched = True
        self._run(*fetch, "--", self._git.source.url, f"+{remote.ref}:{_REF}")
        return self._run("rev-parse", "--verify", f"{_REF}^{{commit}}").decode().strip()

    def entries(self, commit: str, subpath: str, folders: tuple[str, ...]) -> list[Entry]:
        """List, with all below them, the given folders of `subpath`; raises ContentError where that is no folder."""
        root = f"{commit}^{{tree}}" if subpath == "." else f"{commit}:{subpath}"
        try:
            tree = self._run("rev-parse", "--verify", root).decode().strip()
        except GitError:
            tree = ""
        if not tree or self._run("cat-file", "-t", tree).strip() != b"tree":
            raise ContentError(
                f"revision {commit} has no folder {subpath!r} (CONTENT_SYNCER_GIT_REPO_SUBPATH)"
            )
        listing = self._run("ls-tree", "-r", "-t", "-z", "--full-tree", tree, *folders)
        return [_entry(record) for record in listing.split(b"\0") if record]

    @contextmanager
    def blobs(self) -> Iterator[Callable[[str], bytes]]:
        """Give a function from a blob's id to its bytes: as they are in git, no filter or line-end conversion."""
        with self._git.process("cat-file", "--batch", directory=self._directory()) as process:
            if process.stdin is None or process.stdout is None:
                raise GitError("git cat-file: no pipes")
            requests, answers = process.stdin, process.stdout

            def read(blob: str) -> bytes:
                try:
                    requests.write(blob.encode() + b"\n")
                    requests.flush()
                except BrokenPipeError:
                    raise GitError(f"git cat-file ended before object {blob}") from None
                header = answers.readline().split()
                if len(header) != 3 or header[1] != b"blob":
                    raise GitError(f"git cat-file: object {blob} is missing or broken")
                size = int(header[2])
                content = answers.read(size + 1)
                if len(content) != size + 1:
                    raise GitError(f"git cat-file ended inside object {blob}")
                return content[:-1]

            yield read

    def discard(self) -> bool:
        """Start over with an empty repository; returns whether there was anything fetched to forget."""
        fetched, self._fetched = self._fetched, False
        self.close()
        return fetched

    def close(self) -> None:
        """Remove the repository from the cache; a later call of another method starts a new one."""
        if self._mark:
            self._mark.close()
        if self._own:
            remove(self._own)
        self._own = self._mark = None

    def _run(self, *arguments: str) -> bytes:
        return self._git.run(*arguments, directory=self._directory())

    def _directory(self) -> Path:
        if self._own is None:
            self._cache.mkdir(parents=True, exist_ok=True)
            with (self._cache / "lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                self._sweep()
                own = self._cache / f"repository-{os.urandom(8).hex()}"
                own.mkdir()
                self._mark = (own / _MARK).open("w")
                fcntl.flock(self._mark, fcntl.LOCK_EX)
            self._own = own
            try:
                self._git.run("init", "--quiet", "--bare", "--template=", directory=own)
            except BaseException:
                self.close()
                raise
        return self._own

    def _sweep(self) -> None:
        """Remove the repositories whose owners are gone: nobody holds the lock on their mark."""
        for leftover in self._cache.glob("repository-*"):
            with (leftover / _MARK).open("w") as mark:
                try:
                    fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue
                # A git that outlived its killed syncer may still write here: the next sweep gets the rest.
                with suppress(OSError):
                    remove(leftover)


def _entry(record: bytes) -> Entry:
    description, _, path = record.partition(b"\t")
    mode, kind, identifier = description.decode().split()
    return Entry(path=os.fsdecode(path), mode=mode, kind=kind, id=identifier)
