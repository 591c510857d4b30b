"""`Environment`: the one handle on a running stack."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import httpx

from harness import attribution, engine, parsing, records, reset, seeding
from harness.airflow import Airflow, AirflowError
from harness.attribution import Try
from harness.boot import BootReport
from harness.clock import Clock, ClockError
from harness.content import SUBPATH, Content, ContentError, resolve
from harness.database import Database
from harness.history import History
from harness.labels import Owner
from harness.lines.rest import LoginError
from harness.mocks.ledger import Effect
from harness.mocks.readers import MocksControl, MocksUnreachableError
from harness.paths import ROOT
from harness.prepare import Prepared
from harness.profile import Profile
from harness.progress import BootDisplay, stderr_console
from harness.runtime.base import Runtime, StartError, State, Step, not_running
from harness.runtime.docker import DockerRuntime
from harness.runtime.sweep import sweep_stale
from harness.services import clock, database, gateway, git, mocks, redis
from harness.services.airflow import API_PORT
from harness.settings import StackSettings, new_stack_name
from harness.topology import Service, Topology, fill
from harness.waits import WaitTimeout, eventually
from harness.watcher import Events, Watcher

ADMIN = "admin"
READY_WITHIN = 120
"""Seconds from the last component's announcement to its heartbeat, and from there to the last DAG file's parse, on a
busy machine."""
RESET_WITHIN = 15
"""Seconds after which a reset is given up and the stack counts as lost; it takes one or two."""
LAST_WORDS = 25
"""Lines of the log of a container that has ended: where Python tells what ended it."""

ContentSource = Callable[[Content], str]
"""Pushes the stack's first content and returns its revision."""


def without_content(topology: Topology) -> tuple[Service, ...]:
    """What of the infrastructure has to be up before content can be pushed: all but what runs once."""
    return tuple(s for s in topology.infrastructure if not s.one_shot)


def working_tree(content: Content) -> str:
    """Push the checkout's ``content/`` as it lies on disk."""
    return content.push_directory(ROOT / SUBPATH)


def at_revision(revision: str) -> ContentSource:
    """Push the content of a commit, tag or branch of the checkout's repository; raises `ContentError` at once."""
    commit = resolve(ROOT, revision)
    return lambda content: content.push_revision(ROOT, commit)


