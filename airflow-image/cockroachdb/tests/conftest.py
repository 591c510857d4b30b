"""Airflow reads its settings when it is imported, so they are set before any test module is.

With ``WITHOUT_FIXES=1`` the package's fixes are left out, and the tests that are marked as a fix's proof have to fail.
"""

from __future__ import annotations

import os
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from importlib.metadata import version

import pytest
from airflow_cockroachdb import install
from airflow_cockroachdb.fixes import ALL, async_engine

os.environ.setdefault("AIRFLOW_HOME", tempfile.mkdtemp(prefix="airflow-"))
# Tests in database/ bring a database; the others compile statements and connect to nothing.
os.environ.setdefault(
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "cockroachdb://airflow@localhost:26257/airflow?sslmode=disable"
)
WITHOUT_FIXES = bool(os.environ.get("WITHOUT_FIXES"))
if WITHOUT_FIXES:
    # Without this one there is no process to test in: its proof starts an interpreter of its own.
    install.ALL = async_engine.FIXES

PROOFS = pytest.StashKey[dict[str, dict[str, str]]]()
"""Fix to its proofs: each test's id and what it came to."""


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "proves(fix): fails without the fix of that name (WITHOUT_FIXES=1 shows it)"
    )
    config.stash[PROOFS] = defaultdict(dict)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report = yield
    if report.when == "call":
        for mark in item.iter_markers("proves"):
            item.config.stash[PROOFS][mark.args[0]][item.nodeid] = report.outcome
    return report


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Without the fixes it is the proofs that have to fail."""
    if WITHOUT_FIXES and session.testscollected:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED if unproven(session.config) else pytest.ExitCode.OK


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if not WITHOUT_FIXES:
        return
    proofs = config.stash[PROOFS]
    tests = {name for by_fix in proofs.values() for name in by_fix}
    told = f"{len(proofs)} breakages fixed, each with a test that fails without the fix: {len(tests)} tests"
    for line in unproven(config) or [told]:
        terminalreporter.write_line(f"support package: {line}")


def unproven(config: pytest.Config) -> list[str]:
    """What is wrong with the proofs of the fixes that this Airflow needs."""
    proofs = config.stash[PROOFS]
    needed = [fix.name for fix in ALL if fix.is_for(version("apache-airflow"))]
    faults = [f"fix {name} has no test that proves it" for name in needed if not proofs[name]]
    faults += [
        f"{name} proves no fix: there is none called {name}" for name in proofs.keys() - {f.name for f in ALL}
    ]
    return faults + [
        f"{test} should prove fix {name}, and {outcome} without it"
        for name, tests in proofs.items()
        for test, outcome in tests.items()
        if outcome != "failed"
    ]
