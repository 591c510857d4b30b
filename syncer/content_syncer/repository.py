"""The private shallow repository that revisions are fetched into.

It is one process's own: a fresh directory under the cache, gone with the process. So a lock, a half
fetch or a broken object that an earlier process left can never meet a later one, and a changed
address, branch or history needs no repair. It is never on the shared volume, where a task could plant
configuration for git to run. A restart costs one shallow fetch, and only if the revision changed.
"""

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from content_syncer.errors import GitError, MissingError, SignatureError, SlowError
from content_syncer.files import remove
from content_syncer.git import Git
from content_syncer.objects import Objects, open_objects

_REF = "refs/content-syncer/head"
_FULL_ID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_MARK = "owner.lock"
_MISSING = re.compile(r"couldn't find remote ref|not our ref|no such remote ref|unadvertised object")


@dataclass(frozen=True)
class Remote:
    """What the origin offers for the branch: the ref (or id) to fetch and the commit it stands for."""

    ref: str
    commit: str


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
        listing = self._run("ls-remote", "--", self._git.source.url, *names, remote=True).decode()
        pairs = (line.split("\t", 1) for line in listing.splitlines())
        found = {name: identifier for identifier, name in pairs}
        if head in found:
            return Remote(ref=head, commit=found[head])
        if tag in found:
            return Remote(ref=tag, commit=found.get(f"{tag}^{{}}", found[tag]))
        raise MissingError(f"{self._git.source.url} has no branch or tag {branch!r}")

    def guess(self, branch: str) -> Remote:
        """Return what `resolve` most likely would, without asking: saves a start one of its two requests."""
        if _FULL_ID.fullmatch(branch.lower()):
            return self.resolve(branch)
        return Remote(ref=f"refs/heads/{branch}", commit="")

    def fetch(self, remote: Remote) -> str:
        """Fetch that ref alone, without history; return the commit that came (a newer one after a push).

        A commit id that an earlier fetch of this process brought is not asked for again.
        """
        if self._fetched and remote.ref == remote.commit and self._has(remote.commit):
            return remote.commit
        fetch = ("fetch", "--quiet", "--depth=1", "--no-tags", "--no-write-fetch-head")
        self._fetched = True
        try:
            self._run(*fetch, "--", self._git.source.url, f"+{remote.ref}:{_REF}", remote=True)
        except GitError as error:
            if _MISSING.search(str(error)):
                raise MissingError(
                    f"{self._git.source.url} has no {remote.ref} (any more): {error}"
                ) from None
            raise
        with self.objects() as objects:
            return objects.id_of(f"{_REF}^{{commit}}")

    def verify(self, commit: str, allowed_signers: Path) -> None:
        """Raise SignatureError unless one of `allowed_signers` (ssh-keygen's format) has signed the commit."""
        trust = ("-c", "gpg.format=ssh", "-c", f"gpg.ssh.allowedSignersFile={allowed_signers}")
        try:
            self._run(*trust, "verify-commit", commit)
        except SlowError:
            raise
        except GitError as error:
            raise SignatureError(
                f"revision {commit} is not signed by any of {allowed_signers} ({error})"
            ) from None

    @contextmanager
    def objects(self) -> Iterator[Objects]:
        """Read what was fetched until the block ends."""
        with open_objects(self._git, self._directory()) as objects:
            yield objects

    def _has(self, commit: str) -> bool:
        with self.objects() as objects:
            return objects.has(commit)

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

    def _run(self, *arguments: str, remote: bool = False) -> bytes:
        return self._git.run(*arguments, directory=self._directory(), remote=remote)

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
            # All that `git init --bare --template=` makes and fetching needs, without starting a process.
            for folder in ("objects", "refs"):
                (own / folder).mkdir()
            (own / "HEAD").write_text("ref: refs/heads/main\n", encoding="ascii")
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
