"""A stack whose Airflow is exchanged: the pods of one image go, those of another come; database, broker, mocks stay."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import cast

from harness import parsing, prepare
from harness.content import Content
from harness.environment import ContentSource, Environment, save_logs
from harness.history import History
from harness.labels import Owner
from harness.prepare import Options, Prepared
from harness.runtime.base import Runtime, StartError
from harness.runtime.docker import DockerRuntime
from harness.services import database, gateway, speed
from harness.topology import Pod, Service, Topology
from harness.waits import WaitTimeout, eventually

READY_WITHIN = 180
PARSED_WITHIN = 180
LAST_WORDS = 25
"""Lines of a log."""
WARM_WITHIN = 15
"""Seconds in which a Celery worker says that it has begun to stop."""

DEATHS = {
    "3": {"AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "300"},
    "2.11": {"AIRFLOW__SCHEDULER__SCHEDULER_ZOMBIE_TASK_THRESHOLD": "300"},
}
"""Airflow's own values, instead of those under which jumps of the clock go unnoticed: tasks that the stop has killed
have to be noticed."""
QUEUED = {
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": "600",
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": "10",
}
"""The same for tasks that nobody takes from the broker, looked for every ten real seconds instead of every 120."""


OF_ONE_RELEASE = frozenset(s.variable for s in speed.SETTINGS if s.variable.startswith("ITEST_")) - {
    "ITEST_GC_THRESHOLD"
} | {"AIRFLOW__LOGGING__LOGGING_CONFIG_CLASS", "AIRFLOW__DATABASE__CHECK_MIGRATIONS"}
"""Quick pods' settings (`services.speed`) that change how a release works inside, or skip what an upgrade can break.
Either of the two images may be of any release, and pods of both may be there at once."""


def prepared(asked: str, version: str, options: Options) -> Prepared:
    """What a stack of that image needs, with a virtual clock, all images on the engine. `asked` as in `sides.image`.

    Raises `OptionError` and `ImageError`.
    """
    given = {} if asked == version else {"airflow": asked}
    decided = prepare.decide(replace(options, airflow=version, given=given, clock=True, database="stand-in"))
    return _with_environment(decided, {}, without=OF_ONE_RELEASE)


def obtain_pods(given: Prepared) -> Prepared:
    """Make sure of the images for `given`'s pods, its migration and what both stand on, but not of a database with its
    schema: that is what the migration makes. Raises `ImageError`."""
    keys = tuple(dict.fromkeys((*(k for k in given.topology.images() if k != database.TEMPLATE), "database")))
    return prepare.with_images(given, keys)


def patient(given: Prepared) -> Prepared:
    """The same, with pods that notice dead tasks as production's do."""
    return _with_environment(given, {**DEATHS[given.line.name], **QUEUED})


def _with_environment(
    given: Prepared, settings: Mapping[str, str], without: frozenset[str] = frozenset()
) -> Prepared:
    """The same, with and without these settings in the environment of Airflow's components."""

    def changed(pod: Pod) -> Pod:
        kept = {name: value for name, value in pod.main.environment.items() if name not in without}
        return replace(pod, main=replace(pod.main, environment={**kept, **settings}))

    pods = tuple(map(changed, given.topology.pods))
    return replace(given, topology=replace(given.topology, pods=pods))


def quietly(service: str, what: str) -> None:
    """Reports nothing."""


def pod_services(topology: Topology) -> tuple[Service, ...]:
    return tuple(service for pod in topology.pods for service in pod.services())


def content_with(base: ContentSource, overlay: dict[str, str]) -> ContentSource:
    """Pushes what `base` does, and files (by their path below content) on top of it."""

    def push(content: Content) -> str:
        base(content)
        return content.push_changes(overlay, "content of the rehearsal")

    return push


def stop_airflow(
    env: Environment, order: Iterable[Sequence[str]], when_stopping: Callable[[str], None]
) -> None:
    """Stop Airflow's components as Kubernetes does, SIGTERM and later SIGKILL: group after group, each at once.

    `when_stopping` is called with a worker's name once that has begun to stop.
    """
    for group in order:
        _stop(env.runtime, group, when_stopping)


