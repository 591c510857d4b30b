"""`python -m bench`: measure the mirror on this machine. `make bench` runs it.

Every figure is repeated, and said with what bounds it now. Nothing else should run on the machine meanwhile.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from rich.console import Console

from bench.quickstart import measure_quickstart
from bench.shapes import EIGHT_DAYS, EIGHT_DAYS_DAG, ONE_TASK, QUICKSTART, QUICKSTART_DAG, SHAPES
from bench.stats import Machine, Result, Revision, Series
from bench.table import markdown, table
from harness import engine, prepare, records, warm
from harness.airflow import DagRun
from harness.environment import Environment
from harness.paths import ROOT, STATE
from harness.prepare import Prepared
from tests.itest import mainnet

FOLDER = STATE / "bench"
ROLLOUT = "rollout_ic_os_to_mainnet_subnets"
ROLLOUT_CONF = {
    "git_revision": "0123456789abcdef0123456789abcdef01234567",
    "week": "2026-11-02",
    "plan": "Monday:\n  9:00: [io67a, xok3w]\nTuesday:\n  7:00: [pjljw]\n",
    "simulate": False,
    "sensor_interval": 1,
}
OF_THE_MIRROR = tuple(
    f"tests/itest/test_{name}.py" for name in ("mirror", "rollout", "leftovers", "compose_stack")
)
BOUND_BY = {
    "cold boot": "CPU: importing Airflow in five processes, the worker's above all; no core is idle",
    "first green run, cold": "the boot",
    "attach to a paused stack, first trigger": "thawing 27 containers, and the API server's first answer",
    "first green run, paused": "the run: a deferral of 2 s, scheduler rounds, the triggerer's pauses of 0.2 s",
    "first green run, paused, time skipped": "scheduler rounds, a fork a task, and the triggerer's pauses of 0.2 s",
    "reset": "content back to every pod (a fetch each), then one transaction",
    "content push, served and parsed": "the DAG processor lists its files once a second",
    "one task": "two scheduler rounds and one fork",
    "quickstart: healthy": "health checks every 30 s, and two migrations one after the other",
    "rollout": "CPU: a fork a task, which builds the DAG of 30 batches again, and the scheduler's rounds",
}

Record = Callable[[str, float], None]


@dataclass
class Measures:
    """Collects values by name, and says each as it comes, since all of it takes long."""

    console: Console
    values: dict[str, list[float]] = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, value: float, unit: str = "s") -> None:
        self.values.setdefault(name, []).append(round(value, 3))
        self.units[name] = unit
        self.console.print(f"  {name}: {value:.2f} {unit}")

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Adds how long the body took."""
        began = time.monotonic()
        yield
        self.add(name, time.monotonic() - began)

    def series(self) -> tuple[Series, ...]:
        return tuple(
            Series(name, self.units[name], tuple(values), BOUND_BY.get(name, ""))
            for name, values in self.values.items()
        )


def cold(prepared: Prepared, measures: Measures, repetitions: int) -> None:
    """Fresh containers to a ready mirror, and on to the first green run."""
    for _ in range(repetitions):
        began = time.monotonic()
        env = Environment.start(prepared, FOLDER / "cold")
        try:
            measures.add("cold boot", time.monotonic() - began)
            env.airflow.trigger(env.add_dag(QUICKSTART, QUICKSTART_DAG)).wait()
            measures.add("first green run, cold", time.monotonic() - began)
        finally:
            env.stop(FOLDER / "cold")


