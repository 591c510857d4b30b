"""The command line of ``crdb-upgrade``."""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import ExitStack, closing
from importlib.metadata import version
from pathlib import Path

import psycopg2
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from airflow_cockroachdb.upgrade import report
from airflow_cockroachdb.upgrade.databases import Database, DatabaseError
from airflow_cockroachdb.upgrade.state import State, StateError
from airflow_cockroachdb.upgrade.steps import Upgrade, UpgradeError
from airflow_cockroachdb.upgrade.switch import kept_as, switch

ROLES = ("source", "scratch", "target")
SWITCHED = "switch"
EPILOG = """\
The URLs can also be in CRDB_UPGRADE_SOURCE, CRDB_UPGRADE_SCRATCH and CRDB_UPGRADE_TARGET, where no list of
processes shows their passwords.

  source   the metadata database as it is: only read. Stop every Airflow component first.
  scratch  an empty PostgreSQL database (postgresql+psycopg2://), as a superuser; not needed afterwards
  target   an empty database on CockroachDB (cockroachdb://), made with CREATE DATABASE

Killed or failed, the same command goes on where it was. docs/cockroachdb.md has the whole procedure.
"""


class Shown:
    """Progress on the terminal: a line for each step, and a bar where one takes time."""

    def __init__(self, bar: Bar) -> None:
        self._bar = bar
        self._task: TaskID | None = None

    def begin(self, what: str, total: int) -> None:
        self._task = self._bar.add_task(what, total=total)

    def advance(self, count: int) -> None:
        if self._task is not None:
            self._bar.advance(self._task, count)

    def say(self, text: str) -> None:
        self._bar.console.print(text, highlight=False)


def main(argv: list[str] | None = None) -> int:
    """Run one upgrade; returns the exit code. Expected errors are told without a trace."""
    arguments = _parser().parse_args(argv)
    try:
        return _run(arguments)
    except (UpgradeError, DatabaseError, StateError) as error:
        print(f"crdb-upgrade: {error}", file=sys.stderr)
    except psycopg2.Error as error:
        print(
            f"crdb-upgrade: a database failed: {error}\nRun the same command again to go on.", file=sys.stderr
        )
    except KeyboardInterrupt:
        print("crdb-upgrade: interrupted; run the same command again to go on", file=sys.stderr)
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="crdb-upgrade",
        description=f"Move a metadata database on CockroachDB to Airflow {version('apache-airflow')}.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for role in ROLES:
        parser.add_argument(
            f"--{role}", metavar="URL", default=os.environ.get(f"CRDB_UPGRADE_{role.upper()}")
        )
    parser.add_argument("--folder", type=Path, required=True, help="where state, logs and report are kept")
    parser.add_argument(
        "--leave", action="append", default=[], metavar="TABLE", help="a table whose rows may be lost"
    )
    parser.add_argument("--dry-run", action="store_true", help="look at the databases, tell, change nothing")
    parser.add_argument(
        "--switch",
        action="store_true",
        help="in the end, give the target the source's name; else only tell how",
    )
    return parser


def _run(arguments: argparse.Namespace) -> int:
    urls = {role: getattr(arguments, role) for role in ROLES}
    if absent := [f"--{role}" for role, url in urls.items() if not url]:
        raise UpgradeError(f"{', '.join(absent)} is missing; see crdb-upgrade --help")
    if not urls["scratch"].startswith("postgresql"):
        raise UpgradeError("the scratch database has to be PostgreSQL: postgresql+psycopg2://...")
    with ExitStack() as opened:
        databases = {
            role: opened.enter_context(
                closing(Database(role, url, read_only=role == "source" or arguments.dry_run))
            )
            for role, url in urls.items()
        }
        source, scratch, target = (databases[role] for role in ROLES)
        identity = {role: database.name for role, database in databases.items()}
        state = State.load(arguments.folder, identity | {"airflow": version("apache-airflow")})
        if not source.revisions():
            raise UpgradeError(f"there is no Airflow in the source database {source.name}")
        if source.name == target.name:
            raise UpgradeError("source and target are the same database")
        if arguments.dry_run:
            return _tell(source, scratch, target, state)
        _upgrade(source, scratch, target, state, arguments)
    return 0


def _tell(source: Database, scratch: Database, target: Database, state: State) -> int:
    counts = {table: source.count(table) for table in source.tables()}
    print(f"Airflow {state.identity['airflow']} would take over the schema {source.revisions()}:")
    for table, rows in counts.items():
        print(f"  {table:40} {rows:>10}")
    print(f"{sum(counts.values())} rows in {len(counts)} tables, from {source.name}")
    for database in (scratch, target):
        tables = len(database.tables())
        print(f"by way of {database.role} {database.name}: {f'{tables} tables' if tables else 'empty'}")
    print("done before: " + ("; ".join(state.steps) or "nothing"))
    return 0


def _upgrade(
    source: Database, scratch: Database, target: Database, state: State, arguments: argparse.Namespace
) -> None:
    arguments.folder.mkdir(parents=True, exist_ok=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Bar(*columns) as bar:
        upgrade = Upgrade(
            source, scratch, target, state, Shown(bar), arguments.folder, frozenset(arguments.leave)
        )
        upgrade.run()
    report.write(state, arguments.folder)
    print(report.text(state))
    if arguments.switch:
        switch(source, target)
        state.finish(SWITCHED)
        print(f"Switched: {source.url.database} is the new database, {kept_as(source)} the old one.")
    else:
        print(
            f"Everything is in {target.name} and the same. Start Airflow {state.identity['airflow']} on it."
        )
