"""What a session ran, counted at its sources: Airflow's own tables and the mocks' journals."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from rich.console import Console
from rich.table import Table

from harness import database_faults
from harness.environment import Environment

FILE = "report.json"
EGRESS_FILE = "egress.json"


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts of one stack, or the sum of several. `deferrals` counts every time a task deferred itself."""

    dag_runs: int = 0
    tasks: int = 0
    deferrals: int = 0
    slack_messages: int = 0
    proposals: int = 0
    log_objects: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))


@dataclass(frozen=True, slots=True)
class Report:
    """What one stack ran, and on what."""

    stack: str
    tally: Tally
    airflow: str
    topology: str
    database: str
    base_image: str
    clock: str
    settings: str
    conflicts: str = ""
    """How many COMMITs were made to fail, where that was asked for."""
    egress: tuple[str, ...] = ()
    """Attempts to get out of the stack that belong to no test, a line each."""


def save(reports: Sequence[Report], folder: Path) -> None:
    """Write the session's reports, one a stack, to ``<folder>/report.json``."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FILE).write_text(json.dumps([asdict(report) for report in reports], indent=2) + "\n")


def load(folder: Path) -> list[Report]:
    """Read what `save` wrote; raises `FileNotFoundError`."""
    return [
        Report(**{**data, "tally": Tally(**data["tally"]), "egress": tuple(data["egress"])})
        for data in json.loads((folder / FILE).read_text())
    ]


def tally(env: Environment) -> Tally:
    """What the stack has run since it was pristine: ended runs and tasks, deferrals, and what the mocks hold."""
    runs = [run for run in env.airflow.runs() if run["state"] in ("success", "failed")]
    held = env.mocks.tally()
    return Tally(
        dag_runs=len(runs),
        tasks=env.airflow.count("/dags/~/dagRuns/~/taskInstances", state=["success", "failed"]),
        deferrals=sum(env.deferrals().values()),
        slack_messages=held.slack_messages,
        proposals=held.proposals,
        log_objects=held.log_objects,
    )


def make(env: Environment, earlier: Tally) -> Report:
    """The report of `env`, with `earlier` counts from before it was reset."""
    # What a test's tenancy saw is gone with it; what is left was nobody's.
    attempts = tuple(attempt.told() for attempt in env.mocks.egress() if not attempt.run_id)
    return Report(
        env.stack,
        tally(env) + earlier,
        **env.prepared.facts(),
        conflicts=_conflicts(env),
        egress=attempts,
    )


def _conflicts(env: Environment) -> str:
    if not env.prepared.options.failures:
        return ""
    counted = database_faults.counts(env.database)
    return f"{counted.failed} of {counted.commits} COMMITs were made to fail on {env.stack}"


def show(reports: Iterable[Report], console: Console) -> None:
    """Print the table at the end of a session; several stacks are added up."""
    found = list(reports)
    if not found:
        return
    tally = sum((r.tally for r in found), Tally())
    table = Table(title="What ran in containers", show_header=False, title_justify="left")
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in asdict(tally).items():
        table.add_row(LABELS[name], str(value))
    for title, values in (
        ("Airflow", {r.airflow for r in found}),
        ("Database", {r.database for r in found}),
        ("Base image", {r.base_image for r in found}),
        ("Settings", {r.settings for r in found}),
        ("Conflicts", {r.conflicts for r in found if r.conflicts}),
    ):
        if values:
            table.add_row(title, ", ".join(sorted(values)))
    console.print(table)


def save_egress(lines: Sequence[Mapping[str, str]], folder: Path) -> None:
    """Write what tests' pods tried to reach to ``<folder>/egress.json``."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / EGRESS_FILE).write_text(json.dumps(list(lines), indent=2) + "\n")


def show_egress(lines: Sequence[Mapping[str, str]], reports: Iterable[Report], console: Console) -> None:
    """Print each attempt to get out of the stacks with the test it belongs to; nothing when there was none."""
    unknown = [
        {"test": f"no test that is known, stack {report.stack}", "what": "egress refused", "attempt": attempt}
        for report in reports
        for attempt in report.egress
    ]
    for line in (*lines, *unknown):
        console.print(f"{line['what']}: {line['attempt']} ({line['test']})")


LABELS = {
    "dag_runs": "DAG runs",
    "tasks": "Tasks",
    "deferrals": "Deferrals",
    "slack_messages": "Slack messages",
    "proposals": "Proposals",
    "log_objects": "Log objects in S3",
}
