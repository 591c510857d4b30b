"""The pytest plugin: fixtures `env`, `slack`, `sheets`, `s3`, `ic` on a mirror that boots when the first test asks.

Tests share one stack, each in a tenancy of its own: what it triggers carries its mark, and the mocks show it its own
world. A test that pushes content, breaks things or changes settings is marked `private_stack` and gets a stack for
itself. With pytest-xdist the controller owns the stacks, and the workers attach to them. A failed test shows the pods'
health, the revision each served, and where the logs are.
"""

from __future__ import annotations

import os
import shutil
import signal
import threading
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from _pytest.junitxml import xml_key
from rich.console import Console

from harness import audit, egress, prepare, records, report, statement_log
from harness.content import ContentError
from harness.engine import EngineError
from harness.environment import Environment
from harness.hub import Hub, HubClient, HubError
from harness.images import ImageError
from harness.mocks.readers import IcReader, MocksControl, S3Reader, SheetsReader, SlackReader
from harness.mocks.tenancy import new_tenant
from harness.paths import LAST
from harness.prepare import OptionError, Prepared
from harness.progress import stderr_console
from harness.releases import LineName, line_name
from harness.runtime.base import StartError
from harness.sessions import Session, Stacks

BOOT_FAILED = 3
"""Pytest's own code for "internal error": no verdict about any test."""

OWNED = pytest.StashKey["Owned"]()
ATTACHED = pytest.StashKey["Attached"]()
SEEN = pytest.StashKey[int]()
"""The last entry of the mocks' journal before the test."""


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("itest", "the mirror")
    group.addoption("--airflow", help="which version of Airflow, such as 2.11 (ITEST_AIRFLOW)")
    group.addoption("--topology", help="which topology to boot (ITEST_TOPOLOGY)")
    group.addoption("--registry", help="auto, always or never pull images (ITEST_REGISTRY)")
    group.addoption(
        "--require-cockroachdb", action="store_true", help="fail rather than run on the stand-in database"
    )
    group.addoption(
        "--fresh", action="store_true", help="boot a stack, even if `itest up` keeps one that fits"
    )
    group.addoption("--faithful", action="store_true", help="production's settings instead of quick ones")
    group.addoption("--clock", action="store_true", help="a virtual clock, which can be moved forward")
    group.addoption("--inject-serialization-failures", metavar="PERCENT", help="COMMITs that fail with 40001")


def options_of(config: pytest.Config) -> prepare.Options:
    """What the command line and the environment ask for; raises `OptionError`."""
    return prepare.Options.from_environment(
        airflow=config.getoption("--airflow"),
        topology=config.getoption("--topology"),
        registry=config.getoption("--registry"),
        database="cockroachdb" if config.getoption("--require-cockroachdb") else None,
        faithful=config.getoption("--faithful") or None,
        clock=config.getoption("--clock") or None,
        failures=config.getoption("--inject-serialization-failures"),
    )


# ---- the process that owns the stacks: pytest itself, or pytest-xdist's controller


