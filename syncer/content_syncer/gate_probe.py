"""Imports DAG files and reports which cannot be: `gate_probe.py DAGS PLUGINS REPORT`.

The pod's own Python runs this file on its own, so it imports nothing of the syncer. REPORT gets a JSON
object of relative paths to errors; it is empty when all is well. What the DAG files print goes nowhere.
"""

import importlib.util
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path


def dag_files(dags: Path) -> list[Path]:
    """Return the files that Airflow would import: as itself says, or where it is not there, by its rule of thumb."""
    try:
        from airflow.utils.file import list_py_file_paths  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        return sorted(path for path in _python_files(dags) if _mentions_dags(path))
    return sorted(Path(path) for path in list_py_file_paths(str(dags)))


def import_error(path: Path, number: int) -> str:
    """Import one file; return what it raised as one line, or nothing."""
    spec = importlib.util.spec_from_file_location(f"content_syncer_gate_{number}", path)
    if spec is None or spec.loader is None:
        return "it is no Python file"
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except (KeyboardInterrupt, MemoryError):
        raise
    except BaseException as error:  # noqa: BLE001, RUF100 - SystemExit at the top of a DAG file breaks it, too
        return " ".join(f"{type(error).__name__}: {error}".split())[:300]
    return ""


def main(dags: Path, plugins: Path, report: Path) -> None:
    """Import all DAG files and write the report."""
    sys.path[:0] = [str(dags), str(plugins)]
    errors: dict[str, str] = {}
    for number, path in enumerate(dag_files(dags)):
        error = import_error(path, number)
        if error:
            errors[str(path.relative_to(dags))] = error
    report.write_text(json.dumps(errors), encoding="utf-8")
    # Threads and exit handlers of DAG files have no say in the verdict.
    os._exit(0)


def _python_files(dags: Path) -> Iterator[Path]:
    for parent, _, files in os.walk(dags, followlinks=True):
        yield from (Path(parent, name) for name in files if name.endswith(".py"))


def _mentions_dags(path: Path) -> bool:
    content = path.read_bytes().lower()
    return b"dag" in content and b"airflow" in content


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:4]))
