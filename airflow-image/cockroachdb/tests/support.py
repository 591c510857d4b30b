"""What the tests share."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import version
from types import ModuleType

import pytest
from airflow_cockroachdb import install

AIRFLOW = version("apache-airflow")
only_airflow_3 = pytest.mark.skipif(not AIRFLOW.startswith("3."), reason="Airflow 2 has no such place")


def run_python(code: str, given: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """Run code in a fresh interpreter with more environment and standard input; asserts nothing."""
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        input=given,
        text=True,
        env=os.environ | environment,
        check=False,
    )


def driver_error(code: str, cause: BaseException | None = None) -> Exception:
    """An error with an SQLSTATE, as those of psycopg2 are, and with what it came from."""
    error = RuntimeError("restart transaction")
    error.pgcode = code  # type: ignore[attr-defined]
    error.__cause__ = cause
    return error


def apply_fixes(module: ModuleType) -> None:
    """Apply the fixes, where they are not left out, to a stand-in for the module of Airflow's that has its name."""
    for fix in install.ALL:
        if fix.module == module.__name__:
            fix.apply(module)