class Owned:
    """The session's stacks, once a test has asked for one."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._lock = threading.Lock()
        self._session: Session | None = None
        self.hub: Hub | None = None
        self.reports: list[report.Report] = []
        self.audited: audit.Verdict | None = None
        self.egress = egress.EgressLog()

    @property
    def session(self) -> Session:
        """Decides what runs when it is first used; raises what that raises."""
        with self._lock:
            if self._session is None:
                self._session = self._make()
            return self._session

    def _make(self) -> Session:
        for old in ("history.jsonl", report.FILE):
            (LAST / old).unlink(missing_ok=True)
        for folder in ("logs", statement_log.FOLDER):
            shutil.rmtree(LAST / folder, ignore_errors=True)
        prepared = prepare.decide(options_of(self._config))
        prepare.obtain(prepared)
        stderr_console().print(f"\n{prepared.banner()}")
        self._tell_junit(prepared)
        return Session(prepared, LAST, fresh=self._config.getoption("--fresh"))

    def _tell_junit(self, prepared: Prepared) -> None:
        xml = self._config.stash.get(xml_key, None)
        if xml is not None:
            for name, value in prepared.facts().items():
                xml.add_global_property(name, value)

    def serve(self) -> str:
        """Make the stacks available to other processes; the address to reach them at."""
        if self.hub is None:
            self.hub = Hub(_Lazy(self))  # type: ignore[arg-type]
        return self.hub.address

    def finish(self) -> None:
        """End what was started, after counting what it ran."""
        if self._session is not None:
            self.reports = self._session.finish()
            self.audited = self._session.audited
            report.save_egress(self.egress.lines, LAST)
        if self.hub is not None:
            self.hub.close()


class _Lazy:
    """Decides what runs only when a worker asks: a session of unit tests needs no engine."""

    def __init__(self, owned: Owned) -> None:
        self._owned = owned

    def __getattr__(self, name: str) -> Any:
        return getattr(self._owned.session, name)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "private_stack(clock=False, topology=''): needs a mirror for itself, pristine; with a virtual clock or "
        "of another topology if asked",
    )
    config.addinivalue_line(
        "markers", f"{egress.MARKER}(*patterns): may try to reach these hosts, or HOST:PORT, in vain"
    )
    config.addinivalue_line("markers", "only_on(line, reason): needs what only this line of Airflow has")
    config.addinivalue_line("markers", "slow_on(line, reason): is slow on this line of Airflow only")
    config.addinivalue_line(
        "markers", "starts_first: takes so long that all other tests should run beside it"
    )
    if not hasattr(config, "workerinput"):
        config.stash[OWNED] = Owned(config)
        config.pluginmanager.register(config.stash[OWNED].egress)
    if threading.current_thread() is threading.main_thread():
        # Pipelines cancel with SIGTERM: end as at Ctrl-C, so that fixtures remove what they started.
        signal.signal(signal.SIGTERM, signal.default_int_handler)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark as slow what is slow on the line of Airflow that was asked for."""
    for heavy in item.iter_markers("slow_on"):
        if _line(item) in heavy.args:
            item.add_marker(pytest.mark.slow)


def _line(item: pytest.Item) -> LineName:
    """The line of Airflow that was asked for."""
    return line_name(options_of(item.config).airflow)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever the order is, the longest tests come first: a session takes at least as long as they do."""
    items.sort(key=lambda item: item.get_closest_marker("starts_first") is None)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test that needs another line of Airflow, before it gets a mirror."""
    for needed in item.iter_markers("only_on"):
        if _line(item) not in needed.args:
            pytest.skip(f"Airflow {_line(item)}: {needed.kwargs['reason']}")


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """pytest-xdist: tell a worker where the stacks are."""
    node.workerinput["itest_hub"] = node.config.stash[OWNED].serve()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """pytest-xdist: a worker is gone, also by a crash; others may have what it held."""
    owned = node.config.stash[OWNED]
    if owned._session is not None:
        owned._session.give_back_all(node.gateway.id)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    if OWNED in session.config.stash:
        owned = session.config.stash[OWNED]
        owned.finish()
        if owned.audited and owned.audited.new and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(config: pytest.Config) -> None:
    """Print the table of what ran, for this session's stacks, and what their databases were sent."""
    if OWNED in config.stash:
        owned = config.stash[OWNED]
        report.show(owned.reports, Console(highlight=False))
        told = Console(highlight=False, soft_wrap=True)
        report.show_egress(owned.egress.lines, owned.reports, told)
        if owned.audited is not None:
            told.print("\n".join(owned.audited.lines()), markup=False)


# ---- the process that runs tests


@dataclass
class Attached:
    """A test process's handles on the session's stacks, by name; each is made once."""

    stacks: Stacks
    prepared: Prepared
    folder: Path
    holder: str
    _handles: dict[str, Environment] = field(default_factory=dict)

    def to(self, stack: str, clock: bool = False, topology: str = "") -> Environment:
        """The handle on a stack that was handed out, as it was asked for."""
        if stack not in self._handles:
            settings = records.settings(stack)
            self._handles[stack] = Environment.attach(
                prepare.varied(self.prepared, clock, topology),
                stack,
                settings,
                self.folder,
                self.stacks.events(stack),
            )
        return self._handles[stack]

    def close(self) -> None:
        for handle in self._handles.values():
            handle.close()