def _stop(runtime: Runtime, names: Sequence[str], when_stopping: Callable[[str], None]) -> None:
    with ThreadPoolExecutor(max_workers=len(names)) as pool:
        stopping = [pool.submit(runtime.stop, name) for name in names]
        for name in names:
            if name.startswith("worker"):
                _await_warm_shutdown(runtime, name)
                when_stopping(name)
        for one in stopping:
            one.result()


def _await_warm_shutdown(runtime: Runtime, worker: str) -> None:
    with contextlib.suppress(WaitTimeout):
        eventually(
            lambda: "arm shutdown" in runtime.logs(worker, LAST_WORDS),
            f"{worker} to begin to stop",
            WARM_WITHIN,
        )


def check_components(env: Environment) -> None:
    """Raises `StartError`, with its last words, when a component has ended, which Airflow itself would not notice."""
    states = env.runtime.states()
    for pod in env.topology.pods:
        if states[pod.name].status != "running":
            words = env.runtime.logs(pod.name, LAST_WORDS).strip()
            raise StartError(f"{pod.name} has ended: {states[pod.name]}\n{words}")


def logs_of(folder: Path, prepared: Prepared) -> Path:
    """Where the logs of a version's pods are saved."""
    return folder / f"logs-{prepared.topology.airflow}"


def exchange(
    env: Environment,
    new: Prepared,
    folder: Path,
    files: Sequence[str],
    between: Callable[[], None],
) -> Environment:
    """Delete the pods of `env`, whose components have stopped, and start those of `new` on the same data.

    `files` are the DAG files that there are. `env` is closed; `between` is called while no component runs and nobody
    is connected to the database. Logs go below `folder`. Raises what `between` raises, and `StartError` with the words
    of the component that did not come up.
    """
    former = cast(DockerRuntime, env.runtime)
    since = env.clock.now()
    save_logs(former, logs_of(folder, env.prepared), env.settings.secrets)
    env.close()
    runtime = _joining(env, new)
    former.discard((*pod_services(env.topology), env.topology.service(gateway.NAME)))
    between()
    # Another line has its API in another pod, which the gateway has to know.
    runtime.start([new.topology.service(gateway.NAME)], quietly)
    made = Environment(new, runtime, env.settings, History(env.history.path))
    with _saving(made, folder):
        made.content.wait_for_origin()
        runtime.start(pod_services(new.topology), quietly)
        _await_parsed(made, files, since)
    return made


def roll(
    env: Environment,
    new: Prepared,
    folder: Path,
    files: Sequence[str],
    order: Sequence[str],
    when_stopping: Callable[[str], None],
) -> Environment:
    """Replace the pods of `env` one by one, in that `order`, while the others run. Both versions have the same pods.

    `when_stopping` is called with each pod's name while it stops. Else as `exchange`.
    """
    former = cast(DockerRuntime, env.runtime)
    since = env.clock.now()
    save_logs(former, logs_of(folder, env.prepared), env.settings.secrets)
    env.close()
    made = Environment(new, _joining(env, new), env.settings, History(env.history.path))
    with _saving(made, folder):
        for name in order:
            _stop(former, [name], when_stopping)
            (pod,) = [pod for pod in new.topology.pods if pod.name == name]
            former.discard(pod.services())
            made.runtime.start(pod.services(), quietly)
        _await_parsed(made, files, since)
    return made


def _joining(env: Environment, new: Prepared) -> DockerRuntime:
    owner = Owner.this_process()
    return DockerRuntime(env.stack, new.topology, new.references, env.settings.placeholders, owner)


@contextlib.contextmanager
def _saving(made: Environment, folder: Path) -> Iterator[None]:
    """When the body fails, keep the new pods' logs and close the handle; a time-out is a `StartError`."""
    try:
        yield
    except BaseException as error:
        save_logs(made.runtime, logs_of(folder, made.prepared), made.settings.secrets)
        made.close()
        if isinstance(error, WaitTimeout):
            raise StartError(str(error)) from error
        raise


def _await_parsed(made: Environment, files: Sequence[str], since: datetime) -> None:
    """Wait until every component has beaten, and every DAG file was parsed, after `since`."""
    if not made.watcher.ready(since, READY_WITHIN):
        raise StartError(f"not every component's heartbeat came within {READY_WITHIN} s")
    parsing.await_parsed(
        lambda: parsing.unparsed(made.database, made.line.tables, files, since),
        lambda: parsing.is_parsing(made.runtime, made.line.parser),
        PARSED_WITHIN,
    )
    check_components(made)
