"""The runs that a rehearsal has in flight: a row for each state a task can be in. Pure data, but for reading files."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.releases import LineName

FILE = "specimens.toml"
"""What a folder that `--runs` names tells of its runs."""
State = str | None | tuple[str, ...]
AIRFLOW_3: tuple[LineName, ...] = ("3",)


class Hold(StrEnum):
    """What keeps a specimen where it is until it is released."""

    ITSELF = "itself"
    """Nothing: it waits for its moment, or it has ended."""
    GATE = "gate"
    """A file that is missing in the worker."""
    LATE_GATE = "late-gate"
    """The same, but the file is there as soon as the workers are told to stop."""
    QUEUE = "queue"
    """No worker serves its Celery queue."""
    POOL = "pool"
    """A pool without slots."""
    PAUSED = "paused"
    """Its DAG is paused."""
    ASSET = "asset"
    """One of the two assets that it waits for was not made yet."""
    HUMAN = "human"
    """Nobody has answered."""
    BACKFILL = "backfill"
    """As `ITSELF`; its runs are a backfill's."""


@dataclass(frozen=True, slots=True)
class Specimen:
    """One run in flight.

    `state` is how the report calls what it is in. `at` maps tasks (``id``, ``id[map index]``) to the state (None: none;
    several: any of them) that each has to be in before Airflow is stopped, `run_at` is the run's. `ends` is how the run
    ends where nothing is upgraded. `conf` is the run's, beside `until`. XComs (patterns for ``task/key``) that are
    `differing` do so from run to run; those `told_otherwise` are told by each line's API in its own way, whatever they
    are. Only `lines` of Airflow can have it; none named: all.
    """

    name: str
    dag_id: str
    state: str
    at: Mapping[str, State]
    hold: Hold = Hold.ITSELF
    run_at: str = "running"
    ends: str = "success"
    conf: Mapping[str, Any] = field(default_factory=dict)
    lines: tuple[LineName, ...] = ()
    differing: tuple[str, ...] = ()
    told_otherwise: tuple[str, ...] = ()


def _own(name: str, state: str, at: Mapping[str, State], hold: Hold = Hold.ITSELF, **more: Any) -> Specimen:
    return Specimen(name, f"rehearsal_{name}", state, at, hold, **more)


OWN: tuple[Specimen, ...] = (
    _own("not_begun", "none", {"begin": "success", "conclude": None}),
    _own("scheduled", "scheduled", {"enter": "scheduled"}, Hold.POOL),
    _own("pool", "waiting in a pool", {"first": "deferred", "second": "scheduled"}),
    _own("queued", "queued", {"later": "queued"}, Hold.QUEUE),
    _own("running", "running", {"work": "running"}, Hold.GATE),
    _own("finishing", "running, ends while workers stop", {"work": "running"}, Hold.LATE_GATE),
    _own("deferred", "deferred", {"begin": "success", "wait": "deferred"}),
    _own("retried", "up_for_retry", {"stubborn": "up_for_retry"}),
    _own("rescheduled", "up_for_reschedule", {"look": "up_for_reschedule"}),
    _own("mapped", "mapped, some done", {"each[0]": "success", "each[1]": "success", "each[2]": "deferred"}),
    # What the values are is told by the task that reads them.
    _own(
        "xcoms",
        "XComs of every type",
        {"push": "success", "wait": "deferred"},
        told_otherwise=("push/value_*",),
    ),
    _own("secrets", "connections, variables", {"wait": "deferred"}),
    _own("paused", "paused DAG", {}, Hold.PAUSED, run_at="queued"),
    _own("consumer", "asset events", {}, Hold.ASSET),
    _own("backfill", "backfill", {"wait": "deferred"}, Hold.BACKFILL, lines=AIRFLOW_3),
    # The answer has the time at which it was given.
    _own(
        "human",
        "human in the loop",
        # From 3.3 on no trigger waits for the answer.
        {"ask": ("deferred", "awaiting_input")},
        Hold.HUMAN,
        lines=AIRFLOW_3,
        differing=("ask/return_value",),
    ),
    _own(
        "ended", "ended", {"succeed": "success", "never": "upstream_failed"}, run_at="failed", ends="failed"
    ),
)
"""What every rehearsal can have."""


class SpecimenError(ValueError):
    """A specimen that cannot be; the message names it, and what can."""


@dataclass(frozen=True, slots=True)
class Selection:
    """The specimens of one rehearsal, and folders with content that is pushed beside the content under test."""

    specimens: tuple[Specimen, ...]
    folders: tuple[Path, ...] = ()

    def on(self, line: LineName) -> tuple[Specimen, ...]:
        """Those that this line of Airflow can have."""
        return tuple(s for s in self.specimens if line in (s.lines or (line,)))


def select(spec: str | None) -> Selection:
    """The specimens that ``--runs`` names: names of `OWN`, and folders with a `FILE`, separated by commas; without it,
    all of `OWN`. ``all`` are those, too. Raises `SpecimenError`."""
    chosen: list[Specimen] = []
    folders: list[Path] = []
    known = {s.name: s for s in OWN}
    for word in (spec or "all").split(","):
        word = word.strip()
        if word == "all":
            chosen += OWN
        elif word in known:
            chosen.append(known[word])
        elif (folder := Path(word)).is_dir():
            chosen += read(folder / FILE)
            folders.append(folder)
        else:
            raise SpecimenError(
                f"{word!r} is no run to rehearse with, and no folder; there are: {', '.join(known)}"
            )
    return Selection(_unique(chosen), tuple(folders))


def _unique(specimens: Sequence[Specimen]) -> tuple[Specimen, ...]:
    return tuple({s.name: s for s in specimens}.values())


def read(path: Path) -> list[Specimen]:
    """The specimens of a file: tables ``[specimen.NAME]`` with the fields of `Specimen`. Raises `SpecimenError`.

    In TOML nothing is None: the state ``none`` stands for it. A list are states any of which will do.
    """
    try:
        tables = tomllib.loads(path.read_text())["specimen"]
    except (OSError, KeyError, tomllib.TOMLDecodeError) as error:
        raise SpecimenError(f"{path} tells of no specimen ([specimen.NAME]): {error}") from error
    return [_parsed(name, table, path) for name, table in tables.items()]


FIELDS = frozenset({"dag_id", "state", "at", "run_at", "ends", "conf", "differing"})


def _parsed(name: str, table: Mapping[str, Any], path: Path) -> Specimen:
    if "dag_id" not in table or table.keys() - FIELDS:
        raise SpecimenError(f"{path}: specimen {name} needs dag_id, and can have {', '.join(sorted(FIELDS))}")
    at = {task: _state(state, name, path) for task, state in table.get("at", {}).items()}
    more = {key: table[key] for key in ("run_at", "ends", "conf") if key in table}
    more["differing"] = tuple(table.get("differing", ()))
    return Specimen(name, table["dag_id"], table.get("state", "as given"), at, **more)


def _state(told: object, name: str, path: Path) -> State:
    if isinstance(told, list) and told and all(isinstance(state, str) for state in told):
        return tuple(told)
    if not isinstance(told, str):
        raise SpecimenError(f"{path}: specimen {name}: a state is a text, or a list of texts, not {told!r}")
    return None if told == "none" else told
