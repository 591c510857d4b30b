"""The lines of Airflow that the harness knows, and everything that differs between them (ADR 0027).

A `Line` is chosen by version, once. Nobody else compares versions: who needs to know asks the line.
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.lines import rest, tables, tasks
from harness.lines.parsing import DAG_PROCESSOR_POD, INSIDE_SCHEDULER, Parser
from harness.lines.rest import Rest
from harness.lines.tables import Tables
from harness.lines.tasks import TaskProcess
from harness.releases import LineName, line_name
from harness.services import airflow, airflow2, airflow3


@dataclass(frozen=True, slots=True)
class Line:
    """What is particular to one line of Airflow."""

    name: LineName
    components: type[airflow.Components]
    """Its pods, and how its schema is made."""
    rest: Rest
    """Its REST API, as `harness.airflow` speaks it."""
    tables: Tables
    """Its metadata schema, as the driver reads it."""
    parser: Parser
    """Which of its pods parses DAG files, and how that shows."""
    task_process: TaskProcess
    """How a task's process is found in a worker."""
    repeats_transactions: bool
    """Whether connections repeat a transaction that CockroachDB has ended (ADR 0020)."""

    @property
    def api_server(self) -> str:
        """The pod with UI and REST API."""
        return self.components.API_SERVER


AIRFLOW_2 = Line(
    name="2.11",
    components=airflow2.Components,
    rest=rest.V1,
    tables=tables.AIRFLOW_2,
    parser=INSIDE_SCHEDULER,
    task_process=tasks.AIRFLOW_2,
    repeats_transactions=False,
)

AIRFLOW_3 = Line(
    name="3",
    components=airflow3.Components,
    rest=rest.V2,
    tables=tables.AIRFLOW_3,
    parser=DAG_PROCESSOR_POD,
    task_process=tasks.AIRFLOW_3,
    repeats_transactions=True,
)

LINES = {line.name: line for line in (AIRFLOW_2, AIRFLOW_3)}


def line_for(version: str) -> Line:
    """The line of a version such as ``2.11.2``; raises `UnknownReleaseError`."""
    return LINES[line_name(version)]
