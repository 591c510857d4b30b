"""The steps of an upgrade. Each can be begun again after its process was killed at any point."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from airflow_cockroachdb.upgrade import wide
from airflow_cockroachdb.upgrade.databases import Database
from airflow_cockroachdb.upgrade.rows import Fingerprint
from airflow_cockroachdb.upgrade.state import Copied, State

VERSION_TABLES = "alembic_version"
"""Prefix of the tables that hold a schema's version: compared, never copied."""

MIGRATIONS = {VERSION_TABLES: ("db", "migrate"), "alembic_version_fab": ("fab-db", "migrate")}
"""Version table to the command that migrates what it versions. A whole ``db migrate`` includes the others."""

NOT_AIRFLOWS = frozenset({"airflow_cockroachdb_lock", "celery_taskmeta", "celery_tasksetmeta"})
"""Locks and results of tasks long over: they stay behind."""

TAIL = 30


class UpgradeError(Exception):
    """The upgrade cannot go on; the message says why and what to do. Nothing was switched."""


class Progress(Protocol):
    """Shows how far a step is."""

    def begin(self, what: str, total: int) -> None: ...

    def advance(self, count: int) -> None: ...

    def say(self, text: str) -> None: ...


@dataclass
class Upgrade:
    """Three databases and how far their upgrade is."""

    source: Database
    scratch: Database
    target: Database
    state: State
    progress: Progress
    folder: Path
    may_leave: frozenset[str]
    """Tables that may stay behind although they have rows."""

    def run(self) -> None:
        """Do what is not done yet, up to the comparison of everything. Raises `UpgradeError`."""
        steps: tuple[tuple[str, Callable[[], None]], ...] = (
            ("make the old schema on the scratch database", self._old_schema),
            ("copy the source to the scratch database", self._copy_out),
            ("migrate the scratch database", self._migrate),
            ("make the new schema on the target", self._new_schema),
            ("copy the scratch database to the target", self._copy_in),
        )
        for name, step in steps:
            if name in self.state.steps:
                self.progress.say(f"done before: {name}")
                continue
            self.progress.say(name)
            step()
            self.state.finish(name)
        self.progress.say("compare source, scratch and target")
        self.check_unchanged()

    # ---- schemas

    def _old_schema(self) -> None:
        revisions, begun = self.source.revisions(), self.scratch.revisions()
        if self.scratch.tables() and not begun:
            raise UpgradeError(f"the scratch database has tables already: {self.scratch.name}")
        for table, command in MIGRATIONS.items():
            if table in revisions and begun.get(table) != revisions[table]:
                self._airflow(self.scratch, "old-schema", *command, "--to-revision", revisions[table])
        made = self.scratch.revisions()
        different = sorted(name for name in revisions if made.get(name) != revisions[name])
        if different:
            raise UpgradeError(
                f"the image cannot make the source's schema: {', '.join(different)} is {made} on the scratch "
                f"database and {revisions} in the source. Upgrade with an image whose providers have that revision."
            )

    def _migrate(self) -> None:
        self._airflow(self.scratch, "migrate", *MIGRATIONS[VERSION_TABLES])
        aside = (name for name in self.scratch.tables() if name.startswith("_airflow_moved"))
        moved = [name for name in aside if self.scratch.count(name)]
        if moved:
            raise UpgradeError(
                f"the migration moved rows away: look at {', '.join(moved)} in {self.scratch.name}"
            )

    def _new_schema(self) -> None:
        if self.target.tables() and not self.target.revisions():
            raise UpgradeError(f"the target has tables that are not Airflow's: {self.target.name}")
        self._airflow(self.target, "new-schema", *MIGRATIONS[VERSION_TABLES])
        made, migrated = self.target.revisions(), self.scratch.revisions()
        if {k: v for k, v in made.items() if k in migrated} != migrated:
            raise UpgradeError(
                f"the target's schema is {made}, the migrated one {migrated}; use an empty target"
            )
        tables = [name for name in self.target.tables() if not _is_kept_apart(name)]
        for table in reversed(self.target.in_order(tables)):
            self.target.empty(table)  # what a new installation comes with

    def _airflow(self, database: Database, log: str, *arguments: str) -> None:
        """Run a command of Airflow's on a database. Raises `UpgradeError` with the end of what it wrote."""
        path = self.folder / f"{log}.log"
        environment = dict(os.environ)
        environment.pop("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC", None)
        environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] = database.url.render_as_string(
            hide_password=False
        )
        runner = ["airflow"] if database is self.target else [sys.executable, "-m", wide.__name__]
        command = [*runner, *arguments]
        with path.open("a") as out:
            ran = subprocess.run(command, stdout=out, stderr=subprocess.STDOUT, env=environment, check=False)
        if ran.returncode != 0:
            tail = "\n".join(path.read_text().splitlines()[-TAIL:])
            raise UpgradeError(
                f"airflow {' '.join(arguments)} failed on the {database.role}; the end of {path}:\n{tail}"
            )

    # ---- rows

    def _copy_out(self) -> None:
        self.scratch.ignore_foreign_keys()
        self._copy_all(self.source, self.scratch, self.source.tables(), self.state.out)

    def _copy_in(self) -> None:
        tables = self.target.in_order(name for name in self.scratch.tables() if name in self.target.tables())
        gone = [name for name in self.scratch.tables() if name not in tables]
        self._copy_all(self.scratch, self.target, [*tables, *gone], self.state.copied)
        for table in self.state.copied:
            self.target.advance_sequences(table)

    def _copy_all(self, origin: Database, copy: Database, tables: list[str], done: dict[str, Copied]) -> None:
        todo = []
        there = set(copy.tables())
        for table in tables:
            if table in done or _is_kept_apart(table):
                continue
            if table in there:
                todo.append(table)
            else:
                self._leave(origin, table)
        for table in NOT_AIRFLOWS & set(tables):
            self.state.left[table] = origin.count(table)
        self.progress.begin(f"{origin.role} to {copy.role}", sum(map(origin.count, todo)))
        for table in todo:
            done[table] = self._copy(origin, copy, table)
            self.state.save()

    def _leave(self, origin: Database, table: str) -> None:
        """Leave a table behind that the other side does not have. Raises `UpgradeError` if rows would be lost."""
        rows = origin.count(table)
        if rows and table not in self.may_leave:
            raise UpgradeError(
                f"the table {table} of the {origin.role} has {rows} rows and no place to go; "
                f"if they may be lost: --leave {table}"
            )
        self.state.left[table] = rows

    def _copy(self, origin: Database, copy: Database, table: str) -> Copied:
        columns, taken = origin.columns(table), copy.columns(table)
        if missing := columns.keys() - taken.keys():
            raise UpgradeError(f"{table} of the {copy.role} lacks the columns {', '.join(sorted(missing))}")
        # JSON may be kept as JSONB or as text: it is read as JSON on both sides if it is JSON on one.
        as_json = {column: is_json or taken[column] for column, is_json in columns.items()}
        copy.empty(table)  # of what a killed process left
        read = Reading(origin.rows(table, columns), list(as_json.values()))
        copy.insert(table, list(columns), read, self.progress.advance)
        written = copy.fingerprint(table, as_json)
        if written != read.fingerprint:
            raise UpgradeError(
                f"{table} differs: {read.fingerprint} in the {origin.role}, {written} in the {copy.role}"
            )
        return Copied(written, as_json)

    def check_unchanged(self) -> None:
        """Compare all that was copied with source and target as they are now. Raises `UpgradeError`."""
        self.progress.begin("comparing", len(self.state.out) + len(self.state.copied))
        for database, tables in ((self.source, self.state.out), (self.target, self.state.copied)):
            for table, then in tables.items():
                now = database.fingerprint(table, then.columns)
                if now != then.fingerprint:
                    raise UpgradeError(
                        f"{table} of the {database.role} has changed since it was copied: {then.fingerprint}, now "
                        f"{now}. Stop every Airflow component, and begin with an empty scratch, target and folder."
                    )
                self.progress.advance(1)


@dataclass
class Reading:
    """Rows that pass by, and their fingerprint so far."""

    rows: Iterator[tuple[Any, ...]]
    as_json: list[bool]
    fingerprint: Fingerprint = field(default_factory=Fingerprint)

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        for row in self.rows:
            self.fingerprint = self.fingerprint.add(row, self.as_json)
            yield row


def _is_kept_apart(table: str) -> bool:
    return table.startswith(VERSION_TABLES) or table in NOT_AIRFLOWS
