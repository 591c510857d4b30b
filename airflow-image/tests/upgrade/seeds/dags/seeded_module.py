"""Imports a module that only the old image has."""

from airflow.providers.common.compat.sdk import dag, task
from airflow.providers.standard.seeded import THING

from rehearsal_kit import START, Wait


@dag(dag_id="seeded_module", schedule=None, start_date=START)
def seeded_module():
    @task
    def use():
        return THING

    Wait(task_id="wait") >> use()


seeded_module()
