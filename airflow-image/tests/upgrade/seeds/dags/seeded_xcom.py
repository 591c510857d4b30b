"""Pushes a value whose class only the old image has."""

from airflow.providers.common.compat.sdk import dag, task

from rehearsal_kit import START, Wait


@dag(dag_id="seeded_xcom", schedule=None, start_date=START)
def seeded_xcom():
    @task
    def push():
        from airflow.providers.standard.seeded_value import SeededValue

        return SeededValue(7)

    @task
    def read(value):
        return value.number

    pushed = push()
    pushed >> Wait(task_id="wait") >> read(pushed)


seeded_xcom()
