"""Prints facts about this image, or answers to the questions in a file: ``python -m probe CONTENT [QUESTIONS]``."""

import importlib
import importlib.metadata
import json
import os
import sys
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from . import content, installed

FORMAT = 1
"""As `harness.upgrade.facts.FORMAT`; a test holds them together."""

EMPTY: dict[str, Any] = {
    "distributions": {},
    "modules": {},
    "configuration": {"options": {}, "renamed": {}, "moved": {}, "removed": {}, "invalid": {}},
    "schema": {"tables": {}, "revision": ""},
    "triggers": {},
    "content": {
        "uses": [],
        "imports": {},
        "modules": {},
        "warnings": [],
        "dags": {},
        "dag_errors": {},
        "triggers": {},
    },
}


def facts(root: Path) -> dict[str, Any]:
    """All sections; one that cannot be collected is empty, and told in ``failed``."""
    # Content comes first: what the other sections import would hide deprecations that are told once.
    sections: dict[str, Callable[[], Any]] = {
        "content": lambda: content.collect(root),
        "distributions": installed.distributions,
        "modules": installed.modules,
        "configuration": installed.configuration,
        "schema": installed.schema,
        "triggers": installed.triggers,
    }
    found: dict[str, Any] = {
        "format": FORMAT,
        "airflow": importlib.metadata.version("apache-airflow"),
        "python": installed.python(),
        "failed": {},
    }
    for name, collect in sections.items():
        try:
            found[name] = collect()
        except Exception:
            found[name] = EMPTY[name]
            found["failed"][name] = traceback.format_exc()
    return found


def answers(root: Path, questions: dict[str, Any]) -> dict[str, Any]:
    """Import each class and read each stored DAG; see `harness.upgrade.facts.Answers`."""
    sys.path += [str(root / folder) for folder in ("dags", *content.FOLDERS)]
    return {
        "classes": {path: _error(partial(_load, path)) for path in questions["classes"]},
        "dags": {dag_id: _error(partial(_read, stored)) for dag_id, stored in questions["dags"].items()},
    }


def _load(path: str) -> Any:
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)


def _read(stored: dict[str, Any]) -> Any:
    return content.serialization().from_dict(stored)


def _error(act: Callable[[], Any]) -> str:
    try:
        act()
    except BaseException as error:
        return f"{type(error).__name__}: {error}"
    return ""


def main(root: str, questions: str = "") -> None:
    """Write JSON to standard output; whatever Airflow and content print goes to standard error."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    found = answers(Path(root), json.loads(Path(questions).read_text())) if questions else facts(Path(root))
    json.dump(found, out, default=str)
    out.close()
    # Threads and exit handlers of content have no say.
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:3])
