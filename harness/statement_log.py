"""Which classes of statements the stand-in was sent, while it ran with `services.database.RECORD_SQL`."""

from __future__ import annotations

import json
from pathlib import Path

from harness.database import USER, Database

FOLDER = "sql"


def statements(database: Database) -> list[str]:
    """The statements of everybody but the harness itself, with constants as ``$1``, sorted."""
    database.run("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
    found = database.rows(
        "SELECT DISTINCT s.query FROM pg_stat_statements s JOIN pg_roles r ON r.oid = s.userid"
        " WHERE r.rolname <> %s ORDER BY s.query",
        [USER],
    )
    return [query for (query,) in found]


def save(found: list[str], folder: Path, name: str) -> None:
    """Write statements to ``<folder>/sql/<name>.json``."""
    target = folder / FOLDER
    target.mkdir(parents=True, exist_ok=True)
    (target / f"{name}.json").write_text(json.dumps(found, indent=1) + "\n")


def load(folder: Path) -> list[str]:
    """All statements that were saved below `folder`, each once, sorted."""
    files = sorted((folder / FOLDER).glob("*.json"))
    return sorted({statement for file in files for statement in json.loads(file.read_text())})
