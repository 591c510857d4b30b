"""`itest upgrade`: options, and what becomes of the verdict."""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from harness import prepare, registry
from harness.clock import ClockError
from harness.content import ContentError
from harness.engine import EngineError
from harness.environment import at_revision, working_tree
from harness.images import ImageError
from harness.paths import ROOT
from harness.prepare import OptionError, Options, Prepared
from harness.releases import DEFAULT
from harness.runtime.base import StartError
from harness.upgrade import sides, snapshot, static
from harness.upgrade.facts import FactsError
from harness.upgrade.findings import (
    EXIT_CODES,
    LIVE_CHECKS,
    Assessment,
    Finding,
    Severity,
    Verdict,
    exit_code,
    ordered,
)
from harness.upgrade.rehearsal import migration, stack
from harness.upgrade.rehearsal.holds import HoldError
from harness.upgrade.rehearsal.run import Plan, Result
from harness.upgrade.rehearsal.run import rehearse as run_rehearsal
from harness.upgrade.rehearsal.specimens import SpecimenError, select
from harness.upgrade.report.machine import to_json, to_junit
from harness.upgrade.report.page import to_html
from harness.upgrade.report.terminal import show
from harness.waits import WaitTimeout

HELP = "would content survive another Airflow image?"

DESCRIPTION = """\
Compare two Airflow images from the side of content, then rehearse the upgrade: a stack with the old image gets runs in
every state, is stopped, migrated and started with the new image, and each run has to end as one that was not upgraded.
With --static only the first is done: nothing is run but imports. What was so on the old image already does not count.
docs/upgrades.md tells what each finding means.

An image is named by its version, where this project has a lock for it (airflow-image/locks), or by its reference.
"""

EPILOG = """\
exit codes:
  0   survives: nothing that content or settings depend on changes; also degraded, without --strict
  1   degraded, with --strict: it works, but otherwise than before, or by a way that is going to be closed
  2   breaks: something that works on the old image does not on the new one; also wrong usage
  3   could not be determined: an image, or a part of it, could not be looked at

examples:
  itest upgrade --from 3.2.2 --to 3.3.2 --rollback --html upgrade.html
                                  everything, and the way back
  itest upgrade --from 2.11.2 --runs deferred,running,my-runs/ --stop ordered
                                  some runs, and those that the folder my-runs brings
  itest upgrade --static --from 3.2.2
                                  to the version that the mirror runs, with content of the working tree
  itest upgrade --static --from 3.2.2 --to 3.3.2 --content main --strict --junit upgrade.xml --html upgrade.html
                                  for a pipeline: any deprecation fails it, too
  itest upgrade --static --from 3.3.2 --to registry.example/airflow:next --settings production.env
                                  an image of one's own, and production's settings (NAME=value a line)
"""


STOPS = ("all", "ordered")

AGAIN = (
    "Where the machine was merely busy, run it again; else see whether `itest run` works with the old image."
)

