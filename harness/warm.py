"""Stacks that outlive the command that started them: found again by what they are made from, paused in between.

A warm stack is pristine whenever nobody uses it: whoever used it resets it, and pauses it. One that could not be reset
(its user was killed) is reset by the next who takes it. It is used by one session at a time.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from harness import engine, parsing, records, reset
from harness.content import SUBPATH, ContentError
from harness.environment import ContentSource, Environment, working_tree
from harness.labels import Owner
from harness.paths import LAST, ROOT
from harness.prepare import Prepared
from harness.profile import Profile
from harness.progress import stderr_console
from harness.records import Record
from harness.runtime.base import StartError
from harness.runtime.docker import DockerRuntime
from harness.runtime.sweep import remove_stack, stacks
from harness.waits import WaitTimeout, eventually

LIVES_FOR = 2 * 3600
"""Seconds that a warm stack lives after it was last used, unless `itest up --for` says otherwise."""


PARSED_WITHIN = 20
"""Seconds. A changed DAG file is parsed about three seconds after its push."""


class WarmError(RuntimeError):
    """A warm stack cannot do what was asked; the message says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Held:
    """A warm stack in use by this process: pristine when it was handed out."""

    record: Record
    environment: Environment


def up(
    prepared: Prepared,
    content: ContentSource = working_tree,
    lives_for: float = LIVES_FOR,
    profile: Profile | None = None,
) -> Environment:
    """Start a warm stack, and a keeper that ends it when it expires. Raises what `Environment.start` raises."""
    with records.new_stack() as (stack, settings):
        env = Environment.start(
            prepared, records.folder(stack), content, Owner.kept(), profile, stack, settings
        )
    env.take_pristine()
    now = time.time()
    record = Record(
        stack=stack,
        fingerprint=records.fingerprint(prepared),
        topology=prepared.topology.name,
        database=prepared.database,
        condition="dirty",
        revision=env.content.revision,
        created=now,
        expires=now + lives_for,
        lives_for=lives_for,
    ).save()
    record.changed(keeper=_start_keeper(stack))
    return env


def find(prepared: Prepared) -> Record | None:
    """The newest warm stack made from the very same; None when there is none alive."""
    wanted, alive = records.fingerprint(prepared), stacks(engine.client())
    fitting = [r for r in records.all_records() if r.fingerprint == wanted and r.stack in alive]
    return fitting[-1] if fitting else None


def wake(prepared: Prepared, record: Record) -> Environment:
    """A handle on a warm stack, awake, for a person's command; `WarmError` while a test session uses it."""
    with records.locked(record.stack) as free:
        if not free:
            raise WarmError(
                f"{record.stack} is in use by a test session; wait for it, or start another: --fresh"
            )
        env = Environment.attach(prepared, record.stack, record.settings(), record.folder)
        env.wake()
        record.changed(paused=False, condition="dirty")
        return env


@contextmanager
def held(prepared: Prepared, folder: Path = LAST) -> Iterator[Held | None]:
    """Use a warm stack made from the very same, pristine and with the working tree's content, if there is one.

    Yields None where there is none, or another session uses it. Afterwards the stack is reset and paused; one that
    cannot be reset is removed.
    """
    with ExitStack() as stack:
        record = find(prepared)
        if record is None or not stack.enter_context(records.locked(record.stack)):
            yield None
            return
        env = _take(prepared, record, folder)
        if env is None:
            yield None
            return
        try:
            yield Held(records.load(record.stack) or record, env)
        finally:
            _give_back(env)


def _take(prepared: Prepared, record: Record, folder: Path) -> Environment | None:
    """Wake it and make it pristine; None (and it is removed) when that cannot be done."""
    if not _up_still(prepared, record):
        stderr_console().print(f"warm stack {record.stack} has expired or ended, removing it")
        down(record.stack)
        return None
    env = Environment.attach(prepared, record.stack, record.settings(), folder)
    try:
        env.wake()
        was_clean = record.condition == "clean"
        record = record.changed(condition="dirty", paused=False, expires=time.time() + record.lives_for)
        if not was_clean:
            env.reset(record.revision)
        _bring_content(env, record)
    except (reset.ResetError, StartError, ContentError, WaitTimeout) as error:
        stderr_console().print(f"warm stack {record.stack} is of no use any more, removing it: {error}")
        env.close()
        down(record.stack)
        return None
    return env


def _up_still(prepared: Prepared, record: Record) -> bool:
    """Whether it has not expired (its keeper may have died) and all its lasting containers run or sleep."""
    runtime = DockerRuntime(record.stack, prepared.topology, prepared.references, {}, Owner.kept())
    states = runtime.states()
    lasting = prepared.topology.lasting()
    return time.time() < record.expires and all(
        states[s.name].status in ("running", "paused") for s in lasting
    )


def _bring_content(env: Environment, record: Record) -> None:
    """Give it the working tree's content, where that is not what it has; this is its pristine state from then on."""
    revision = env.content.commit_directory(ROOT / SUBPATH)
    if revision == record.revision:
        return
    changed = env.content.changed_dag_files(record.revision, revision)
    since = datetime.now(UTC)
    pushed = working_tree(env.content)
    env.content.deliver(pushed)
    _await_parsed(env, changed, since)
    env.take_pristine()
    record.changed(revision=pushed)


def _await_parsed(env: Environment, files: list[str], since: datetime) -> None:
    """Wait until each of the DAG files was parsed after `since`, or fails to; one that defines no DAG tells neither."""

    with contextlib.suppress(WaitTimeout):
        eventually(
            lambda: not parsing.unparsed(env.database, env.line.tables, files, since),
            "changed DAG files to be parsed",
            PARSED_WITHIN,
        )


def _give_back(env: Environment) -> None:
    record = records.load(env.stack)
    try:
        if record is None or not reset.can_reset(env.prepared.database):
            raise reset.ResetError("it cannot be reset")
        env.reset(record.revision)
        record.changed(condition="clean", paused=env.pause())
    except reset.ResetError as error:
        stderr_console().print(f"warm stack {env.stack} cannot be used again, removing it: {error}")
        down(env.stack)
    finally:
        env.close()


def down(stack: str) -> int:
    """Remove a stack, what is known about it, and its keeper; how many containers, networks and volumes there were."""
    record = records.load(stack)
    if record is not None and record.keeper not in (0, os.getpid()):
        _end(record.keeper, stack)
    count = remove_stack(engine.client(), stack)
    records.forget(stack)
    return count


# ---- the keeper


def _start_keeper(stack: str) -> int:
    """A process of its own session, which outlives this one and its terminal."""
    log = (records.folder(stack) / "keeper.log").open("w")
    with log:
        keeper = subprocess.Popen(
            [sys.executable, "-m", "harness.keeper", stack],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    # It is to outlive us: without this, Popen warns of a process that nobody has waited for.
    keeper.returncode = 0
    return keeper.pid


def _end(pid: int, stack: str) -> None:
    """End a stack's keeper, unless its process id belongs to something else by now."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return
    if stack.encode() in command:
        os.kill(pid, signal.SIGTERM)
