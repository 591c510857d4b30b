"""A run that has ended, with tasks in every state in which tasks end."""

from airflow.providers.common.compat.sdk import AirflowSkipException, dag, task

from rehearsal_kit import START, post, say


@dag(dag_id="rehearsal_ended", schedule=None, start_date=START)
def ended():
    @task
    def succeed(**context):
        say(context)
        post("succeeded")
        return {"text": "é", "list": [1, None]}

    @task
    def skip(**context):
        say(context)
        raise AirflowSkipException("skipped on purpose")

    @task
    def fail(**context):
        say(context)
        raise RuntimeError("failed on purpose")

    @task
    def never():
        return "never"

    succeed()
    skip()
    fail() >> never()


ended()