class Environment:
    """One running stack: `airflow`, `content`, `mocks` (and its `slack`, `sheets`, `s3`, `ic`), `runtime`.

    Made by `start`, which boots a stack, or `attach`, which takes one that runs. With a `tenant`, what it triggers
    carries the tenant's mark, and the mocks show and change that tenant's world alone.
    """

    def __init__(
        self,
        prepared: Prepared,
        runtime: Runtime,
        settings: StackSettings,
        history: History,
        events: Events | None = None,
        tenant: str = "",
    ) -> None:
        self.prepared = prepared
        self.topology: Topology = prepared.topology
        self.line = prepared.line
        self.runtime = runtime
        self.settings = settings
        self.history = history
        self.tenant = tenant
        syncers = {pod.name: pod.syncer_name for pod in self.topology.pods}
        credentials = (git.USER, settings.placeholders["ITEST_GIT_TOKEN"])
        origin = f"{self._url(git.NAME, git.PORT)}/{git.REPOSITORY}"
        self.content = Content(runtime, syncers, origin, credentials, history.record)
        self.mocks = MocksControl(self._url(mocks.NAME, mocks.CONTROL_PORT), tenant)
        user, password = prepared.login
        self.database = Database(
            *runtime.address(database.NAME, database.PORT), user, fill(password, settings.placeholders)
        )
        self._watcher = None if events else Watcher(self.database.rows, self.line.tables)
        self.airflow = Airflow(
            self.line.rest,
            self._url(self.line.api_server, API_PORT),
            ADMIN,
            settings.placeholders["ITEST_ADMIN_PASSWORD"],
            history.record,
            events or self.watcher,
            tenant,
        )

        self._clock = self._make_clock() if prepared.options.clock else None

    def _make_clock(self) -> Clock:
        return Clock(
            self._url(clock.NAME, clock.PORT),
            self.database,
            self.runtime,
            self.topology,
            self.settings.placeholders["ITEST_FERNET_KEY"],
            self.history.record,
            self.mocks.next_due,
            say=lambda text: stderr_console().print(text),
        )

    @property
    def clock(self) -> Clock:
        """The stack's virtual clock; raises `ClockError` on a stack that lives in real time."""
        if self._clock is None:
            raise ClockError(
                "this stack lives in real time; mark the test private_stack(clock=True), or use --clock"
            )
        return self._clock

    def _url(self, service: str, port: int) -> str:
        host, forwarded = self.runtime.address(service, port)
        return f"http://{host}:{forwarded}"

    @property
    def stack(self) -> str:
        return self.runtime.stack

    @property
    def watcher(self) -> Watcher:
        """The stack's watcher; only the handle that watches for all others has it."""
        if self._watcher is None:
            raise RuntimeError("another process watches this stack")
        return self._watcher

    # ---- life

    @classmethod
    def start(
        cls,
        prepared: Prepared,
        folder: Path,
        content: ContentSource = working_tree,
        owner: Owner | None = None,
        profile: Profile | None = None,
        stack: str | None = None,
        settings: StackSettings | None = None,
    ) -> Environment:
        """Boot a stack that belongs to `owner` (this process). Its history and logs go to `folder`.

        Sweeps what dead processes left first. Whatever goes wrong, Ctrl-C too, nothing is left running.
        Raises `StartError` and `ContentError`.
        """
        for swept in sweep_stale(engine.client()):
            records.forget(swept)
        stack = stack or new_stack_name()
        settings = settings or StackSettings.generate(stack)
        owner = owner or Owner.this_process()
        runtime = DockerRuntime(stack, prepared.topology, prepared.references, settings.placeholders, owner)
        history = History(folder / "history.jsonl")
        history.record("start", stack=stack, topology=prepared.topology.name, database=prepared.database)
        try:
            return cls._boot(prepared, runtime, settings, history, content, profile)
        except BaseException:
            try:
                save_logs(runtime, folder / "logs", settings.secrets)
            finally:
                runtime.remove()
                history.close()
            raise

    @classmethod
    def _boot(
        cls,
        prepared: Prepared,
        runtime: DockerRuntime,
        settings: StackSettings,
        history: History,
        content: ContentSource,
        profile: Profile | None,
    ) -> Environment:
        services = prepared.topology.services()
        since = datetime.now(UTC)
        made: list[Environment] = []

        def push() -> None:
            made.append(cls(prepared, runtime, settings, history))
            made[0].content.wait_for_origin()
            content(made[0].content)

        steps = (
            Step(
                "content",
                push,
                frozenset({git.NAME, gateway.NAME}),
                frozenset(p.init_name for p in prepared.topology.pods),
            ),
            Step(
                "settings",
                lambda: seeding.seed(made[0].airflow, settings),
                frozenset({prepared.line.api_server}),
            ),
        )
        one_shots = frozenset(s.name for s in services if s.one_shot)
        try:
            with BootDisplay(f"Starting stack {runtime.stack}", len(services) + len(steps) + 1) as display:
                report = BootReport(display, history.record, one_shots, profile)
                runtime.start(services, report, steps)
                report("heartbeats", "starting")
                made[0].await_ready(since)
                report("heartbeats", "ready")
        except BaseException:
            for env in made:
                env.close()
            raise
        return made[0]

    def await_ready(self, since: datetime) -> None:
        """Wait until each component has beaten after `since`, and every DAG file was parsed; raises `StartError`."""
        if not self.watcher.ready(since, READY_WITHIN):
            raise StartError(
                f"not every component's heartbeat came within {READY_WITHIN} s: {json.dumps(self.airflow.health())}"
            )
        files = self.content.dag_files()
        try:
            parsing.await_parsed(
                lambda: parsing.unparsed(self.database, self.line.tables, files),
                lambda: parsing.is_parsing(self.runtime, self.line.parser),
                READY_WITHIN,
            )
        except WaitTimeout as error:
            raise StartError(str(error)) from error

    @classmethod
    def attach(
        cls,
        prepared: Prepared,
        stack: str,
        settings: StackSettings,
        folder: Path,
        events: Events | None = None,
        tenant: str = "",
    ) -> Environment:
        """A handle on a stack that runs already. `events` of another process spare it a watcher of its own."""
        runtime = DockerRuntime(
            stack, prepared.topology, prepared.references, settings.placeholders, Owner.kept()
        )
        return cls(prepared, runtime, settings, History(folder / "history.jsonl"), events, tenant)

    def close(self) -> None:
        """Let go of the stack without ending it."""
        if self._watcher is not None:
            self._watcher.close()
        self.airflow.close()
        self.content.close()
        self.mocks.close()
        self.database.close()
        if self._clock is not None:
            self._clock.close()
        self.history.close()

    def stop(self, folder: Path) -> None:
        """Save the logs below `folder` and remove the stack."""
        try:
            save_logs(self.runtime, folder / "logs", self.settings.secrets)
            self._keep_journal()
            self.history.record("stop", stack=self.stack)
        except MocksUnreachableError as error:
            self.history.record("journal_lost", reason=str(error))
        finally:
            self.runtime.remove()
            self.close()

    def pause(self) -> bool:
        """Freeze every container; they keep their memory and use no CPU. False where the engine cannot do it now."""
        parsing.freeze_between_parses(self.runtime, self.line.parser)
        return self.runtime.pause_all()

    def wake(self) -> None:
        """Undo `pause`."""
        self.runtime.unpause_all()

    # ---- tenancy

    def for_tenant(self, tenant: str) -> Environment:
        """The same stack as `tenant` meets it. To be left with `leave`; `close` is for the handle it was made of."""
        other = copy.copy(self)
        other.tenant = tenant
        other.mocks = self.mocks.for_tenant(tenant)
        other.airflow = Airflow(
            self.airflow.rest,
            self.airflow.base_url,
            ADMIN,
            self.settings.placeholders["ITEST_ADMIN_PASSWORD"],
            self.history.record,
            self.airflow.events,
            tenant,
        )
        return other

    def leave(self) -> None:
        """End a tenancy: its world is gone, its journal is in the history."""
        self.reset_mocks()
        self.airflow.close()

    def add_dag(self, dag_id: str, source: str) -> str:
        """Push a DAG file of the test's own, and wait until it is parsed. Returns the id that the DAG has here.

        `source` is its text; wherever the word `dag_id` stands in it, the tenant's own id is put, so that tests that
        share a stack can bring DAGs of the same name.
        """
        own = f"{dag_id}_{self.tenant}" if self.tenant else dag_id
        text = re.sub(rf"\b{re.escape(dag_id)}\b", own, source)
        revision = self.content.push_changes({f"dags/{own}.py": text}, f"DAG {own}")
        self.content.poke()
        self.content.wait_until_contained(revision)
        self.airflow.wait_for_dag(own)
        return own

    # ---- back to pristine

    def reset_mocks(self) -> None:
        """Make the mocks forget everything (of the tenant); what they saw goes to the history first."""
        self._keep_journal()
        self.mocks.reset()

    def take_pristine(self) -> None:
        """Make what the stack is now the state that `reset` brings it back to."""
        reset.take(self.database, self.line.tables)

    def reset(self, revision: str) -> None:
        """Bring everything back to what it was at `take_pristine`, when the content was `revision`, and prove it.

        Database, content, queues and mocks; what runs is stopped. A virtual clock stays where it was moved to: it
        cannot go back, and a pristine stack may as well have been idle until then. Raises `ResetError`: a fresh stack
        is needed then, as where a container has ended.
        """
        self.history.record("reset", stack=self.stack)
        ended = self._ended(self.runtime.states())
        if ended:
            told = ", ".join(f"{name} is {state}" for name, state in ended.items())
            raise reset.ResetError(f"not all of the stack runs: {told}")
        self._keep_journal()
        try:
            for pod, served in self.content.pods().items():
                if served.held:
                    self.content.release(pod)
            if self.content.revision != revision:
                self.content.restore(revision)
            reset.restore(self.database, RESET_WITHIN)
            left: list[str] = []

            def pristine() -> bool:
                left[:] = self._differences(revision)
                return not left

            eventually(pristine, "the stack to be pristine", RESET_WITHIN, 0.1, lambda: "\n".join(left))
        except (WaitTimeout, ContentError) as error:
            raise reset.ResetError(str(error)) from error
        self.history.record("pristine", stack=self.stack)

    def _differences(self, revision: str) -> list[str]:
        """Clear what can be cleared at once, and tell what is not as it was."""
        queued = self.runtime.exec(redis.NAME, list(redis.EMPTY_QUEUES)).output.split()
        self.mocks.reset()
        differences = reset.differences(self.database, self.line.tables)
        if differences:
            reset.restore(self.database, RESET_WITHIN)
        found = [*differences, *self.mocks.pristine().why]
        if any(count != "0" for count in queued):
            found.append(f"the broker held {queued} messages and results")
        return found

    def ledger(self) -> list[Effect]:
        """The outward side effects so far, oldest first; Airflow's records tell the tasks that the pods could not."""
        found = self.mocks.ledger()
        if not attribution.needed(found):
            return found
        tries = [Try(*row) for row in self.database.rows(attribution.TRIES)]
        return attribution.attribute(
            found, [one for one in tries if self.tenant in f"{one.run_id} {one.dag_id}"]
        )

    def _keep_journal(self) -> None:
        for request in self.mocks.journal():
            facts = {**asdict(request), "time": request.time.isoformat()}
            facts["what"] = facts.pop("kind")
            self.history.record("request", **facts)

    # ---- looking

    def deferrals(self) -> dict[str, int]:
        """Run id to how often its tasks have deferred themselves, by Airflow's own records."""
        return dict(self.database.rows(self.line.tables.deferrals))

    def diagnose(self) -> str:
        """What a person wants to see after a failure: pods' health, the revision each serves, the last words of
        containers that have ended, DAG errors."""
        revisions = self.content.pods()
        lines = ["Pods (state; revision served; the syncer's last error):"]
        states = self.runtime.states()
        for pod in self.topology.pods:
            served = revisions[pod.name]
            error = f"; {served.last_error}" if served.last_error else ""
            lines.append(f"  {pod.name}: {states[pod.name]}; {served.revision[:12] or 'nothing'}{error}")
        lines += [f"  {s.name}: {states[s.name]}" for s in self.topology.infrastructure]
        for name in self._ended(states):
            said = mask(self.runtime.logs(name, LAST_WORDS), self.settings.secrets).rstrip()
            lines.append(f"The last {LAST_WORDS} lines of {name}, which does not run:\n{said}")
        try:
            for name, trace in self.airflow.import_errors().items():
                lines.append(f"Import error in {name}:\n{trace}")
        except (AirflowError, LoginError, httpx.HTTPError) as error:
            lines.append(f"Airflow's API does not tell of DAG errors: {error}")
        return "\n".join(lines)

    def _ended(self, states: dict[str, State]) -> dict[str, State]:
        return not_running(states, [s.name for s in self.topology.lasting()])


def save_logs(runtime: Runtime, folder: Path, secrets: tuple[str, ...]) -> None:
    """Write each container's log to ``<folder>/<service>.log``, with the stack's secrets masked."""
    folder.mkdir(parents=True, exist_ok=True)
    for service, state in runtime.states().items():
        if state.status != "missing":
            (folder / f"{service}.log").write_text(mask(runtime.logs(service), secrets))


def mask(text: str, secrets: tuple[str, ...]) -> str:
    """`text` with every secret replaced by three stars; line breaks in secrets may be written as ``\\n``."""
    for secret in secrets:
        for form in (secret, secret.replace("\n", "\\n")):
            text = text.replace(form, "***")
    return text
