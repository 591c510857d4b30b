"""Fill a metadata database of Airflow 3.2 with what a busy year leaves. Run inside the old image; prints counts.

One run of the DAG `waits` is real and deferred; the others are made from it.
"""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from airflow import settings
from airflow.models import import_all_models
from airflow.models.connection import Connection
from airflow.models.dagrun import DagRun
from airflow.models.renderedtifields import RenderedTaskInstanceFields
from airflow.models.taskinstance import TaskInstance
from airflow.models.trigger import Trigger
from airflow.models.variable import Variable
from airflow.models.xcom import XComModel
from airflow.utils.session import create_session

RUNS = 60
TASKS = 100
START = datetime(2026, 1, 1, tzinfo=UTC)


def copy_of(row: sa.Row, **changes: object) -> dict[str, object]:
    return {**row._mapping, **changes}


def main() -> None:
    import_all_models()
    run_table, task_table = DagRun.__table__, TaskInstance.__table__
    with create_session() as session:
        run = session.execute(sa.select(run_table).where(run_table.c.dag_id == "waits")).first()
        task = session.execute(sa.select(task_table).where(task_table.c.dag_id == "waits")).first()
        assert run is not None
        assert task is not None
        for number in range(RUNS):
            when = START + timedelta(hours=number)
            changes = {
                "run_id": f"busy__{number}",
                "state": "success",
                "logical_date": when,
                "end_date": when,
            }
            values = copy_of(run, **changes)
            del values["id"]
            session.execute(sa.insert(run_table).values(values))
        rows = []
        for number in range(RUNS):
            for index in range(TASKS):
                identity = {"id": uuid.uuid4(), "run_id": f"busy__{number}", "map_index": index}
                rows.append(copy_of(task, **identity, state="success", trigger_id=None, pid=number))
        session.execute(sa.insert(task_table), rows)
        add_what_tasks_leave(session, task.task_id)
        add_what_people_make(session)
    with settings.engine.connect() as connection:
        tables = ("task_instance", "xcom", "trigger", "connection", "variable", "dag_version")
        counts = {t: connection.scalar(sa.text(f"SELECT count(*) FROM {t}")) for t in tables}
        counts["rendered"] = connection.scalar(sa.text("SELECT count(*) FROM rendered_task_instance_fields"))
    print("POPULATED", json.dumps(counts))


def add_what_tasks_leave(session, task_id: str) -> None:  # type: ignore[no-untyped-def]
    values = [
        {"n": 1, "b": [1.5, 1e3, None]},
        "text \u00e9 \n",
        12345678901234567890,
        {"z": 1, "a": {"y": "\\"}},
    ]
    runs = dict(
        session.execute(sa.select(DagRun.run_id, DagRun.id).where(DagRun.run_id.like("busy__%"))).all()
    )
    for number in range(RUNS):
        run_id = f"busy__{number}"
        key = {"dag_id": "waits", "run_id": run_id, "task_id": task_id}
        for index in range(10):
            session.add(
                XComModel(
                    **key,
                    key="return_value",
                    map_index=index,
                    value=values[index % 4],
                    dag_run_id=runs[run_id],
                )
            )
            fields = {"command": f"echo {index}", "env": {"K": ["v", index]}}
            session.execute(
                sa.insert(RenderedTaskInstanceFields.__table__).values(
                    **key, map_index=index, rendered_fields=fields
                )
            )


def add_what_people_make(session) -> None:  # type: ignore[no-untyped-def]
    for number in range(20):
        session.add(Connection(conn_id=f"c{number}", conn_type="http", host="h", password=f"p{number}"))
        Variable.set(f"v{number}", json.dumps({"n": number}), session=session)
    for number in range(50):
        trigger = Trigger(
            classpath="airflow.providers.standard.triggers.temporal.DateTimeTrigger",
            kwargs={"moment": datetime(2030, 1, 1, tzinfo=UTC), "end_from_trigger": False},
        )
        session.add(trigger)
        session.flush()
        session.execute(
            sa.update(TaskInstance)
            .where(TaskInstance.run_id == f"busy__{number}", TaskInstance.map_index == 0)
            .values(state="deferred", trigger_id=trigger.id, next_method="execute_complete", next_kwargs={})
        )


if __name__ == "__main__":
    main()
