"""Runs that wait for their moment: in a trigger, before a task that has not begun, in a sensor, by index."""

from airflow.providers.common.compat.sdk import dag, task

from rehearsal_kit import START, Look, Wait, post, say


@task
def begin(**context):
    say(context)
    post("begun")
    return {"begun": [1, 2.5, "three"]}


@task
def conclude(begun, **context):
    say(context)
    post(f"concluded {begun}")
    return begun


@dag(dag_id="rehearsal_deferred", schedule=None, start_date=START)
def deferred():
    begun = begin()
    waiting = Wait(task_id="wait")
    begun >> waiting >> conclude(begun)


@dag(dag_id="rehearsal_not_begun", schedule=None, start_date=START)
def not_begun():
    begun = begin()
    waiting = Wait(task_id="wait")
    begun >> waiting >> conclude(begun)


@dag(dag_id="rehearsal_rescheduled", schedule=None, start_date=START)
def rescheduled():
    begun = begin()
    looking = Look(task_id="look")
    begun >> looking >> conclude(begun)


@dag(dag_id="rehearsal_mapped", schedule=None, start_date=START)
def mapped():
    @task
    def numbers(**context):
        say(context)
        return [0, 1, 2, 3]

    @task
    def total(each, **context):
        say(context)
        return sum(each)

    total(Wait.partial(task_id="each").expand(number=numbers()).output)


deferred()
not_begun()
rescheduled()
mapped()
