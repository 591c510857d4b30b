"""Content as one archive: of the working tree as it lies on disk, or of a revision."""

from __future__ import annotations

import hashlib
import io
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

from harness.content import SUBPATH, ContentError, listed_files, resolve

FOLDERS = ("dags", "plugins", "shared")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Content's files by their path below ``content``, and how to call it."""

    name: str
    files: dict[str, bytes]

    @property
    def digest(self) -> str:
        """The same for equal files."""
        found = hashlib.sha256()
        for path, data in sorted(self.files.items()):
            found.update(f"{path}\0{len(data)}\0".encode() + data)
        return found.hexdigest()


def take(repository: Path, revision: str | None) -> Snapshot:
    """Content of the working tree below `repository`, or of one of its revisions. Raises `ContentError`."""
    if revision is None:
        return folder(repository / SUBPATH, "the working tree")
    commit = resolve(repository, revision)
    made = subprocess.run(
        ["git", "archive", "--format=tar", f"{commit}:{SUBPATH}"],
        cwd=repository,
        capture_output=True,
        check=False,
    )
    if made.returncode:
        raise ContentError(f"{revision} holds no {SUBPATH}: {made.stderr.decode(errors='replace').strip()}")
    files = {}
    with tarfile.open(fileobj=io.BytesIO(made.stdout)) as archive:
        for member in archive:
            opened = archive.extractfile(member) if member.isfile() else None
            if opened:
                files[member.name] = opened.read()
    return _checked(Snapshot(f"{revision} ({commit[:12]})", files))


def folder(path: Path, name: str) -> Snapshot:
    """What lies below `path`, without what git ignores. Raises `ContentError` when it holds no DAGs folder."""
    if not path.is_dir():
        raise ContentError(f"{path} is no folder")
    return _checked(Snapshot(name, {str(file): (path / file).read_bytes() for file in listed_files(path)}))


def _checked(snapshot: Snapshot) -> Snapshot:
    found = {p: data for p, data in snapshot.files.items() if p.split("/")[0] in FOLDERS}
    if not any(path.startswith("dags/") for path in found):
        raise ContentError(f"content of {snapshot.name} holds no dags")
    return Snapshot(snapshot.name, found)
