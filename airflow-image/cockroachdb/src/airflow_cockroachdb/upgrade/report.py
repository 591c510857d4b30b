"""What an upgrade did with every table, for people and as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from airflow_cockroachdb.upgrade.state import Copied, State

TEXT = "report.txt"
JSON = "report.json"


def _rows(copied: Copied | None) -> str:
    return "-" if copied is None else str(copied.fingerprint.count)


def text(state: State) -> str:
    """A table: each table's rows in the source, after the migration, and in the target; and what stayed behind."""
    names = sorted({*state.out, *state.copied})
    lines = [f"{key}: {value}" for key, value in state.identity.items()]
    lines += ["", f"{'table':40} {'source':>10} {'migrated':>10} {'target':>10}  checksum in the target"]
    for name in names:
        copied = state.copied.get(name)
        checksum = "-" if copied is None else f"{copied.fingerprint.checksum:016x}"
        rows = _rows(copied)
        lines.append(f"{name:40} {_rows(state.out.get(name)):>10} {rows:>10} {rows:>10}  {checksum}")
    lines += ["", "left behind:"]
    lines += [f"{name:40} {count:>10}" for name, count in sorted(state.left.items())] or ["nothing"]
    return "\n".join(lines) + "\n"


def write(state: State, folder: Path) -> None:
    """Write both reports to `folder`."""
    (folder / TEXT).write_text(text(state))
    data = {
        "databases": state.identity,
        "steps": state.steps,
        "source": {name: asdict(copied.fingerprint) for name, copied in state.out.items()},
        "target": {name: asdict(copied.fingerprint) for name, copied in state.copied.items()},
        "left": state.left,
    }
    (folder / JSON).write_text(json.dumps(data, indent=2) + "\n")