def kept(prepared: Prepared, measures: Measures, repetitions: int) -> None:
    """All that is measured on one stack that is kept: attach, reset, push, run latencies, components."""
    with ExitStack() as ending:
        first = warm.up(prepared)
        ending.callback(warm.down, first.stack)
        first.add_dag(QUICKSTART, QUICKSTART_DAG)
        first.take_pristine()
        record = records.load(first.stack)
        assert record is not None  # noqa: S101 - `up` has just saved it
        record = record.changed(revision=first.content.revision, condition="clean")
        first.pause()
        first.close()
        for _ in range(repetitions):
            _from_paused(prepared, record, measures)
        env = warm.wake(prepared, record)
        ending.callback(env.close)
        for number in range(repetitions):
            with measures.timed("content push, served and parsed"):
                env.add_dag(f"pushed_{number}", ONE_TASK.replace("bench_one_task", f"pushed_{number}"))
            with measures.timed("reset"):
                env.reset(record.revision)
        _shapes(env, measures, repetitions)
        for name, usage in sorted(env.runtime.usage().items()):
            if not name.endswith(("-syncer", "-sandbox")):
                measures.add(f"memory, {name}", usage.memory_bytes / 2**20, "MiB")
                measures.add(f"CPU since boot, {name}", usage.cpu_seconds, "CPU-s")


def skipping(prepared: Prepared, measures: Measures, repetitions: int, calendar: bool) -> None:
    """From a paused stack with a virtual clock to the first green run of the quickstart's DAG, unmodified; and days."""
    virtual = prepare.varied(prepared, clock=True)
    with ExitStack() as ending:
        first = warm.up(virtual)
        ending.callback(warm.down, first.stack)
        first.add_dag(QUICKSTART, QUICKSTART_DAG)
        first.add_dag(EIGHT_DAYS, EIGHT_DAYS_DAG)
        record = records.load(first.stack)
        assert record is not None  # noqa: S101 - `up` has just saved it
        first.airflow.trigger(QUICKSTART).wait()
        first.pause()
        first.close()
        for _ in range(repetitions):
            began = time.monotonic()
            env = Environment.attach(virtual, record.stack, record.settings(), FOLDER / "kept")
            env.wake()
            run = env.airflow.trigger(QUICKSTART)
            env.clock.skip_until_ended(run)
            measures.add("first green run, paused, time skipped", time.monotonic() - began)
            run.wait()
            _skipped(
                env, measures, "eighteen deferrals over eight days, skipped", env.airflow.trigger(EIGHT_DAYS)
            )
            env.pause()
            env.close()
        if calendar:
            env = warm.wake(virtual, record)
            ending.callback(env.close)
            _calendar(env, measures)


def _skipped(env: Environment, measures: Measures, name: str, run: DagRun) -> None:
    """How long a run takes with time skipped, and how much faster than time passes in it that is."""
    began, then = time.monotonic(), env.clock.now()
    env.clock.skip_until_ended(run, timeout=1500)
    took = time.monotonic() - began
    run.wait()
    measures.add(name, took)
    measures.add(f"{name}: simulated time / wall time", (env.clock.now() - then).total_seconds() / took, "x")


def _calendar(env: Environment, measures: Measures) -> None:
    """The real plan on its own days, as `tests/itest/test_calendar.py` has it."""
    monday = mainnet.next_monday_but_one(env.clock.now())
    env.clock.set(monday - timedelta(hours=1))
    conf = mainnet.real_calendar(env.mocks, "1RealRolloutPlan", monday, str(ROLLOUT_CONF["git_revision"]))
    _skipped(env, measures, "the real plan's calendar, skipped", env.airflow.trigger(ROLLOUT, conf))


def _from_paused(prepared: Prepared, record: records.Record, measures: Measures) -> None:
    began = time.monotonic()
    env = Environment.attach(prepared, record.stack, record.settings(), FOLDER / "kept")
    env.wake()
    run = env.airflow.trigger(QUICKSTART)
    measures.add("attach to a paused stack, first trigger", time.monotonic() - began)
    run.wait()
    measures.add("first green run, paused", time.monotonic() - began)
    env.reset(record.revision)
    env.pause()
    env.close()


