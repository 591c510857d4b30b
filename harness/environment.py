"""`Environment`: the one handle on a running stack."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from harness import engine, seeding
from harness.airflow import Airflow
from harness.content import SUBPATH, Content, resolve
from harness.history import History
from harness.labels import Owner
from harness.mocks.readers import MocksControl, MocksUnreachableError
from harness.paths import ROOT
from harness.prepare import Prepared
from harness.progress import BootDisplay
from harness.runtime.base import Runtime
from harness.runtime.docker import DockerRuntime
from harness.runtime.sweep import sweep_stale
from harness.services import airflow3, git, mocks
from harness.settings import StackSettings, new_stack_name
from harness.topology import Topology

ADMIN = "admin"
NEEDS_CONTENT = frozenset({"migrate"})
"""Infrastructure that need not be up before content can be pushed."""

ContentSource = Callable[[Content], str]
"""Pushes the stack's first content and returns its revision."""


def working_tree(content: Content) -> str:
    """Push the checkout's ``content/`` as it lies on disk."""
    return content.push_directory(ROOT / SUBPATH)


def at_revision(revision: str) -> ContentSource:
    """Push the content of a commit, tag or branch of the checkout's repository; raises `ContentError` at once."""
    commit = resolve(ROOT, revision)
    return lambda content: content.push_revision(ROOT, commit)


class Environment:
    """One running stack: `airflow`, `content`, `mocks` (and its `slack`, `sheets`, `s3`, `ic`), `runtime`.

    Made by `start`, which boots a stack of its own, or `attach`, which takes one that compose started.
    """

    def __init__(
        self, prepared: Prepared, runtime: Runtime, settings: StackSettings, history: History
    ) -> None:
        self.prepared = prepared
        self.topology: Topology = prepared.topology
        self.runtime = runtime
        self.settings = settings
        self.history = history
        syncers = {pod.name: pod.syncer_name for pod in self.topology.pods}
        credentials = (git.USER, settings.placeholders["ITEST_GIT_TOKEN"])
        origin = f"{self._url(git.NAME, git.PORT)}/{git.REPOSITORY}"
        self.content = Content(runtime, syncers, origin, credentials, history.record)
        self.mocks = MocksControl(self._url(mocks.NAME, mocks.CONTROL_PORT))
        self.airflow = Airflow(
            self._url("api-server", airflow3.API_PORT),
            ADMIN,
            settings.placeholders["ITEST_ADMIN_PASSWORD"],
            history.record,
        )

    def _url(self, service: str, port: int) -> str:
        host, forwarded = self.runtime.address(service, port)
        return f"http://{host}:{forwarded}"

    @property
    def stack(self) -> str:
        return self.runtime.stack

    # ---- life

    @classmethod
    def start(cls, prepared: Prepared, folder: Path, content: ContentSource = working_tree) -> Environment:
        """Boot a stack that belongs to this process. Its history and logs go to `folder`.

        Sweeps what dead processes left first. Whatever goes wrong, Ctrl-C too, nothing is left running.
        Raises `StartError` and `ContentError`.
        """
        sweep_stale(engine.client())
        stack = new_stack_name()
        settings = StackSettings.generate(stack)
        owner = Owner.this_process()
        runtime = DockerRuntime(stack, prepared.topology, prepared.references, settings.placeholders, owner)
        history = History(folder / "history.jsonl")
        history.record("start", stack=stack, topology=prepared.topology.name, database=prepared.database)
        try:
            return cls._boot(prepared, runtime, settings, history, content)
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
    ) -> Environment:
        services = prepared.topology.services()
        first = [s for s in prepared.topology.infrastructure if s.name not in NEEDS_CONTENT]
        rest = [s for s in services if s not in first]
        with BootDisplay(f"Starting stack {runtime.stack}", len(services)) as display:

            def report(service: str, what: str) -> None:
                history.record("service", service=service, what=what)
                display.report(service, what)

            runtime.start(first, report)
            env = cls(prepared, runtime, settings, history)
            try:
                content(env.content)
                runtime.start(rest, report)
                seeding.seed(env.airflow, settings)
            except BaseException:
                env.close()
                raise
        return env

    @classmethod
    def attach(cls, prepared: Prepared, stack: str, settings: StackSettings, folder: Path) -> Environment:
        """A handle on a stack that runs already, such as one that compose started."""
        runtime = DockerRuntime(
            stack, prepared.topology, prepared.references, settings.placeholders, Owner.kept()
        )
        return cls(prepared, runtime, settings, History(folder / "history.jsonl"))

    def close(self) -> None:
        """Let go of the stack without ending it."""
        self.airflow.close()
        self.content.close()
        self.mocks.close()
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

    def reset_mocks(self) -> None:
        """Make the mocks forget everything; what they saw goes to the history first."""
        self._keep_journal()
        self.mocks.reset()

    def _keep_journal(self) -> None:
        for request in self.mocks.journal():
            facts = {**asdict(request), "time": request.time.isoformat()}
            facts["what"] = facts.pop("kind")
            self.history.record("request", **facts)

    # ---- looking

    def diagnose(self) -> str:
        """What a person wants to see after a failure: pods' health, the revision each serves, DAG errors."""
        revisions = self.content.pods()
        lines = ["Pods (state; revision served; the syncer's last error):"]
        states = self.runtime.states()
        for pod in self.topology.pods:
            served = revisions[pod.name]
            error = f"; {served.last_error}" if served.last_error else ""
            lines.append(f"  {pod.name}: {states[pod.name]}; {served.revision[:12] or 'nothing'}{error}")
        lines += [f"  {s.name}: {states[s.name]}" for s in self.topology.infrastructure]
        for name, trace in self.airflow.import_errors().items():
            lines.append(f"Import error in {name}:\n{trace}")
        return "\n".join(lines)


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
