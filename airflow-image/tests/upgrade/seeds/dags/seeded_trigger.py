"""Defers to a trigger that has another place in the new image."""

from airflow.providers.common.compat.sdk import BaseOperator, dag

from rehearsal_kit import START, until


class Deferring(BaseOperator):
    def execute(self, context):
        try:
            from airflow.providers.standard.triggers.former import SeededTrigger
        except ImportError:
            from airflow.providers.standard.triggers.latter import SeededTrigger
        self.defer(trigger=SeededTrigger(until(context).timestamp()), method_name="resume")

    def resume(self, context, event=None):
        return event


@dag(dag_id="seeded_trigger", schedule=None, start_date=START)
def seeded_trigger():
    Deferring(task_id="wait")


seeded_trigger()