def _shapes(env: Environment, measures: Measures, repetitions: int) -> None:
    """Trigger to success, after a first run that warms up."""
    subnets = json.loads((ROOT / "tests/data/mainnet-subnets.json").read_text())
    for dag_id, source in SHAPES.items():
        env.add_dag(dag_id, source)
        env.airflow.trigger(dag_id).wait()
        for _ in range(repetitions):
            with measures.timed(dag_id.removeprefix("bench_").replace("_", " ")):
                env.airflow.trigger(dag_id).wait()
    for _ in range(max(1, repetitions // 2)):
        env.mocks.reset()
        env.mocks.ic.set_registry(subnets)
        with measures.timed("rollout"):
            env.airflow.trigger(ROLLOUT, ROLLOUT_CONF).wait(timeout=600)


def suite(measures: Measures) -> None:
    """The integration tests with 4, 2 and 1 workers, in random order."""
    for workers in (4, 2, 1):
        with measures.timed(f"suite, {workers} workers"):
            _itest("-n", str(workers))


def one_by_one(measures: Measures) -> None:
    """The tests of the mirror itself, with 4 workers on one shared stack and one by one, each on a fresh stack."""
    with measures.timed("tests of the mirror, 4 workers"):
        _itest("-n", "4", "--", *OF_THE_MIRROR)
    with measures.timed("tests of the mirror, one by one on fresh stacks"):
        for test in _tests_of(*OF_THE_MIRROR):
            _itest("-n", "0", "--", test)


def _itest(*arguments: str) -> None:
    """Run integration tests on stacks of their own; raises `CalledProcessError` when one fails."""
    subprocess.run([str(ROOT / "scripts/itest"), "run", "--fresh", *arguments], check=True)


def _tests_of(*files: str) -> list[str]:
    """The ids of these files' tests that are not slow."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-m", "not slow", *files]
    told = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [line for line in told.splitlines() if "::" in line]


def quickstart(prepared: Prepared, measures: Measures, repetitions: int) -> None:
    """The Airflow project's compose quickstart, rebuilt from our images."""
    for _ in range(repetitions):
        found = measure_quickstart(prepared)
        measures.add("quickstart: healthy", found["healthy"])
        measures.add("quickstart: first green run", found["first_green"])


def main(arguments: list[str] | None = None) -> int:
    """Measure what is asked for; prints a table, writes the result."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("-r", "--repetitions", type=int, default=5)
    parser.add_argument("--only", choices=("cold", "kept", "skipping", "suites"), help="leave the others out")
    parser.add_argument("--peer", choices=("quickstart",), help="measure it in the same run")
    parser.add_argument("--suite", action="store_true", help="the suite with 4, 2 and 1 workers, too (long)")
    parser.add_argument(
        "--one-by-one",
        action="store_true",
        help="the tests of the mirror with 4 workers and each on a fresh stack, too (long)",
    )
    parser.add_argument(
        "--calendar",
        action="store_true",
        help="the real plan's calendar with time skipped, too (takes minutes)",
    )
    parser.add_argument("--output", type=Path, default=FOLDER / "result.json")
    parser.add_argument("--markdown", type=Path, help="write the table there, too")
    asked = parser.parse_args(arguments)
    prepared = prepare.decide(prepare.Options.from_environment())
    prepare.obtain(prepared)
    console = Console(highlight=False, soft_wrap=True)
    measures = Measures(console)
    if asked.only in (None, "cold"):
        cold(prepared, measures, asked.repetitions)
    if asked.only in (None, "kept"):
        kept(prepared, measures, asked.repetitions)
    if asked.only in (None, "kept", "skipping") and prepared.database == "stand-in":
        skipping(prepared, measures, asked.repetitions, asked.calendar)
    if asked.peer:
        quickstart(prepared, measures, max(1, asked.repetitions // 2))
    if asked.suite:
        suite(measures)
    if asked.one_by_one:
        one_by_one(measures)
    machine = Machine.here(f"docker {engine.client().version()['Version']}")
    result = Result(machine, Revision.of(ROOT), measures.series(), prepared.facts())
    asked.output.parent.mkdir(parents=True, exist_ok=True)
    result.save(asked.output)
    Console(highlight=False).print(table(result))
    if asked.markdown:
        asked.markdown.write_text(markdown(result))
    console.print(f"written to {asked.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
