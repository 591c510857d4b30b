"""How the process of a running task instance is called in a worker."""

from __future__ import annotations

from dataclasses import dataclass
from typing import LiteralString


@dataclass(frozen=True, slots=True)
class TaskProcess:
    """`query` gives a text for (run id, task id, map index); `title` is a pattern in which ``{}`` stands for it."""

    query: LiteralString
    title: str


AIRFLOW_2 = TaskProcess(
    "SELECT job_id FROM task_instance WHERE run_id = %s AND task_id = %s AND map_index = %s",
    "airflow task runner: .* {}",
)
"""The title ends with the id of the task's job."""

AIRFLOW_3 = TaskProcess(
    "SELECT id FROM task_instance WHERE run_id = %s AND task_id = %s AND map_index = %s",
    "airflow worker -- {}",
)
