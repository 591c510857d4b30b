"""Pins a volume to a revision: a file on it says so, whoever wrote it, and a restart changes nothing about it.

The file `.syncer/hold` is empty (stay at what is served) or has one line: a commit id, tag or branch. A
name becomes the commit that it stands for at the next sync, and stays that.
"""

import os
import signal
from pathlib import Path

from content_syncer.errors import ContentError
from content_syncer.files import Volume, read_json
from content_syncer.settings import check_branch

HERE = ""
"""What a hold without a revision says: stay at what is served."""


def held(volume: Volume) -> str | None:
    """Return the revision or name that the volume is pinned to, `HERE`, or None where it is not pinned.

    Raises ContentError where the file has something else in it: nobody should lose a pin to a typing error.
    """
    try:
        text = volume.hold.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        text = "\x00"
    if text and not check_branch(text):
        raise ContentError(f"{volume.hold} must be empty or name a revision: write it anew, or remove it")
    return text


def hold(volume: Volume, revision: str = HERE) -> None:
    """Pin the volume. Raises ContentError for what cannot be a revision, and OSError."""
    if revision and not check_branch(revision):
        raise ContentError("a hold needs a commit id, a tag, a branch, or nothing to stay at what is served")
    volume.write_text(volume.hold, f"{revision}\n")


def release(volume: Volume) -> None:
    """Let the volume follow its branch again; does nothing where it is not pinned. Raises OSError."""
    volume.hold.unlink(missing_ok=True)


def wake(volume: Volume) -> bool:
    """Make the volume's sidecar sync now, if it runs in this container; returns whether it does."""
    pid = (read_json(volume.status) or {}).get("pid")
    if not isinstance(pid, int) or not _is_sidecar(pid):
        return False
    os.kill(pid, signal.SIGUSR1)
    return True


def _is_sidecar(pid: int) -> bool:
    """Look at the process: the status may be of one that ended, or of another container."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return b"run" in words and any(word.endswith((b"content-syncer", b"content_syncer")) for word in words)
