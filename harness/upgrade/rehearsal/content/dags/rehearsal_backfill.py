"""A DAG whose past is filled in."""

from airflow.providers.common.compat.sdk import dag

from rehearsal_kit import START, Wait


@dag(dag_id="rehearsal_backfill", schedule="@yearly", start_date=START, catchup=False)
def backfill():
    Wait(task_id="wait")


backfill()
