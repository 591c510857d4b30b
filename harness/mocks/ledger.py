"""Outward side effects: what a request changed in the outside world, as the fakes themselves tell it.

A fake notes an effect where it changes its state, so that a refused request has none. The gateway puts the effects of a
request into its journal entry, before the answer: an answer that is lost afterwards takes no effect away.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from werkzeug.wrappers import Request

    from harness.mocks.wsgi import WSGIEnvironment

EFFECTS_KEY = "itest.effects"
"""Environment key of the list that `note` adds to."""


class Kind(StrEnum):
    """What was done. The target is a channel's name, a spreadsheet's or file's id, a subnet, or `bucket/key`."""

    SLACK_MESSAGE = "slack.message"
    SLACK_UPDATE = "slack.update"
    SLACK_DELETE = "slack.delete"
    SLACK_SCHEDULE = "slack.schedule"
    SLACK_REACTION = "slack.reaction"
    SLACK_FILE = "slack.file"
    SHEETS_CREATE = "sheets.create"
    SHEETS_WRITE = "sheets.write"
    SHEETS_CHANGE = "sheets.change"
    DRIVE_CREATE = "drive.create"
    DRIVE_CHANGE = "drive.change"
    DRIVE_DELETE = "drive.delete"
    DRIVE_SHARE = "drive.share"
    IC_PROPOSAL = "ic.proposal"
    S3_PUT = "s3.put"
    S3_DELETE = "s3.delete"


@dataclass(frozen=True, slots=True)
class Effect:
    """One side effect and the task instance that caused it: "", -1 and 0 where nobody is known.

    seq: of the journal entry it came with. detail: what tells it from others of its kind, such as a message's text.
    """

    seq: int
    time: datetime
    kind: str
    target: str
    detail: Mapping[str, Any]
    pod: str
    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    try_number: int


def note(request: "Request", kind: Kind, target: str, **detail: Any) -> None:
    """Record an effect of a request that is being handled."""
    note_in(request.environ, kind, target, **detail)


def note_in(environ: "WSGIEnvironment", kind: Kind, target: str, **detail: Any) -> None:
    """The same, where only the WSGI environment is at hand."""
    effect = {"kind": kind.value, "target": target, "detail": detail}
    environ.setdefault(EFFECTS_KEY, []).append(effect)


def effects_of(entries: Iterable[Mapping[str, Any]]) -> list[Effect]:
    """The ledger: the effects of journal entries (as dictionaries), in their order."""
    return [
        Effect(
            seq=entry["seq"],
            time=datetime.fromisoformat(entry["time"]),
            kind=effect["kind"],
            target=effect["target"],
            detail=effect["detail"],
            **{
                name: entry[name]
                for name in ("pod", "dag_id", "run_id", "task_id", "map_index", "try_number")
            },
        )
        for entry in entries
        for effect in entry["effects"]
    ]
