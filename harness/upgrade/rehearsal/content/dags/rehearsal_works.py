"""Runs whose tasks are at work, or about to be: running, queued, kept back by a pool, tried again."""

from datetime import timedelta

from airflow.providers.common.compat.sdk import dag, task

from rehearsal_kit import START, Wait, post, say, wait_at_gate


@dag(dag_id="rehearsal_running", schedule=None, start_date=START)
def running():
    @task(retries=1, retry_delay=timedelta(minutes=5))
    def work(ti, **context):
        say({"ti": ti})
        post("works")
        wait_at_gate(context["run_id"])
        return "worked"

    work()


@dag(dag_id="rehearsal_finishing", schedule=None, start_date=START)
def finishing():
    @task
    def work(ti, **context):
        say({"ti": ti})
        wait_at_gate(context["run_id"])
        post("finished")
        return "worked"

    work()


@dag(dag_id="rehearsal_queued", schedule=None, start_date=START)
def queued():
    @task(queue="rehearsal_later")
    def later(**context):
        say(context)
        post("served")
        return "served"

    later()


@dag(dag_id="rehearsal_scheduled", schedule=None, start_date=START)
def scheduled():
    @task(pool="rehearsal_closed")
    def enter(**context):
        say(context)
        return "entered"

    enter()


@dag(dag_id="rehearsal_pool", schedule=None, start_date=START)
def pool():
    @task(pool="rehearsal_one")
    def second(**context):
        say(context)
        return "second"

    # The first has the only slot while it is deferred; the second has a lower weight.
    Wait(task_id="first", pool="rehearsal_one", priority_weight=10)
    second()


@dag(dag_id="rehearsal_retried", schedule=None, start_date=START)
def retried():
    @task(retries=1, retry_delay=timedelta(hours=1))
    def stubborn(ti):
        say({"ti": ti})
        post("tries")
        if ti.try_number < 2:
            raise RuntimeError("not at the first try")
        return "tried"

    stubborn()


@dag(dag_id="rehearsal_paused", schedule=None, start_date=START)
def paused():
    @task
    def work(**context):
        say(context)
        post("unpaused")
        return "worked"

    work()


running()
finishing()
queued()
scheduled()
pool()
retried()
paused()
