"""What a run comes to when the database is slow, or is restarted under it."""

import pytest

from harness import database_faults, reset
from harness.environment import Environment
from harness.waits import eventually
from harness.watcher import TERMINAL

WAITS = """
from datetime import timedelta
from functools import partial

from airflow.providers.common.compat.sdk import dag, task

try:
    from airflow.providers.standard.sensors.time_delta import TimeDeltaSensor
except ImportError:  # Airflow 2.11
    from airflow.sensors.time_delta import TimeDeltaSensorAsync as Waits
else:
    Waits = partial(TimeDeltaSensor, deferrable=True)


@dag(schedule=None)
def waits_meanwhile():
    @task
    def numbers():
        return [1, 2]

    @task
    def double(n):
        return 2 * n

    @task
    def total(doubled):
        return sum(doubled)

    wait = Waits(task_id="wait", delta=timedelta(seconds=2))
    doubled = double.expand(n=numbers())
    wait >> doubled
    total(doubled)


waits_meanwhile()
"""


@pytest.fixture(autouse=True)
def stand_in(env: Environment) -> None:
    if not reset.can_reset(env.prepared.database):
        pytest.skip(
            "CockroachDB cannot be slowed down, and loses what it holds in memory when it is restarted"
        )


@pytest.mark.private_stack
def test_a_run_comes_to_the_same_while_one_statement_in_ten_is_slow(env: Environment) -> None:
    dag = env.add_dag("waits_meanwhile", WAITS)
    before = database_faults.counts(env.database)
    with database_faults.slow_statements(env.database, 0.5, percent=10):
        run = env.airflow.trigger(dag)
        run.wait(timeout=180)
    assert database_faults.counts(env.database).slow_statements > before.slow_statements + 10
    assert run.xcom("total") == 6


# A task's log goes to S3 by way of a connection, and boto3 asks the cloud when the database cannot tell it.
@pytest.mark.expects_egress("169.254.169.254")
@pytest.mark.slow
@pytest.mark.private_stack
def test_a_run_survives_a_restart_of_the_database(
    env: Environment, capsys: pytest.CaptureFixture[str]
) -> None:
    dag = env.add_dag("waits_meanwhile", WAITS.replace("seconds=2", "seconds=20"))
    run = env.airflow.trigger(dag)
    run.wait_for_task("wait", "deferred")
    with database_faults.down(env):
        pass
    ended: set[str] = set()

    def over() -> bool:
        ended.update(restart_what_ended(env))
        return run.state in TERMINAL

    # A component may notice late, when it next uses its connection.
    eventually(over, "the run to end", 240, interval=1, describe=env.diagnose)
    env.history.record("restarted", components=sorted(ended))
    with capsys.disabled():
        print(f"\na restart of the database ended: {', '.join(sorted(ended)) or 'no component'}")
    assert run.xcom("total") == 6
    assert set(run.task_states().values()) == {"success"}
    assert ended <= {"scheduler", env.line.parser.service, "triggerer"}, "the API server and workers go on"


def restart_what_ended(env: Environment) -> set[str]:
    """What the kubelet does: start components again that have ended."""
    states = env.runtime.states()
    ended = {pod.name for pod in env.topology.pods if states[pod.name].status == "exited"}
    for name in ended:
        env.runtime.restart(name)
    return ended
