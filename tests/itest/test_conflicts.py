"""Conflicts in the database (SQLSTATE 40001 at COMMIT) change nothing about what runs come to."""

import pytest

from harness import database_faults, reset
from harness.environment import Environment

SHAPES = """
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
def in_conflict():
    @task
    def numbers():
        return [1, 2, 3]

    @task
    def double(n):
        return 2 * n

    @task
    def total(doubled):
        return sum(doubled)

    wait = Waits(task_id="wait", delta=timedelta(seconds=1))
    doubled = double.expand(n=numbers())
    wait >> doubled
    total(doubled)


in_conflict()
"""


@pytest.mark.only_on(
    "3", reason="nothing repeats its transactions there (airflow-image/cockroachdb/README.md)"
)
@pytest.mark.private_stack
def test_runs_come_to_the_same_while_a_fifth_of_all_commits_fail(env: Environment) -> None:
    if not reset.can_reset(env.prepared.database):
        pytest.skip("CockroachDB cannot be told to fail at a rate")
    dag = env.add_dag("in_conflict", SHAPES)
    before = database_faults.counts(env.database)
    with database_faults.failing_commits(env.database, 20):
        runs = [env.airflow.trigger(dag) for _ in range(3)]
        for run in runs:
            run.wait(timeout=180)
    after = database_faults.counts(env.database)
    assert after.failed > before.failed
    assert after.commits - before.commits > after.failed - before.failed
    for run in runs:
        assert run.xcom("total") == 12
        assert set(run.task_states().values()) == {"success"}
