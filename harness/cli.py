"""The project's command line, `itest`."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from harness import compose_stack, doctor, engine, prepare, registry
from harness.catalog import TOPOLOGIES
from harness.compose import render
from harness.compose_stack import ComposeError
from harness.content import ContentError
from harness.engine import EngineError
from harness.environment import ContentSource, at_revision, working_tree
from harness.images import DATABASE_KINDS, ImageError
from harness.paths import LAST, ROOT, STATE
from harness.prepare import OptionError, Options
from harness.runtime.base import StartError
from harness.runtime.sweep import sweep_stale
from harness.services.airflow3 import API_PORT
from harness.waits import WaitTimeout

EXPECTED = (
    EngineError,
    ImageError,
    OptionError,
    StartError,
    ContentError,
    ComposeError,
    WaitTimeout,
)
"""Errors whose message is all that the user needs."""

EXAMPLES = """\
examples:
  itest run                       boot the mirror and run the integration tests
  itest run -- -k rollout -x      the same, with pytest's own arguments
  itest up                        start a mirror to look at (Airflow's UI on a local port)
  CONTENT_REV=v1.2 itest up       the same at a content revision; AIRFLOW_IMAGE=... for another image
  itest down                      remove it;   itest down --stale: what dead test runs left behind
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
    common.add_argument("--topology", choices=sorted(TOPOLOGIES), help="which mirror (default: default)")
    common.add_argument("--registry", choices=registry.MODES, help="pull images? (default: auto)")
    common.add_argument(
        "--require-cockroachdb", action="store_true", help="fail rather than use the stand-in database"
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    run = commands.add_parser("run", parents=[common], help="run the integration tests on a fresh mirror")
    run.add_argument("pytest", nargs="*", help="arguments for pytest, after --")
    run.set_defaults(run=_run)

    up = commands.add_parser("up", parents=[common], help="start a mirror from its compose file, and keep it")
    up.add_argument("--content-rev", default=os.environ.get("CONTENT_REV"), help="content at this revision")
    up.set_defaults(run=_up)

    push = commands.add_parser("push", parents=[common], help="give the mirror of `up` new content")
    push.add_argument("--content-rev", help="content at this revision instead of the working tree's")
    push.set_defaults(run=_push)

    down = commands.add_parser("down", help="remove the mirror that `up` started")
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

    examine = commands.add_parser("doctor", parents=[common], help="what this machine has")
    examine.add_argument("--json", action="store_true", help="for scripts")
    examine.set_defaults(run=_doctor)

    compose = commands.add_parser("compose", help="regenerate the files in compose/")
    compose.add_argument("--check", action="store_true", help="only fail when they differ")
    compose.set_defaults(run=_compose)
    return parser


def _options(arguments: argparse.Namespace) -> Options:
    return Options.from_environment(
        topology=arguments.topology,
        registry=arguments.registry,
        database="cockroachdb" if arguments.require_cockroachdb else None,
    )


def _content(arguments: argparse.Namespace) -> ContentSource:
    return at_revision(arguments.content_rev) if arguments.content_rev else working_tree


def _run(arguments: argparse.Namespace) -> int:
    shutil.rmtree(LAST, ignore_errors=True)
    return _pytest(arguments, "tests/itest", "not slow", LAST / "junit.xml")


def _image_test(arguments: argparse.Namespace) -> int:
    marked = "slow" if arguments.slow else "not slow"
    return _pytest(arguments, "airflow-image/tests", marked, STATE / "junit" / "image.xml")


def _pytest(arguments: argparse.Namespace, folder: str, marked: str, junit: Path) -> int:
    """Run the tests below `folder` with these marks in a process of their own, once all images are there."""
    options = _options(arguments)
    prepare.obtain(prepare.decide(options))
    junit.parent.mkdir(parents=True, exist_ok=True)
    command = [
        *(sys.executable, "-m", "pytest", folder),
        *("-m", marked),
        f"--junitxml={junit}",
        f"--topology={options.topology}",
        f"--registry={options.registry}",
        *(["--require-cockroachdb"] if arguments.require_cockroachdb else []),
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
    content = _content(arguments)
    prepared = prepare.decide(_options(arguments))
    prepare.obtain(prepared)
    env = compose_stack.up(prepared, content)
    host, port = env.runtime.address("api-server", API_PORT)
    console = Console(highlight=False)
    console.print(prepared.banner())
    console.print(f"Content revision {env.content.revision} ({arguments.content_rev or 'the working tree'})")
    console.print(f"Airflow: http://{host}:{port}")
    console.print(f"Login:   admin / {env.settings.placeholders['ITEST_ADMIN_PASSWORD']}")
    console.print("Remove it with: make down")
    env.close()
    return 0


def _push(arguments: argparse.Namespace) -> int:
    source = _content(arguments)
    env = compose_stack.attach(prepare.decide(_options(arguments)))
    revision = source(env.content)
    env.content.poke()
    env.content.wait_until_served(revision)
    print(f"every pod serves {revision}")
    env.close()
    return 0


def _down(arguments: argparse.Namespace) -> int:
    if arguments.stale:
        names = sweep_stale(engine.client())
        print(f"removed what {', '.join(names)} left" if names else "nothing stale")
    else:
        print(f"removed {compose_stack.down()} containers, networks and volumes of {compose_stack.DEFAULT}")
    return 0


def _images(arguments: argparse.Namespace) -> int:
    prepared = prepare.decide(_options(arguments))
    prepare.obtain(prepared)
    for recipe in prepared.recipes.values():
        print(f"{recipe.reference}  {recipe.how}")
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
    return {
        compose_stack.file_of(name, kind): render(build(kind), kind)
        for name, build in TOPOLOGIES.items()
        for kind in DATABASE_KINDS
    }
