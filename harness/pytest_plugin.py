"""The pytest plugin: fixtures `env`, `slack`, `sheets`, `s3`, `ic` on a mirror that boots once a session.

A failed test that used the mirror shows the pods' health, the revision each served, and where the logs are.
Each pytest-xdist worker boots a stack of its own.
"""

from __future__ import annotations

import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from rich.console import Console

from harness import prepare, report
from harness.content import ContentError
from harness.engine import EngineError
from harness.environment import Environment
from harness.images import ImageError
from harness.mocks.readers import IcReader, S3Reader, SheetsReader, SlackReader
from harness.paths import LAST
from harness.prepare import OptionError
from harness.progress import stderr_console
from harness.runtime.base import StartError

BOOT_FAILED = 3
"""Pytest's own code for "internal error": no verdict about any test."""

MIRROR = pytest.StashKey["Mirror"]()


@dataclass
class Mirror:
    """The session's stack, once a test has asked for it, and what its mocks had counted before resets."""

    folder: Path
    environment: Environment | None = None
    earlier: report.Tally = field(default_factory=report.Tally)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("itest", "the mirror")
    group.addoption("--topology", help="which topology to boot (ITEST_TOPOLOGY)")
    group.addoption("--registry", help="auto, always or never pull images (ITEST_REGISTRY)")
    group.addoption(
        "--require-cockroachdb", action="store_true", help="fail rather than run on the stand-in database"
    )


def pytest_configure(config: pytest.Config) -> None:
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    config.stash[MIRROR] = Mirror(LAST / worker if worker else LAST)
    if threading.current_thread() is threading.main_thread():
        # Pipelines cancel with SIGTERM: end as at Ctrl-C, so that fixtures remove what they started.
        signal.signal(signal.SIGTERM, signal.default_int_handler)


@pytest.fixture(scope="session")
def mirror(
    request: pytest.FixtureRequest, record_testsuite_property: Callable[[str, object], None]
) -> Iterator[Environment]:
    """The session's stack, shared by all its tests. Tests use `env`. JUnit says what it ran on."""
    config = request.config
    own = config.stash[MIRROR]
    database = "cockroachdb" if config.getoption("--require-cockroachdb") else None
    options = prepare.Options.from_environment(
        topology=config.getoption("--topology"),
        registry=config.getoption("--registry"),
        database=database,
    )
    for old in ("history.jsonl", report.FILE):
        (own.folder / old).unlink(missing_ok=True)
    shutil.rmtree(own.folder / "logs", ignore_errors=True)
    capture = config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        own.environment = _boot(options, own.folder)
    for name, value in own.environment.prepared.facts().items():
        record_testsuite_property(name, value)
    try:
        yield own.environment
        report.make(own.environment, own.earlier).save(own.folder)
    finally:
        own.environment.stop(own.folder)
        own.environment = None


def _boot(options: prepare.Options, folder: Path) -> Environment:
    """Boot the session's stack. Without one no test can run, so a failure ends the session, told once."""
    try:
        prepared = prepare.decide(options)
        prepare.obtain(prepared)
        stderr_console().print(f"\n{prepared.banner()}")
        return Environment.start(prepared, folder)
    except (EngineError, OptionError, ImageError) as error:
        pytest.exit(str(error), returncode=BOOT_FAILED)
    except (StartError, ContentError) as error:
        pytest.exit(
            f"the mirror did not start: {error}\nFull logs: {folder / 'logs'}", returncode=BOOT_FAILED
        )


@pytest.fixture
def env(mirror: Environment, request: pytest.FixtureRequest) -> Environment:
    """The mirror, with mocks that have seen nothing yet."""
    own = request.config.stash[MIRROR]
    own.earlier += report.mocks_tally(mirror)
    mirror.reset_mocks()
    mirror.history.record("test", nodeid=request.node.nodeid)
    return mirror


@pytest.fixture
def slack(env: Environment) -> SlackReader:
    """What was posted to Slack during this test."""
    return env.mocks.slack


@pytest.fixture
def sheets(env: Environment) -> SheetsReader:
    """The spreadsheets that Google serves to the pods."""
    return env.mocks.sheets


@pytest.fixture
def s3(env: Environment) -> S3Reader:
    """The object store that holds the task logs."""
    return env.mocks.s3


@pytest.fixture
def ic(env: Environment) -> IcReader:
    """The Internet Computer: registry, proposals, alerts."""
    return env.mocks.ic


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Add the mirror's state to the report of a test that failed on it."""
    outcome = yield
    result = outcome.get_result()  # type: ignore[attr-defined]
    own = item.config.stash[MIRROR]
    if not result.failed or own.environment is None or "env" not in getattr(item, "fixturenames", ()):
        return
    try:
        text = own.environment.diagnose()
    except Exception as error:
        text = f"(the mirror could not be asked: {error})"
    result.sections.append(
        ("mirror", f"{text}\nFull logs: {own.folder / 'logs'} (written when the session ends)")
    )
    own.environment.history.record("test_failed", nodeid=item.nodeid)


def pytest_terminal_summary(config: pytest.Config) -> None:
    """Print the table of what ran, for this session's stacks."""
    if os.environ.get("PYTEST_XDIST_WORKER"):
        return
    began = config.stash[BEGAN]
    found = [p for p in LAST.glob(f"**/{report.FILE}") if p.stat().st_mtime >= began]
    report.show(map(report.Report.load, sorted(found)), Console(highlight=False))


BEGAN = pytest.StashKey[float]()


def pytest_sessionstart(session: pytest.Session) -> None:
    LAST.mkdir(parents=True, exist_ok=True)
    marker = LAST / ".began"
    marker.touch()
    session.config.stash[BEGAN] = marker.stat().st_mtime
