"""Copies what the syncer runs, and the libraries that it loads, to a root of its own: `collect.py ROOT`.

Runs in the image's first stage. What is not named here is not in the image: no package manager, no compiler, no
interpreter but Python's, and of shells the one that git starts its helpers with.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

PROGRAMS = (
    "/usr/bin/git",
    "/usr/bin/git-upload-pack",
    "/usr/lib/git-core/git",
    "/usr/lib/git-core/git-upload-pack",
    "/usr/lib/git-core/git-remote-http",
    "/usr/lib/git-core/git-remote-https",
    "/usr/bin/ssh",
    "/usr/bin/ssh-keygen",  # verifies signatures
    "/usr/bin/python3",
    "/usr/bin/python3.11",
    "/usr/bin/dash",
)
FOLDERS = ("/usr/lib/python3.11", "/etc/ssl/certs", "/usr/share/ca-certificates")
FILES = ("/etc/passwd", "/etc/group", "/etc/nsswitch.conf")
LINKS = {"bin": "usr/bin", "lib": "usr/lib", "lib64": "usr/lib64", "sbin": "usr/sbin", "usr/bin/sh": "dash"}
UNUSED = ("__pycache__", "test", "lib2to3", "pydoc_data", "distutils", "ensurepip", "idlelib", "tkinter")
LIBRARY = re.compile(r"(/\S+) \(0x")


def copy(path: Path, root: Path) -> None:
    """Copy a file, or a link and what it points to, to the same place below `root`."""
    # /bin and /lib are links in Debian: the files belong where these lead.
    place = root / (path.parent.resolve() / path.name).relative_to("/")
    place.parent.mkdir(parents=True, exist_ok=True)
    if path.is_symlink():
        if not place.is_symlink():
            place.symlink_to(path.readlink())
        copy(path.parent / path.readlink(), root)
    elif not place.exists():
        shutil.copy2(path, place)


def libraries(binary: Path) -> set[Path]:
    """The shared libraries that the loader finds for a binary."""
    listed = subprocess.run(["ldd", str(binary)], capture_output=True, text=True, check=False).stdout
    return {Path(path) for path in LIBRARY.findall(listed)}


def main(root: Path) -> None:
    """Fill `root`."""
    for folder in FOLDERS:
        target = root / folder.lstrip("/")
        shutil.copytree(folder, target, symlinks=True, ignore=shutil.ignore_patterns(*UNUSED))
    for path in map(Path, (*PROGRAMS, *FILES)):
        copy(path, root)
    modules = (root / "usr/lib/python3.11").rglob("*.so")
    for library in {found for binary in [*map(Path, PROGRAMS), *modules] for found in libraries(binary)}:
        copy(library, root)
    for link, target in LINKS.items():
        (root / link).symlink_to(target)
    (root / "tmp").mkdir()
    (root / "tmp").chmod(0o1777)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
