"""How far an upgrade is, in a file that a killed process leaves whole."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from airflow_cockroachdb.upgrade.rows import Fingerprint

FILE = "state.json"


class StateError(Exception):
    """The state of another upgrade; the message says what differs."""


@dataclass(frozen=True)
class Copied:
    """A table as it was copied: its fingerprint over `columns`, each with whether it was read as JSON."""

    fingerprint: Fingerprint
    columns: dict[str, bool]

    @classmethod
    def read(cls, data: dict[str, Any]) -> Copied:
        return cls(Fingerprint(**data["fingerprint"]), data["columns"])


@dataclass
class State:
    """What is done. `identity` names the databases and versions: another upgrade must not go on with it."""

    path: Path
    identity: dict[str, str]
    steps: list[str] = field(default_factory=list)
    """Steps that are done, in order."""
    out: dict[str, Copied] = field(default_factory=dict)
    """Tables of the source that are in the scratch database."""
    copied: dict[str, Copied] = field(default_factory=dict)
    """Tables of the migrated scratch database that are in the target."""
    left: dict[str, int] = field(default_factory=dict)
    """Tables that stay behind, with their rows."""

    @classmethod
    def load(cls, folder: Path, identity: dict[str, str]) -> State:
        """The state in `folder`, or a new one. Raises `StateError` when it belongs to another upgrade."""
        path = folder / FILE
        if not path.exists():
            return cls(path, identity)
        data = json.loads(path.read_text())
        if data["identity"] != identity:
            differing = [k for k in identity if data["identity"].get(k) != identity[k]]
            raise StateError(
                f"{path} is of an upgrade with another {', '.join(differing)}; "
                "use its databases again, or another folder"
            )
        tables = {
            key: {table: Copied.read(values) for table, values in data[key].items()}
            for key in ("out", "copied")
        }
        return cls(path, identity, data["steps"], **tables, left=data["left"])

    def save(self) -> None:
        """Write the file so that it is the old or the new one, whenever the process ends."""
        data = asdict(self)
        del data["path"]
        self.path.parent.mkdir(parents=True, exist_ok=True)
        written = self.path.with_suffix(".new")
        written.write_text(json.dumps(data, indent=2))
        written.replace(self.path)

    def finish(self, step: str) -> None:
        """Note that a step is done."""
        self.steps.append(step)
        self.save()
