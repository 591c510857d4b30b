"""What the driver reads in the metadata schema, where lines of Airflow say it differently."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import LiteralString

from harness.lines import waiting


@dataclass(frozen=True, slots=True)
class Tables:
    """Queries of the metadata database. What is not here is asked in the same way in every line."""

    heartbeats: frozenset[str]
    """The jobs whose heartbeats a complete mirror has."""
    parsed_dags: LiteralString
    """(id, when it was last parsed) of those DAGs, of a list of ids, that their files still have."""
    living_dags: LiteralString
    """Ids of all DAGs that their files still have."""
    pristine_dags: LiteralString
    """The same in the pristine state (`harness.reset`)."""
    parsed_files: LiteralString
    """Path below the DAGs folder of each file with a DAG that was parsed after a time."""
    broken_files: LiteralString
    """The same for each file that cannot be imported."""
    deferrals: LiteralString
    """(run id, how often tasks of that run have deferred themselves)."""
    waiting: LiteralString
    """What the stack is at work on, and what it waits for (`harness.due`)."""
    asset_queue: LiteralString
    """(DAG id) for each event of an asset that the DAG has got while it waits for other assets."""
    kept: frozenset[str] = field(default_factory=frozenset)
    """Tables that a reset leaves alone only in this line."""


AIRFLOW_3 = Tables(
    heartbeats=frozenset({"SchedulerJob", "DagProcessorJob", "TriggererJob"}),
    parsed_dags="SELECT dag_id, last_parsed_time FROM dag WHERE NOT is_stale AND dag_id = ANY(%s)",
    living_dags="SELECT dag_id FROM dag WHERE NOT is_stale",
    pristine_dags="SELECT dag_id FROM pristine.dag WHERE NOT is_stale",
    parsed_files="SELECT relative_fileloc FROM dag WHERE last_parsed_time > %s",
    broken_files="SELECT filename FROM import_error",
    deferrals="SELECT run_id, count(*) FROM log WHERE event = 'deferred' GROUP BY run_id",
    waiting=waiting.AIRFLOW_3,
    asset_queue="SELECT target_dag_id FROM asset_dag_run_queue",
)

AIRFLOW_2 = Tables(
    heartbeats=frozenset({"SchedulerJob", "TriggererJob"}),
    parsed_dags="SELECT dag_id, last_parsed_time FROM dag WHERE is_active AND dag_id = ANY(%s)",
    living_dags="SELECT dag_id FROM dag WHERE is_active",
    pristine_dags="SELECT dag_id FROM pristine.dag WHERE is_active",
    # Both are whole paths.
    parsed_files="SELECT regexp_replace(fileloc, '^.*/content/dags/', '') FROM dag WHERE last_parsed_time > %s",
    broken_files="SELECT regexp_replace(filename, '^.*/content/dags/', '') FROM import_error",
    # It writes down no deferral, but each time that a try begins or goes on: after a deferral, or rescheduled.
    deferrals="SELECT run_id, count(*) - count(DISTINCT (dag_id, task_id, map_index, try_number))"
    " FROM log WHERE event = 'running' GROUP BY run_id",
    waiting=waiting.AIRFLOW_2,
    asset_queue="SELECT target_dag_id FROM dataset_dag_run_queue",
    # Who has logged in stays logged in, and each login is counted.
    kept=frozenset({"session", "ab_user"}),
)
