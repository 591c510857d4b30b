"""The project's command line, `itest`."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from harness import (
    audit,
    compose_stack,
    doctor,
    engine,
    prepare,
    records,
    registry,
    statement_log,
    warm,
)
from harness.catalog import BUILDABLE, TOPOLOGIES, build
from harness.compose import render
from harness.compose_stack import ComposeError
from harness.content import ContentError
from harness.engine import EngineError
from harness.environment import ContentSource, Environment, at_revision, working_tree
from harness.images import ImageError
from harness.paths import LAST, ROOT, STATE
from harness.prepare import OptionError, Options, Prepared
from harness.profile import Profile
from harness.recording import record as recording
from harness.recording.record import RecordError
from harness.releases import DEFAULT
from harness.reset import ResetError
from harness.runtime.base import StartError
from harness.runtime.sweep import stacks, sweep_stale
from harness.services.airflow import API_PORT
from harness.topology import TopologyError
from harness.upgrade import command as upgrade
from harness.waits import WaitTimeout
from harness.warm import WarmError

EXPECTED = (
    EngineError,
    ImageError,
    OptionError,
    StartError,
    ContentError,
    ComposeError,
    WaitTimeout,
    WarmError,
    ResetError,
    TopologyError,
    RecordError,
)
"""Errors whose message is all that the user needs."""

DEFAULT_WORKERS = 4
"""Test processes; most of them wait most of the time, so there may be more than cores."""

EXAMPLES = """\
examples:
  itest run                       run the integration tests, four at a time, on the warm mirror or a fresh one
  itest run -n 0 -- -k rollout -x one at a time, with pytest's own arguments
  itest run -- tests/itest/test_rollout.py
                                  only these tests
  itest up                        start a mirror and keep it: Airflow's UI, and warm for the next `itest run`
  itest up --profile              the same, and tell where the boot's time went
  CONTENT_REV=v1.2 itest up       the same at a content revision; AIRFLOW_IMAGE=... for another image
  itest up --compose              the same mirror from its compose file
  itest status                    the mirrors that are kept;   itest reset: back to pristine
  itest down                      remove them;   itest down --stale: what dead test runs left behind
  itest upgrade --static --from 3.2.2
                                  would content survive the upgrade from that image?
  itest doctor --json             engine, images, database kind, registry reachability