@pytest.fixture(scope="session")
def attached(request: pytest.FixtureRequest) -> Iterator[Attached]:
    """How this process reaches the session's stacks."""
    config = request.config
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    try:
        if worker:
            client = HubClient(config.workerinput["itest_hub"])  # type: ignore[attr-defined]
            own = Attached(client, prepare.decide(options_of(config)), LAST / worker, worker)
        else:
            session = config.stash[OWNED].session
            own = Attached(session, session.prepared, LAST, "pytest")
    except (EngineError, OptionError, ImageError) as error:
        pytest.exit(str(error), returncode=BOOT_FAILED)
    yield own
    own.close()


def _hand_out(attached: Attached, config: pytest.Config, private: pytest.Mark | None) -> Environment:
    """A stack's handle; for the marker `private`, one of the test's own.

    Without one no test can run, so a failure ends the session, told once.

    A worker of pytest-xdist must not end the session: there every test fails, each at once.
    """
    capture = config.pluginmanager.getplugin("capturemanager")
    try:
        with capture.global_and_fixture_disabled():
            stacks = attached.stacks
            if private is None:
                return attached.to(stacks.shared())
            kind = bool(private.kwargs.get("clock", False)), str(private.kwargs.get("topology", ""))
            return attached.to(stacks.lease(attached.holder, *kind), *kind)
    except (EngineError, OptionError, ImageError, StartError, ContentError, HubError) as error:
        told = f"the mirror did not start: {error}\nFull logs: {LAST / 'logs'}"
        if isinstance(error, HubError):
            pytest.fail(told, pytrace=False)
        pytest.exit(told, returncode=BOOT_FAILED)


@pytest.fixture(scope="session")
def prepared(attached: Attached) -> Prepared:
    """What the session's stacks are made from."""
    return attached.prepared


@pytest.fixture
def env(attached: Attached, request: pytest.FixtureRequest) -> Iterator[Environment]:
    """The mirror as this test meets it: in a tenancy of its own, or (marked `private_stack`) all of it."""
    private = request.node.get_closest_marker("private_stack")
    handle = _hand_out(attached, request.config, private)
    mine = handle if private else handle.for_tenant(new_tenant())
    mine.history.record("test", nodeid=request.node.nodeid, stack=mine.stack, tenant=mine.tenant)
    seen = mine.mocks.journal()
    request.node.stash[SEEN] = seen[-1].seq if seen else 0
    try:
        yield mine
    finally:
        if private:
            attached.stacks.give_back(mine.stack)
        else:
            mine.leave()


@pytest.fixture
def slack(env: Environment) -> SlackReader:
    """What was posted to Slack during this test."""
    return env.mocks.slack


@pytest.fixture
def unit_mocks() -> Iterator[MocksControl]:
    """The same fakes without a mirror, for content's unit tests: they answer requests, httpx and boto3."""
    # moto takes a second to import, which only who asks for it should wait for.
    from harness.mocks.unit import unit_mocks as started

    with started() as mocks:
        yield mocks


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


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Fail a test whose pods tried to reach what nobody mocks, unless it said so."""
    since = item.stash.get(SEEN, 0)
    try:
        result = yield
    except BaseException:
        egress.judge(item, since)
        raise
    refused = egress.judge(item, since)
    if refused:
        pytest.fail(egress.complaint(refused), pytrace=False)
    return result


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Add the mirror's state to the report of a test that failed on it."""
    outcome = yield
    result = outcome.get_result()  # type: ignore[attr-defined]
    own = getattr(item, "funcargs", {}).get("env")
    if not result.failed or result.when != "call" or own is None:
        return
    try:
        text = own.diagnose()
    except Exception as error:
        text = f"(the mirror could not be asked: {error})"
    logs = LAST / "private-*" / "logs" if item.get_closest_marker("private_stack") else LAST / "logs"
    result.sections.append(("mirror", f"{text}\nFull logs: {logs} (written when the session ends)"))
    own.history.record("test_failed", nodeid=item.nodeid)