LOG_WIDTH = 140
"""Columns where no terminal says how many it has, such as in a pipeline's log."""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = commands.add_parser(
        "upgrade",
        help=HELP,
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--from", dest="old", required=True, metavar="IMAGE", help="what runs now")
    parser.add_argument(
        "--to",
        dest="new",
        metavar="IMAGE",
        default=DEFAULT,
        help="what shall run (default: %(default)s)",
    )
    parser.add_argument(
        "--static",
        action="store_true",
        help="run no DAG, compare only; takes seconds once the images are there",
    )
    parser.add_argument(
        "--runs",
        metavar="SPEC",
        help="runs to have in flight, separated by commas: names, and folders with content and a specimens.toml"
        " (default: all)",
    )
    parser.add_argument("--rollback", action="store_true", help="rehearse the way back, too")
    parser.add_argument(
        "--stop",
        choices=STOPS,
        default=STOPS[0],
        help="how the old version is stopped: all pods at once, or one kind after the other, workers before the API",
    )
    parser.add_argument(
        "--rolling",
        metavar="PODS",
        nargs="?",
        const="",
        help="instead, replace pod after pod, in this order (default: as they are listed), within one minor version",
    )
    parser.add_argument(
        "--migration",
        choices=migration.WAYS,
        default=migration.WAYS[0],
        help="by way of a scratch PostgreSQL, or with Airflow's own command (default: %(default)s)",
    )
    parser.add_argument(
        "--go-on", action="store_true", help="rehearse even if the static checks tell that it breaks"
    )
    parser.add_argument("--content", metavar="REV", help="content of this revision, not the working tree's")
    parser.add_argument(
        "--settings", type=Path, metavar="FILE", help="more AIRFLOW__ settings, NAME=value a line"
    )
    parser.add_argument("--strict", action="store_true", help="exit with 1 when it is degraded")
    parser.add_argument("--verbose", action="store_true", help="details of notes, and full errors")
    parser.add_argument("--fresh", action="store_true", help="collect facts anew, even if they are kept")
    parser.add_argument("--registry", choices=registry.MODES, help="pull images? (default: auto)")
    for name, what in (
        ("json", "all findings"),
        ("junit", "a JUnit report"),
        ("html", "one page to look at"),
    ):
        parser.add_argument(f"--{name}", type=Path, metavar="FILE", help=f"write {what}")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Look at the upgrade and report; returns the exit code that `EPILOG` tells."""
    try:
        check(arguments)
        assessment = _assess(arguments)
    except (
        FactsError,
        ImageError,
        EngineError,
        ContentError,
        OptionError,
        SpecimenError,
        StartError,
    ) as error:
        print(f"itest upgrade: {error}", file=sys.stderr)
        return EXIT_CODES[Verdict.UNKNOWN]
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = LOG_WIDTH
    show(assessment, console, arguments.verbose)
    for path, render in _reports(arguments):
        path.write_text(render(assessment))
        print(f"wrote {path}")
    return exit_code(assessment.verdict, arguments.strict)


def check(arguments: argparse.Namespace) -> None:
    """Raise `OptionError` for what cannot be done, before anything is."""
    select(arguments.runs)
    if arguments.rollback and arguments.rolling is not None:
        raise OptionError(
            "there is no database to restore where nothing is migrated: --rolling or --rollback"
        )
    for path, _ in _reports(arguments):
        if not path.parent.is_dir() or path.is_dir():
            raise OptionError(f"{path} cannot be written: {path.parent} is no folder, or {path.name} is one")


def _reports(arguments: argparse.Namespace) -> list[tuple[Path, Callable[[Assessment], str]]]:
    wanted: list[tuple[Path | None, Callable[[Assessment], str]]] = [
        (arguments.json, to_json),
        (arguments.junit, lambda assessment: to_junit(assessment, arguments.strict)),
        (arguments.html, to_html),
    ]
    return [(path, render) for path, render in wanted if path is not None]


def _assess(arguments: argparse.Namespace) -> Assessment:
    content = snapshot.take(ROOT, arguments.content)
    settings = read_settings(arguments.settings) if arguments.settings else {}
    options = Options.from_environment(registry=arguments.registry)
    old, new = (_image(asked, options) for asked in (arguments.old, arguments.new))
    assessment = static.assess(old, new, content, mirror_settings(options) | settings, arguments.fresh)
    if arguments.static or (assessment.verdict is Verdict.BREAKS and not arguments.go_on):
        return assessment
    return rehearse(assessment, arguments, options)


def rehearse(assessment: Assessment, arguments: argparse.Namespace, options: Options) -> Assessment:
    """The assessment, with what the rehearsal found added to it."""
    began = time.monotonic()
    old, new = (
        stack.prepared(side.asked, side.airflow, options) for side in (assessment.old, assessment.new)
    )
    prepare.obtain(old)
    base = at_revision(arguments.content) if arguments.content else working_tree
    plan = Plan(
        old,
        stack.obtain_pods(new),
        base,
        select(arguments.runs),
        arguments.migration,
        arguments.stop,
        () if arguments.rolling is None else rolling(arguments.rolling, old, new),
        arguments.rollback,
        ROOT / ".itest" / "upgrade" / f"{old.topology.airflow}-{new.topology.airflow}",
    )
    shutil.rmtree(plan.folder, ignore_errors=True)
    try:
        result = run_rehearsal(plan)
    except (StartError, HoldError, ClockError, WaitTimeout) as error:
        result = Result([not_made(error)])
    print(f"logs and history: {plan.folder}")
    changed = f"stopped {plan.stop}, migrated by {plan.way}"
    if plan.order:
        changed = f"replaced pod after pod: {', '.join(plan.order)}"
    how = f"{changed}, {old.database_name}"
    return replace(
        assessment,
        findings=tuple(ordered([*assessment.findings, *result.findings])),
        checks=(*assessment.checks, *(c for c in LIVE_CHECKS if c != "rollback" or arguments.rollback)),
        seconds=round(assessment.seconds + time.monotonic() - began, 1),
        rows=tuple(result.rows),
        how=f"static checks and a rehearsal: {how}",
    )


def not_made(error: Exception) -> Finding:
    """That the rehearsal came to no end, for a reason that is not the upgrade's."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    reason = f"it could not be made: {lines[0]}"
    return Finding(Severity.UNKNOWN, "runs", "the rehearsal", reason, AGAIN, detail=str(error))


def rolling(asked: str, old: Prepared, new: Prepared) -> tuple[str, ...]:
    """All pods, those that are `asked` for first. Raises `OptionError` where both versions cannot be there at once."""
    versions = old.topology.airflow, new.topology.airflow
    if len({version.rpartition(".")[0] for version in versions}) > 1:
        raise OptionError(
            f"pods of {' and '.join(versions)} cannot be there at once, as the schema differs: leave out --rolling"
        )
    names = [pod.name for pod in old.topology.pods]
    chosen = [word.strip() for word in asked.split(",") if word.strip()]
    if unknown := [name for name in chosen if name not in names]:
        raise OptionError(f"there is no pod {', '.join(unknown)}; there are {', '.join(names)}")
    return tuple(dict.fromkeys((*chosen, *names)))


def _image(asked: str, options: Options) -> static.Image:
    reference = sides.image(asked, options)
    return static.Image(asked, reference, sides.image_id(reference))


def mirror_settings(options: Options) -> dict[str, str]:
    """What the mirror's Airflow containers have in their environment."""
    found: dict[str, str] = {}
    for service in prepare.decide(options).topology.services():
        if service.image == "airflow":
            found |= service.environment
    return found


def read_settings(path: Path) -> dict[str, str]:
    """Settings in a file: ``NAME=value`` a line; empty ones and ``#`` ones do not count. Raises `OptionError`."""
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise OptionError(f"settings cannot be read: {error}") from error
    found = {}
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip().removeprefix("export ")
        if not stripped or stripped.startswith("#"):
            continue
        name, equals, value = stripped.partition("=")
        if not equals or not name.strip().isidentifier():
            raise OptionError(f"{path}:{number} is no NAME=value: {line.strip()[:60]!r}")
        found[name.strip()] = value.strip().strip("'\"")
    return found