"""


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns its exit code. Expected errors are printed without a trace."""
    arguments = _parser().parse_args(argv)
    try:
        return int(arguments.run(arguments) or 0)
    except EXPECTED as error:
        print(f"itest: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("itest: interrupted", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="itest",
        description="Know before you push whether content, syncer, Airflow image and database work together.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--airflow", metavar="VERSION", help=f"which Airflow, such as 2.11 (default: {DEFAULT})"
    )
    common.add_argument("--topology", choices=sorted(TOPOLOGIES), help="which mirror (default: default)")
    common.add_argument("--registry", choices=registry.MODES, help="pull images? (default: auto)")
    common.add_argument(
        "--require-cockroachdb", action="store_true", help="fail rather than use the stand-in database"
    )
    common.add_argument("--faithful", action="store_true", help="production's settings instead of quick ones")
    common.add_argument("--clock", action="store_true", help="a virtual clock, which can be moved forward")
    common.add_argument(
        "--inject-serialization-failures",
        dest="failures",
        metavar="PERCENT",
        help="let so many COMMITs fail with SQLSTATE 40001, such as 5%% (stand-in only)",
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    run = commands.add_parser("run", parents=[common], help="run the integration tests")
    run.add_argument(
        "-n",
        dest="workers",
        type=int,
        default=int(os.environ.get("ITEST_WORKERS", DEFAULT_WORKERS)),
        help=f"how many tests at a time; 0: in one process (ITEST_WORKERS, default {DEFAULT_WORKERS})",
    )
    run.add_argument("--fresh", action="store_true", help="boot a mirror even if a warm one fits")
    run.add_argument("--slow", action="store_true", help="the slow tests instead of the others")
    run.add_argument(
        "pytest", nargs="*", help="tests (files or ids) and other arguments for pytest, after --"
    )
    run.set_defaults(run=_run)

    up = commands.add_parser(
        "up", parents=[common], help="start a mirror and keep it, or wake the one that is kept"
    )
    up.add_argument("--content-rev", default=os.environ.get("CONTENT_REV"), help="content at this revision")
    up.add_argument("--fresh", action="store_true", help="start another even if one that fits is kept")
    up.add_argument(
        "--profile", action="store_true", help="tell where the boot's time went, in a table and files"
    )
    up.add_argument(
        "--for",
        dest="hours",
        type=float,
        default=warm.LIVES_FOR / 3600,
        help="hours of life after the last use",
    )
    up.add_argument("--compose", action="store_true", help="start it from its compose file instead")
    up.set_defaults(run=_up)

    push = commands.add_parser("push", parents=[common], help="give the kept mirror new content")
    push.add_argument("--content-rev", help="content at this revision instead of the working tree's")
    push.set_defaults(run=_push)

    pause = commands.add_parser("pause", parents=[common], help="freeze the kept mirror; `up` wakes it")
    pause.set_defaults(run=_pause)

    restore = commands.add_parser("reset", parents=[common], help="bring the kept mirror back to pristine")
    restore.set_defaults(run=_reset)

    status = commands.add_parser("status", help="the mirrors that are kept")
    status.add_argument("--json", action="store_true", help="for scripts")
    status.set_defaults(run=_status)

    down = commands.add_parser("down", help="remove the mirrors that are kept")
    down.add_argument("--stale", action="store_true", help="instead: what dead test runs left behind")
    down.set_defaults(run=_down)

    images = commands.add_parser("images", parents=[common], help="build or pull all images")
    images.set_defaults(run=_images)

    image_test = commands.add_parser(
        "image-test",
        parents=[common],
        help="test the Airflow image, and content and CockroachDB support in it",
    )
    image_test.add_argument("--slow", action="store_true", help="the slow tests instead of the others")
    image_test.add_argument("pytest", nargs="*", help="arguments for pytest, after --")
    image_test.set_defaults(run=_image_test)

    sql_audit = commands.add_parser(
        "sql-audit",
        parents=[common],
        help="run the tests, and tell which statements are risky on CockroachDB",
    )
    sql_audit.add_argument("--update", action="store_true", help="add new ones to the list, for review")
    sql_audit.add_argument("--again", action="store_true", help="judge what the last audit recorded")
    sql_audit.add_argument("-n", dest="workers", type=int, default=DEFAULT_WORKERS, help="tests at a time")
    sql_audit.add_argument("pytest", nargs="*", help="arguments for pytest, after --")
    sql_audit.set_defaults(run=_sql_audit, fresh=True, slow=False)

    upgrade.add(commands)

    recorder = commands.add_parser(
        "record",
        help="record what a real service answers, for the mocks to be compared with",
        description=recording.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    recorder.add_argument("config", type=Path, help="a TOML file that names the service")
    recorder.add_argument(
        "--output", type=Path, help="default: .itest/recordings/NAME.json, after the configuration"
    )
    recorder.set_defaults(run=_record)

    examine = commands.add_parser("doctor", parents=[common], help="what this machine has")
    examine.add_argument("--json", action="store_true", help="for scripts")
    examine.set_defaults(run=_doctor)

    compose = commands.add_parser("compose", help="regenerate the files in compose/")
    compose.add_argument("--check", action="store_true", help="only fail when they differ")
    compose.set_defaults(run=_compose)
    return parser


def _options(arguments: argparse.Namespace) -> Options:
    return Options.from_environment(
        airflow=arguments.airflow,
        topology=arguments.topology,
        registry=arguments.registry,
        database="cockroachdb" if arguments.require_cockroachdb else None,
        faithful=arguments.faithful or None,
        clock=arguments.clock or None,
        failures=arguments.failures,
    )


def _content(arguments: argparse.Namespace) -> ContentSource:
    return at_revision(arguments.content_rev) if arguments.content_rev else working_tree


def _run(arguments: argparse.Namespace) -> int:
    shutil.rmtree(LAST, ignore_errors=True)
    extra = ["-n", str(arguments.workers), "--dist=worksteal"] if arguments.workers else []
    extra += ["--fresh"] if arguments.fresh else []
    marked = "slow" if arguments.slow else "not slow"
    return _pytest(arguments, "tests/itest", marked, LAST / "junit.xml", extra)


def _sql_audit(arguments: argparse.Namespace) -> int:
    failed = 0 if arguments.again else _run(arguments)
    statements = statement_log.load(LAST)
    if not statements:
        raise OptionError("no run on the stand-in is recorded; leave out --again, or run: itest run")
    verdict = audit.judge(statements, audit.reviewed())
    if arguments.update:
        audit.update(verdict.found, audit.reviewed())
    if arguments.again:
        print("\n".join(verdict.lines()))
    return failed or int(bool(verdict.new))


def _image_test(arguments: argparse.Namespace) -> int:
    marked = "slow" if arguments.slow else "not slow"
    return _pytest(arguments, "airflow-image/tests", marked, STATE / "junit" / "image.xml", [])


def _pytest(arguments: argparse.Namespace, folder: str, marked: str, junit: Path, extra: list[str]) -> int:
    """Run the tests below `folder` with these marks in a process of their own, once all images are there."""
    options = _options(arguments)
    prepare.obtain(prepare.decide(options))
    junit.parent.mkdir(parents=True, exist_ok=True)
    chosen = [a for a in arguments.pytest if not a.startswith("-") and (ROOT / a.partition("::")[0]).exists()]
    command = [
        *(sys.executable, "-m", "pytest", *([] if chosen else [folder])),
        *("-m", marked),
        f"--junitxml={junit}",
        f"--airflow={options.airflow}",
        f"--topology={options.topology}",
        f"--registry={options.registry}",
        *(["--require-cockroachdb"] if arguments.require_cockroachdb else []),
        *(["--faithful"] if options.faithful else []),
        *(["--clock"] if options.clock else []),
        *([f"--inject-serialization-failures={options.failures:g}"] if options.failures else []),
        *extra,
        *arguments.pytest,
    ]
    return _wait_for(subprocess.Popen(command, cwd=ROOT))


def _wait_for(process: subprocess.Popen[bytes]) -> int:
    """Wait for the tests; when this command is told to end, let them remove their stack first."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return process.wait()
    except KeyboardInterrupt:
        process.send_signal(signal.SIGTERM)
        process.wait()
        raise


def _up(arguments: argparse.Namespace) -> int:
    options = _options(arguments)
    if arguments.compose and (options.faithful or options.clock):
        raise OptionError("the compose files have the quick settings and real time; leave --compose out")
    content = _content(arguments)
    prepared = prepare.decide(options)
    prepare.obtain(prepared)
    console = Console(highlight=False)
    kept = None if arguments.fresh or arguments.compose else warm.find(prepared)
    if arguments.compose:
        env = compose_stack.up(prepared, content)
    elif kept is not None:
        env = warm.wake(prepared, kept)
        console.print(
            f"The mirror {kept.stack} is up already, for {kept.age / 60:.0f} min (--fresh starts another)"
        )
    else:
        env = _start_warm(arguments, prepared, content, console)
    host, port = env.runtime.address(env.line.api_server, API_PORT)
    console.print(prepared.banner())
    console.print(f"Content revision {env.content.revision} ({arguments.content_rev or 'the working tree'})")
    console.print(f"Airflow: http://{host}:{port}")
    console.print(f"Login:   admin / {env.settings.placeholders['ITEST_ADMIN_PASSWORD']}")
    console.print(
        f"It holds at most {prepared.topology.memory / 1024:.1f} GiB of memory. Remove it with: make down"
    )
    env.close()
    return 0


def _start_warm(
    arguments: argparse.Namespace, prepared: Prepared, content: ContentSource, console: Console
) -> Environment:
    profile = Profile()
    with profile:
        env = warm.up(prepared, content, arguments.hours * 3600, profile)
    if arguments.profile:
        for name, usage in env.runtime.usage().items():
            profile.cpu(name, usage.cpu_seconds)
        profile.save(STATE / "profile")
        console.print(profile.table())
        console.print(f"Timeline: {STATE / 'profile' / 'boot-timeline.svg'} (and .json, for Perfetto)")
    console.print(f"It ends by itself {arguments.hours:g} h after it was last used.")
    return env


def _kept(arguments: argparse.Namespace) -> Environment:
    """The kept mirror that fits, awake; else compose's. Raises `ComposeError` when there is neither."""
    prepared = prepare.decide(_options(arguments))
    record = warm.find(prepared)
    return warm.wake(prepared, record) if record else compose_stack.attach(prepared)


def _push(arguments: argparse.Namespace) -> int:
    source = _content(arguments)
    with contextlib.closing(_kept(arguments)) as env:
        revision = source(env.content)
        env.content.deliver(revision)
    print(f"every pod serves {revision}")
    return 0


def _pause(arguments: argparse.Namespace) -> int:
    with contextlib.closing(_kept(arguments)) as env:
        if not env.pause():
            raise WarmError(f"the engine cannot freeze {env.stack} now; try again")
        print(f"{env.stack} sleeps; `itest up` wakes it")
    return 0


def _reset(arguments: argparse.Namespace) -> int:
    prepared = prepare.decide(_options(arguments))
    record = warm.find(prepared)
    if record is None:
        raise WarmError("no mirror of `itest up` is kept that fits; start one with: itest up")
    with contextlib.closing(warm.wake(prepared, record)) as env:
        env.reset(record.revision)
        record.changed(condition="clean")
    print(f"{record.stack} is pristine again, at content revision {record.revision}")
    return 0


def _status(arguments: argparse.Namespace) -> int:
    alive = stacks(engine.client())
    found = [record for record in records.all_records() if record.stack in alive]
    if arguments.json:
        print(json.dumps([dataclasses.asdict(record) for record in found], indent=2))
        return 0
    table = Table("stack", "topology", "database", "state", "up for", "ends in")
    for record in found:
        state = f"{record.condition}, {'asleep' if record.paused else 'awake'}"
        ends = f"{(record.expires - time.time()) / 60:.0f} min"
        table.add_row(
            record.stack, record.topology, record.database, state, f"{record.age / 60:.0f} min", ends
        )
    Console(highlight=False).print(table if found else "no mirror is kept; start one with: itest up")
    return 0


def _down(arguments: argparse.Namespace) -> int:
    if arguments.stale:
        names = sweep_stale(engine.client())
        for name in names:
            records.forget(name)
        print(f"removed what {', '.join(names)} left" if names else "nothing stale")
        return 0
    for record in records.all_records():
        print(f"removed {warm.down(record.stack)} containers, networks and volumes of {record.stack}")
    print(f"removed {compose_stack.down()} containers, networks and volumes of {compose_stack.DEFAULT}")
    return 0


def _images(arguments: argparse.Namespace) -> int:
    prepared = prepare.decide(_options(arguments))
    prepare.obtain(prepared)
    for recipe in prepared.recipes.values():
        print(f"{recipe.reference}  {recipe.how}")
    return 0


def _record(arguments: argparse.Namespace) -> int:
    output = arguments.output or STATE / "recordings" / f"{arguments.config.stem}.json"
    count = recording.record(arguments.config, output)
    print(f"{count} exchanges, scrubbed, are in {output}; read them before you share them")
    return 0


def _doctor(arguments: argparse.Namespace) -> int:
    found = doctor.examine(_options(arguments))
    if arguments.json:
        print(json.dumps(found, indent=2))
        return 0
    console = Console(highlight=False)
    for section in ("engine", "registry", "database", "stacks"):
        console.print(f"[bold]{section}[/bold]")
        for name, value in found[section].items():
            console.print(f"  {name}: {value}")
    table = Table("image", "reference", "obtained", "present", "MB", title="images", title_justify="left")
    for key, image in found["images"].items():
        size = "" if image["size_bytes"] is None else f"{image['size_bytes'] / 1e6:.0f}"
        table.add_row(key, image["reference"], image["obtained"], "yes" if image["present"] else "no", size)
    console.print(table)
    return 0


def _compose(arguments: argparse.Namespace) -> int:
    stale = {
        path: text for path, text in _compose_files().items() if not path.exists() or path.read_text() != text
    }
    if arguments.check:
        for path in stale:
            print(f"itest: {path.relative_to(ROOT)} is out of date; run make compose", file=sys.stderr)
        return 1 if stale else 0
    for path, text in stale.items():
        path.write_text(text)
        print(f"wrote {path.relative_to(ROOT)}")
    return 0


def _compose_files() -> dict[Path, str]:
    return {compose_stack.file_of(name, kind): render(build(name, kind), kind) for name, kind in BUILDABLE}
