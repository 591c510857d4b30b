"""The gate: before a revision is published, its DAG files are imported with the pod's own Python."""

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

from content_syncer.errors import GateError
from content_syncer.files import Volume, read_json
from content_syncer.layout import DAGS

_PROBE = Path(__file__).with_name("gate_probe.py")
_SHOWN = 3


class Gate:
    """Imports candidates in a throw-away process that inherits `environment`, but not the syncer's settings."""

    def __init__(self, python: str, timeout: float, volume: Volume, environment: Mapping[str, str]) -> None:
        """`python` is the interpreter's path, empty for no gate; `timeout` is in seconds."""
        self._python = python
        self._timeout = timeout
        self._volume = volume
        self._environment = {
            name: value for name, value in environment.items() if not name.startswith("CONTENT_SYNCER_")
        }

    def check(self, revision: str, wanted: Mapping[str, Path]) -> None:
        """Raise GateError unless every DAG file of the checkouts (by slot) can be imported."""
        if not self._python:
            return
        candidate = self._volume.scratch()
        try:
            for slot, checkout in wanted.items():
                link = candidate / slot
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to(checkout)
            (candidate / "plugins").mkdir(exist_ok=True)
            errors = self._probe(candidate)
        finally:
            self._volume.discard(candidate)
        if errors:
            message = f"revision {revision} breaks the import of DAGs: {_summary(errors)}"
            raise GateError(message, revision, errors)

    def _probe(self, candidate: Path) -> dict[str, str]:
        report = candidate / "report.json"
        folders = {
            "AIRFLOW__CORE__DAGS_FOLDER": str(candidate / DAGS),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(candidate / "plugins"),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        command = [self._python, str(_PROBE), str(candidate / DAGS), str(candidate / "plugins"), str(report)]
        fault = self._run(command, {**self._environment, **folders})
        found = read_json(report)
        if fault or found is None:
            return {"*": fault or "the importing process ended without a verdict"}
        return {str(name): str(error) for name, error in found.items()}

    def _run(self, command: list[str], environment: Mapping[str, str]) -> str:
        """Run to the end or the timeout, with all that the DAG files start; returns what went wrong, or nothing."""
        try:
            process = subprocess.Popen(
                command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            return f"CONTENT_SYNCER_GATE_PYTHON cannot be started: {error}"
        try:
            code = process.wait(self._timeout)
        except subprocess.TimeoutExpired:
            return f"the import took longer than {self._timeout:g} s"
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        return f"the importing process ended with code {code}" if code else ""


def _summary(errors: Mapping[str, str]) -> str:
    """Name the first few; one line."""
    named = [f"{name}: {error}" for name, error in sorted(errors.items())[:_SHOWN]]
    more = f" (and {len(errors) - _SHOWN} more)" if len(errors) > _SHOWN else ""
    return json.dumps("; ".join(named))[1:-1] + more
