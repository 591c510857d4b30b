"""What the tests share."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import version

import pytest

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
