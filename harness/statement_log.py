"""Which classes of statements the stand-in was sent, by a stack's components and by the migration that made its schema.

The server itself keeps them (`pg_stat_statements`); each text has its constants as ``$1``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from harness.database import Database

FOLDER = "sql"

EXTENSION = "CREATE EXTENSION IF NOT EXISTS pg_stat_statements"

QUERY = (
    "SELECT DISTINCT s.query FROM pg_stat_statements s JOIN pg_roles r ON r.oid = s.userid"
    " WHERE r.rolname <> 'root' ORDER BY s.query"
)
"""The statements of everybody but the harness itself, which is `harness.database.USER`."""


def statements(database: Database) -> list[str]:
    """What was sent to a stand-in so far, sorted."""
    database.run(EXTENSION)
    return [query for (query,) in database.rows(QUERY)]


def save(found: Sequence[str], folder: Path, name: str) -> None:
    """Write statements to ``<folder>/sql/<name>.json``."""
    target = folder / FOLDER
    target.mkdir(parents=True, exist_ok=True)
    (target / f"{name}.json").write_text(json.dumps(list(found), indent=1) + "\n")


def load(folder: Path) -> list[str]:
    """All statements that were saved below `folder`, each once, sorted."""
    files = sorted((folder / FOLDER).glob("*.json"))
    return sorted({statement for file in files for statement in json.loads(file.read_text())})
