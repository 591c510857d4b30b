"""A DAG whose run is deferred in the old Airflow and goes on in the new one."""

from datetime import timedelta

from airflow.providers.standard.sensors.time_delta import TimeDeltaSensor
from airflow.sdk import dag, task


@dag(schedule=None)
def waits():
    @task
    def after():
        return "went on"

    TimeDeltaSensor(task_id="wait", delta=timedelta(seconds=60), deferrable=True) >> after()


waits()
