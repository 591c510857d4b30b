"""Tests share a stack without meeting each other, a private one is pristine, and many runs at once are no trouble."""

import time

import pytest

from harness import reset
from harness.environment import Environment
from harness.mocks.readers import SlackReader
from harness.mocks.tenancy import new_tenant

TELLS = """
from airflow.providers.common.compat.sdk import dag, task
from airflow.providers.slack.hooks.slack import SlackHook


@dag(schedule=None, max_active_runs=200)
def tells_the_team():
    @task
    def tell(params=None):
        SlackHook(slack_conn_id="slack.ic_os_rollout").call(
            "chat.postMessage", json={"channel": "#ic-os-rollout", "text": params["word"]}
        )

    tell()


tells_the_team()
"""

ASLEEP = 130.0
"""Seconds: longer than any component waits for a sign of life of its own processes (gunicorn: 120)."""

SHORT = """
from airflow.providers.common.compat.sdk import dag, task


@dag(schedule=None, max_active_runs=200)
def says_its_number():
    @task(retries=0)
    def say(params=None):
        return params["number"]

    say()


says_its_number()
"""


def test_two_tenants_of_a_stack_see_only_their_own_messages_and_journal(
    env: Environment, slack: SlackReader
) -> None:
    neighbour = env.for_tenant(new_tenant())
    try:
        runs = []
        for mine in (env, neighbour):
            dag_id = mine.add_dag("tells_the_team", TELLS)
            runs.append(mine.airflow.trigger(dag_id, {"word": mine.tenant}))
        for run in runs:
            run.wait()
        assert [m.text for m in slack.messages()] == [env.tenant]
        assert [m.text for m in neighbour.mocks.slack.messages()] == [neighbour.tenant]
        (posted,) = [r for r in env.mocks.journal() if r.path == "/api/chat.postMessage"]
        assert (posted.run_id, posted.task_id, posted.pod) == (runs[0].run_id, "tell", "worker-1")
    finally:
        neighbour.leave()
    assert [m.text for m in slack.messages()] == [env.tenant], (
        "a neighbour who leaves takes only its own along"
    )


@pytest.mark.private_stack
def test_a_reset_brings_back_everything_that_a_test_can_change(env: Environment, slack: SlackReader) -> None:
    revision = env.content.revision
    before = {dag["dag_id"] for dag in env.airflow.pages("/dags", "dags")}
    run = env.airflow.trigger(env.add_dag("tells_the_team", TELLS), {"word": "hello"})
    run.wait()
    env.airflow.delete_connection("slack.ic_os_rollout")
    env.airflow.set_variable("made.by.a.test", "x")
    assert env.content.revision != revision
    assert reset.differences(env.database, env.line.tables), "the check can fail"
    assert not env.mocks.pristine()
    [(began,)] = env.database.rows("SELECT now()")

    env.reset(revision)

    assert reset.differences(env.database, env.line.tables) == []
    assert env.mocks.pristine()
    assert env.airflow.runs() == []
    assert env.airflow.call("GET", "/variables/made.by.a.test", missing_ok=True) is None
    assert env.airflow.call("GET", "/connections/slack.ic_os_rollout")["conn_type"] == "slack"
    assert {pod.revision for pod in env.content.pods().values()} == {revision}
    assert {dag["dag_id"] for dag in env.airflow.pages("/dags", "dags")} == before
    living = [dag_id for (dag_id,) in env.database.rows(env.line.tables.living_dags)]
    query = "SELECT min(last_parsed_time) FROM dag WHERE dag_id = ANY(%s)"
    [(parsed,)] = env.database.rows(query, [living])
    assert parsed >= began, "else the DAG processor takes the DAG for one that has gone from its file"

    again = env.airflow.trigger(env.add_dag("tells_the_team", TELLS), {"word": "again"})
    again.wait()
    assert [m.text for m in slack.messages()] == ["again"], "it works as before"


@pytest.mark.private_stack
def test_a_reset_ends_what_still_runs(env: Environment) -> None:
    revision = env.content.revision
    source = SHORT.replace("return params", "import time; time.sleep(600); return params")
    run = env.airflow.trigger(env.add_dag("says_its_number", source), {"number": 1})
    run.wait_for_task("say", "running")
    env.reset(revision)
    assert env.airflow.runs() == []
    quick = env.airflow.trigger(env.add_dag("says_its_number", SHORT), {"number": 2})
    quick.wait()
    assert quick.xcom("say") == 2


@pytest.mark.private_stack
def test_a_stack_of_which_a_container_has_ended_is_not_handed_on(env: Environment) -> None:
    revision = env.content.revision
    killed = env.line.api_server, "triggerer"  # whose health the API server tells
    for name in killed:
        env.runtime.kill(name)
    with pytest.raises(reset.ResetError, match=r"triggerer is exited \(exit code 137\)"):
        env.reset(revision)
    told = env.diagnose()
    assert "lines of triggerer, which does not run:\n" in told
    assert "Airflow's API does not tell of DAG errors: " in told
    for name in killed:
        env.runtime.restart(name)
    env.reset(revision)


@pytest.mark.slow
@pytest.mark.private_stack
def test_a_stack_that_slept_for_minutes_answers_at_once_and_runs_as_before(env: Environment) -> None:
    dag_id = env.add_dag("says_its_number", SHORT)
    env.airflow.trigger(dag_id, {"number": 1}).wait()
    serving = _processes(env, env.line.api_server)
    assert env.pause()
    # Nothing happens that could be waited for: it is the time itself that components notice.
    time.sleep(ASLEEP)
    env.wake()
    # So many requests that the web processes' parent has looked after them meanwhile.
    assert {len(env.airflow.runs()) for _ in range(50)} == {1}
    assert serving <= _processes(env, env.line.api_server), "none of them was taken for a dead one"
    again = env.airflow.trigger(dag_id, {"number": 2})
    again.wait()
    assert again.xcom("say") == 2


@pytest.mark.slow
@pytest.mark.private_stack
def test_two_hundred_runs_at_once_neither_starve_nor_time_out(env: Environment) -> None:
    dag_id = env.add_dag("says_its_number", SHORT)
    runs = [env.airflow.trigger(dag_id, {"number": number}) for number in range(200)]
    for run in runs:
        run.wait(timeout=600)
    assert [runs[n].xcom("say") for n in (0, 99, 199)] == [0, 99, 199]
    assert {row["try_number"] for row in _tries(env, dag_id)} == {1}, "no task was lost and tried again"


def _tries(env: Environment, dag_id: str) -> list[dict[str, int]]:
    return list(env.airflow.pages(f"/dags/{dag_id}/dagRuns/~/taskInstances", "task_instances"))


def _processes(env: Environment, service: str) -> set[int]:
    """The process ids in a container, but that of whoever asks."""
    ask = "import os; print(*(p for p in os.listdir('/proc') if p.isdigit() and int(p) != os.getpid()))"
    return {int(pid) for pid in env.runtime.exec(service, ["python3", "-c", ask]).output.split()}
