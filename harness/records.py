"""What is known about each stack that more than one process uses: kept below ``.itest/stacks/<stack>/``.

`settings.json` (the stack's keys, for its owner's eyes only) makes it possible to attach; `stack.json` says whether
it may be attached to: what it was made from, whether it is pristine, until when it lives.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

from harness.paths import STATE
from harness.prepare import Prepared
from harness.settings import StackSettings, new_stack_name

FOLDER = STATE / "stacks"
SETTINGS_FILE = "settings.json"

Condition = Literal["clean", "dirty"]
"""``clean``: just reset, or never used. ``dirty``: in use, or left by a session that could not reset it."""


def fingerprint(prepared: Prepared) -> str:
    """A hash over everything that a stack is made from: services with their settings, and images. Not its content."""
    made_of = {"topology": asdict(prepared.topology), "images": prepared.references}
    return hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Record:
    """One stack. Times are seconds since the epoch; `revision` is the content of its pristine state."""

    stack: str
    fingerprint: str
    topology: str
    database: str
    condition: Condition
    revision: str
    created: float
    expires: float
    lives_for: float = 7200
    """Seconds from each use to `expires`."""
    paused: bool = False
    keeper: int = 0
    """Process id of the one that ends the stack when it expires."""

    @property
    def folder(self) -> Path:
        return folder(self.stack)

    def save(self) -> Record:
        """Write to the stack's folder in one step, so that a reader sees the old or the new one."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        new = self.folder / "stack.json.new"
        new.write_text(json.dumps(asdict(self), indent=2) + "\n")
        new.replace(self.folder / "stack.json")
        return self

    def changed(self, **fields: object) -> Record:
        """The same record with other `fields`, saved."""
        return replace(self, **fields).save()  # type: ignore[arg-type]

    def settings(self) -> StackSettings:
        """The stack's keys; raises `FileNotFoundError`."""
        return settings(self.stack)

    @property
    def age(self) -> float:
        """Seconds since it was started."""
        return time.time() - self.created


def folder(stack: str) -> Path:
    """Where what is known about `stack` is kept while it lives."""
    return FOLDER / stack


def settings(stack: str) -> StackSettings:
    """The keys of a stack of this checkout; raises `FileNotFoundError`."""
    return StackSettings.load(folder(stack) / SETTINGS_FILE)


@contextmanager
def new_stack() -> Iterator[tuple[str, StackSettings]]:
    """Name and keys of a stack that the body starts, kept so that others can attach; forgotten when the body fails."""
    stack = new_stack_name()
    generated = StackSettings.generate(stack)
    generated.save(folder(stack) / SETTINGS_FILE)
    try:
        yield stack, generated
    except BaseException:
        forget(stack)
        raise


def load(stack: str) -> Record | None:
    """The record of a stack of this checkout; None when there is none that can be read."""
    try:
        return Record(**json.loads((folder(stack) / "stack.json").read_text()))
    except (OSError, ValueError, TypeError):
        return None


def all_records() -> list[Record]:
    """Every stack of this checkout that has a record, oldest first."""
    found = [load(path.parent.name) for path in FOLDER.glob("*/stack.json")]
    return sorted((r for r in found if r), key=lambda r: r.created)


def forget(stack: str) -> None:
    """Remove what is known about a stack, its keys first of all."""
    shutil.rmtree(folder(stack), ignore_errors=True)


@contextmanager
def locked(stack: str) -> Iterator[bool]:
    """Try to be the only one who uses the stack; yields whether that worked. Ends with the process at the latest."""
    FOLDER.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (FOLDER / f"{stack}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
