"""A task that waits for a person's answer. Only Airflow 3 has that."""

from airflow.providers.common.compat.sdk import dag, task

from rehearsal_kit import START, post, say

try:
    from airflow.providers.standard.operators.hitl import HITLOperator
except ImportError:
    HITLOperator = None

if HITLOperator is not None:

    @dag(dag_id="rehearsal_human", schedule=None, start_date=START)
    def human():
        @task
        def obey(answer, **context):
            say(context)
            post(f"told {answer['chosen_options']}")
            return answer["chosen_options"]

        obey(HITLOperator(task_id="ask", subject="Go on?", options=["yes", "no"]).output)

    human()
