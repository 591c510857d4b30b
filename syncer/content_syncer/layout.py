"""What of a revision is published, where, and in which order. No files are touched here.

A *slot* is a path in the target that one tree is published at: `plugins/operators`, `plugins/sensors`,
`plugins/<folder>` for each shared folder, `dags`.
"""

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from content_syncer.errors import ContentError
from content_syncer.files import PYCACHE
from content_syncer.objects import Entry, Objects

DAGS = "dags"
OPERATORS = "plugins/operators"
SENSORS = "plugins/sensors"
PLUGINS = "plugins"
SHARED = "shared"
FOLDERS = (PLUGINS, SHARED, DAGS)

ATTRIBUTES = ".gitattributes"
_FILTER = re.compile(rb"^[^#\n]*[ \t]filter=", re.MULTILINE)
_LINK = "120000"
_EXECUTABLE = "100755"


@dataclass(frozen=True)
class Blob:
    """A file of a revision: its object id, and whether it may be executed or is a symbolic link."""

    id: str
    executable: bool
    link: bool


@dataclass(frozen=True)
class Tree:
    """What a slot shall hold: git's id of the tree, or None for an empty folder that git does not have."""

    slot: str
    id: str | None


def list_folders(objects: Objects, root: str) -> list[Entry]:
    """List what decides on the layout: the folders in `root` that are published from, and what is in them."""
    tops = [entry for entry in objects.entries(root) if entry.path in FOLDERS or entry.path == ATTRIBUTES]
    inner = (top for top in tops if top.kind == "tree" and top.path != DAGS)
    return [*tops, *(entry for top in inner for entry in objects.entries(top.id, f"{top.path}/"))]


def check_attributes(
    objects: Objects, above: Iterable[str], entries: Iterable[Entry], allow: frozenset[str]
) -> None:
    """Raise ContentError where the attributes of a folder `above` the trees, or of one in `entries`, name a filter."""
    higher = (entry for folder in above for entry in objects.entries(folder))
    for entry in (*higher, *entries):
        if _name(entry.path) == ATTRIBUTES and entry.kind == "blob":
            check_content(
                entry.path, Blob(entry.id, False, entry.mode == _LINK), objects.blob(entry.id), allow
            )


def read_layout(entries: Iterable[Entry]) -> list[Tree]:
    """Return the trees of a revision in publishing order; the DAGs' is always there, maybe empty.

    `entries` are those of `list_folders`. Raises ContentError where nothing is there to publish, for a shared
    folder with the name of a plugin folder, an unsafe path, and a file or link in place of a folder.
    """
    found = {entry.path: entry for entry in entries}
    for path in found:
        _check_path(path)
    _check_folders(found)
    trees = {path: entry.id for path, entry in found.items() if entry.kind == "tree"}
    shared = sorted(path for path in trees if _parent(path) == SHARED and _name(path) != PYCACHE)
    folders = {OPERATORS: OPERATORS, SENSORS: SENSORS}
    folders |= {f"plugins/{_name(path)}": path for path in shared}
    published = [Tree(slot, trees[path]) for slot, path in folders.items() if path in trees]
    return [*published, Tree(DAGS, trees.get(DAGS))]


def published_blob(entry: Entry, allow: frozenset[str]) -> Blob | None:
    """Return what to publish for an entry of a published tree; None for what is left out (`__pycache__`).

    Raises ContentError for a path that is unsafe, and for a submodule that `allow` does not let pass.
    """
    _check_path(entry.path)
    if PYCACHE in entry.path.split("/"):
        return None
    if entry.kind == "commit":
        if "submodules" not in allow:
            raise ContentError(
                f"{entry.path} is a submodule, which is not followed: {_way_out('submodules')}"
            )
        return None
    return Blob(entry.id, entry.mode == _EXECUTABLE, entry.mode == _LINK)


def check_content(path: str, blob: Blob, content: bytes, allow: frozenset[str]) -> None:
    """Raise ContentError for a link that leaves its tree and for attributes that name a filter, unless allowed."""
    if blob.link and "links" not in allow:
        check_link(path, os.fsdecode(content))
    if not blob.link and _name(path) == ATTRIBUTES and "filters" not in allow and _FILTER.search(content):
        raise ContentError(f"{path} sets a filter, and none is ever run: {_way_out('filters')}")


def publishing_order(slots: Iterable[str]) -> list[str]:
    """Sort slots: operators, sensors, shared folders, DAGs. Removals go the other way round."""
    ranks = {OPERATORS: 0, SENSORS: 1, DAGS: 3}
    return sorted(slots, key=lambda slot: (ranks.get(slot, 2), slot))


def check_link(path: str, target: str) -> None:
    """Raise ContentError unless the link at `path` (relative to its tree) stays inside the tree.

    `..` may only come first: after a folder's name, which could be a link itself, it might lead anywhere.
    """
    parts = PurePosixPath(target).parts
    ups = len([part for part in parts if part == ".."])
    leading = all(part == ".." for part in parts[:ups])
    if not target or target.startswith("/") or not leading or ups > len(PurePosixPath(path).parts) - 1:
        raise ContentError(f"the link {path} -> {target} leaves its tree: {_way_out('links')}")


def kept_while_bridging(old: Iterable[str], new: Iterable[str]) -> list[str]:
    """Return the paths only `old` has which old DAGs may still import while `new` is already served.

    Left out is what would hide a module of `new`: where one of the two has `x.py` and the other a
    folder `x`, Python would find the wrong one; and where one's file is the other's folder.
    """
    taken = {prefix: prefix == path for path in new for prefix in _prefixes(path)}
    return [path for path in old if path not in taken and not _hides(path, taken)]


def _hides(path: str, taken: Mapping[str, bool]) -> bool:
    """Tell whether adding the file `path` hides one of `taken` (path to whether it is a file)."""
    *folders, _ = _prefixes(path)
    if any(taken.get(folder) or f"{folder}.py" in taken for folder in folders):
        return True
    return path.endswith(".py") and taken.get(path.removesuffix(".py")) is False


def _prefixes(path: str) -> list[str]:
    """`a/b/c` gives `a`, `a/b`, `a/b/c`."""
    parts = path.split("/")
    return ["/".join(parts[: end + 1]) for end in range(len(parts))]


def _parent(path: str) -> str:
    return path.rpartition("/")[0]


def _name(path: str) -> str:
    return path.rpartition("/")[2]


def _check_path(path: str) -> None:
    if any(part in ("", ".", "..") or part.lower() == ".git" for part in path.split("/")):
        raise ContentError(f"the path {path!r} is not a path inside a repository")


def _check_folders(found: Mapping[str, Entry]) -> None:
    if not any(folder in found for folder in FOLDERS):
        raise ContentError(f"there is none of {', '.join(FOLDERS)} to publish")
    links = (path for path, entry in found.items() if entry.mode == _LINK and _parent(path) == SHARED)
    for path in (*FOLDERS, OPERATORS, SENSORS, *links):
        if path in found and found[path].kind != "tree":
            raise ContentError(f"{path} is not a folder")
    for path in (f"{SHARED}/operators", f"{SHARED}/sensors"):
        if path in found and found[path].kind == "tree":
            raise ContentError(f"{path} would be published over plugins/{_name(path)}: rename it")


def _way_out(word: str) -> str:
    return f"take it out, or add {word} to CONTENT_SYNCER_ALLOW"
