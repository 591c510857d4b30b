"""What of a revision is published, where, and in which order. Pure: no files, no git.

A *slot* is a path in the target that one tree is published at: `plugins/operators`, `plugins/sensors`,
`plugins/<folder>` for each shared folder, `dags`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from content_syncer.errors import ContentError
from content_syncer.files import PYCACHE
from content_syncer.repository import Entry

DAGS = "dags"
OPERATORS = "plugins/operators"
SENSORS = "plugins/sensors"
PLUGINS = "plugins"
SHARED = "shared"
FOLDERS = (PLUGINS, SHARED, DAGS)

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
    """What a slot shall hold: git's id of the tree (`empty` for none) and its files by relative path."""

    slot: str
    id: str
    files: Mapping[str, Blob]


def read_layout(entries: Iterable[Entry]) -> list[Tree]:
    """Return the trees of a revision in publishing order; the DAGs' is always there, maybe empty.

    Submodules and `__pycache__` are left out. Raises ContentError where nothing is there to publish, for a
    shared folder with the name of a plugin folder, an unsafe path, and a file or link in place of a folder.
    """
    trees: dict[str, str] = {}
    files: dict[str, Blob] = {}
    for entry in entries:
        _check_path(entry.path)
        if PYCACHE in entry.path.split("/"):
            continue
        if entry.kind == "tree":
            trees[entry.path] = entry.id
        elif entry.kind == "blob":
            files[entry.path] = Blob(entry.id, entry.mode == _EXECUTABLE, entry.mode == _LINK)
    _check_folders(trees, files)
    shared = sorted(path for path in trees if _parent(path) == SHARED)
    folders = {OPERATORS: OPERATORS, SENSORS: SENSORS}
    folders |= {f"plugins/{path.partition('/')[2]}": path for path in shared}
    published = [_tree(slot, trees[path], path, files) for slot, path in folders.items() if path in trees]
    return [*published, _tree(DAGS, trees.get(DAGS, "empty"), DAGS, files)]


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
        raise ContentError(f"the link {path} -> {target} leaves its tree")


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


def _check_path(path: str) -> None:
    if any(part in ("", ".", "..") or part.lower() == ".git" for part in path.split("/")):
        raise ContentError(f"the path {path!r} is not a path inside a repository")


def _check_folders(trees: Mapping[str, str], files: Mapping[str, Blob]) -> None:
    if not any(folder in trees or folder in files for folder in FOLDERS):
        raise ContentError(f"there is none of {', '.join(FOLDERS)} to publish")
    links = (path for path, blob in files.items() if blob.link and _parent(path) == SHARED)
    for path in (*FOLDERS, OPERATORS, SENSORS, *links):
        if path in files:
            raise ContentError(f"{path} is not a folder")
    for path in (f"{SHARED}/operators", f"{SHARED}/sensors"):
        if path in trees:
            raise ContentError(f"{path} would be published over plugins/{path.partition('/')[2]}: rename it")


def _tree(slot: str, identifier: str, folder: str, files: Mapping[str, Blob]) -> Tree:
    prefix = f"{folder}/"
    inside = {path.removeprefix(prefix): blob for path, blob in files.items() if path.startswith(prefix)}
    return Tree(slot, identifier, inside)
