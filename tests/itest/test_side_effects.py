"""Side effects and faults on the whole mirror: a lost worker's duplicate, and a task that meets a rate limit."""

import pytest
from lost_worker import kill

from harness.checks import Expected, Validity, at_least_once, exactly_once, in_order
from harness.environment import Environment
from harness.mocks.readers import SlackReader
from harness.waits import eventually

POSTS_AND_LINGERS = """
import time
from datetime import timedelta

from airflow.providers.common.compat.sdk import dag, task
from airflow.providers.slack.hooks.slack import SlackHook


@dag(schedule=None)
def posts_and_lingers():
    @task(retries=1, retry_delay=timedelta(seconds=1))
    def tell(ti=None):
        SlackHook(slack_conn_id="slack.ic_os_rollout").call(
            "chat.postMessage", json={"channel": "#ic-os-rollout", "text": "once, please"}
        )
        if ti.try_number == 1:
            time.sleep(600)

    tell()


posts_and_lingers()
"""
POST = Expected("slack.message", target="ic-os-rollout", task_id="tell")

TELLS_MAPPED = """
from airflow.providers.common.compat.sdk import dag, task
from airflow.providers.slack.hooks.slack import SlackHook


@dag(schedule=None)
def tells_mapped():
    @task(retries=0)
    def tell(word):
        SlackHook(slack_conn_id="slack.ic_os_rollout").call(
            "chat.postMessage", json={"channel": "#ic-os-rollout", "text": word}
        )

    tell.expand(word=["first", "second"])


tells_mapped()
"""


@pytest.mark.private_stack
def test_a_worker_that_dies_after_its_post_leaves_a_duplicate_in_the_ledger(
    env: Environment, slack: SlackReader
) -> None:
    run = env.airflow.trigger(env.add_dag("posts_and_lingers", POSTS_AND_LINGERS))
    eventually(slack.messages, "the first post", 60)
    assert exactly_once(env.ledger(), POST), "so far, all is well"
    kill(env, run, "tell")
    run.wait()

    verdict = exactly_once(env.ledger(), POST)
    assert verdict.validity is Validity.INVALID
    assert "2 times instead of once" in verdict.reason
    assert at_least_once(env.ledger(), POST)
    tries = [(it.run_id, it.task_id, it.pod, it.try_number) for it in env.ledger() if POST.is_met_by(it)]
    assert tries == [(run.run_id, "tell", "worker-1", number) for number in (1, 2)]


def test_mapped_tasks_are_told_apart_in_the_ledger_and_a_fault_is_met_by_one_try(
    env: Environment, slack: SlackReader
) -> None:
    fault = slack.fail_next(429, retry_after=1, endpoint="chat.postMessage", task="tell", skip=1)
    run = env.airflow.trigger(env.add_dag("tells_mapped", TELLS_MAPPED))
    run.wait(expect=None)
    assert fault.hits() == 1
    states = run.task_states()
    assert sorted(map(str, states.values())) in (["failed", "success"], ["success", "success"]), states
    posted = {it.map_index: it.detail["text"] for it in env.ledger()}
    assert posted.items() <= {0: "first", 1: "second"}.items()
    assert posted, "the first of them met no fault"


def test_the_order_of_side_effects_can_be_checked(env: Environment) -> None:
    run = env.airflow.trigger(
        env.add_dag("tells_mapped", TELLS_MAPPED.replace("retries=0", "max_active_tis_per_dag=1"))
    )
    run.wait()
    first, second = (Expected("slack.message", map_index=index, run_id=run.run_id) for index in (0, 1))
    verdicts = [bool(in_order(env.ledger(), *pair)) for pair in ((first, second), (second, first))]
    assert sorted(verdicts) == [False, True]
