"""The virtual clock: jumps that nothing notices but by the time, and skipping that jumps past nothing."""

import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from harness import statement_log
from harness.clock import ClockError
from harness.environment import Environment
from harness.waits import eventually

pytestmark = pytest.mark.private_stack(clock=True)

SLEEPER = '''
"""A task that sleeps for so many days, and tells when it woke up."""
from __future__ import annotations

import time
from itertools import pairwise
from datetime import datetime, timezone

from airflow.providers.common.compat.sdk import Param, dag, task


@dag(dag_id="clock_sleeper", schedule=None, params={"days": Param(1, type="number")})
def sleeper():
    @task
    def sleep(params):
        time.sleep(params["days"] * 86400)
        return datetime.now(timezone.utc).isoformat()

    sleep()


sleeper()
'''

RETRYING = '''
"""Fails twice; the second try comes a day after the first, the third two to four days after that."""
from __future__ import annotations

from datetime import datetime, timedelta, timezone

from airflow.providers.common.compat.sdk import dag, task


@dag(dag_id="clock_retrying", schedule=None)
def retrying():
    @task(retries=2, retry_delay=timedelta(hours=6), retry_exponential_backoff=True)
    def stubborn(ti):
        if ti.try_number < 3:
            raise RuntimeError("not yet")
        return datetime.now(timezone.utc).isoformat()

    stubborn()


retrying()
'''

ZURICH = '''
"""Every day at seven in Zurich, summer and winter."""
from __future__ import annotations

from datetime import datetime, timezone

import pendulum
from airflow.providers.common.compat.sdk import dag, task

try:
    from airflow.sdk import CronTriggerTimetable
except ImportError:  # Airflow 2.11
    from airflow.timetables.trigger import CronTriggerTimetable


@dag(
    dag_id="clock_zurich",
    schedule=CronTriggerTimetable("0 7 * * *", timezone="Europe/Zurich"),
    start_date=pendulum.datetime(2026, 1, 1, tz="Europe/Zurich"),
    catchup=False,
    is_paused_upon_creation=False,
)
def zurich():
    @task
    def tell():
        return datetime.now(timezone.utc).isoformat()

    tell()


zurich()
'''


WAITING = '''
"""Is deferred for three days, and tells when it went on."""
from __future__ import annotations

from datetime import datetime, timedelta, timezone

from airflow.providers.common.compat.sdk import BaseOperator, dag
from airflow.providers.standard.triggers.temporal import TimeDeltaTrigger


class ThreeDays(BaseOperator):
    def execute(self, context):
        self.defer(trigger=TimeDeltaTrigger(timedelta(days=3)), method_name="resume")

    def resume(self, context, event=None):
        return datetime.now(timezone.utc).isoformat()


@dag(dag_id="clock_waiting", schedule=None)
def waiting():
    ThreeDays(task_id="wait")


waiting()
'''

ASKING = '''
"""Asks people, and has its own answer if none of them gives one within three days."""
from __future__ import annotations

from datetime import timedelta

from airflow.providers.common.compat.sdk import dag
from airflow.providers.standard.operators.hitl import HITLOperator


@dag(dag_id="clock_asking", schedule=None)
def asking():
    HITLOperator(
        task_id="ask", subject="Go on?", options=["yes", "no"], defaults="no", response_timeout=timedelta(days=3)
    )


asking()
'''

SAYS = '''
"""Says a word."""
from __future__ import annotations

from airflow.providers.common.compat.sdk import dag, task


@dag(dag_id="clock_says", schedule=None)
def says():
    @task
    def say():
        return "before"

    say()


says()
'''


def moment(value: object) -> datetime:
    """A time that a task returned."""
    return datetime.fromisoformat(str(value))


PLACES = """
import ctypes, time
library = ctypes.CDLL(None)
begin, end = library.virtual_clock_sleep_begins, library.virtual_clock_sleep_ends
begin.argtypes, end.argtypes = [ctypes.c_int64, ctypes.c_char_p], [ctypes.c_int, ctypes.c_int64]
now, hour = time.time_ns(), 3600 * 10**9
late, next_one = now - 2 * hour, now + hour
place = begin(late, b"jumped over, and has not noticed yet")
assert begin(next_one, b"woke up first") == place, "its place counts as one that was left behind"
end(place, late)
other = begin(next_one, b"comes last")
assert other != place
end(place, next_one), end(other, next_one)
print("kept")
"""


def test_a_running_task_survives_jumps_of_hours_days_and_months(env: Environment) -> None:
    run = env.airflow.trigger(env.add_dag("clock_sleeper", SLEEPER), {"days": 100})
    run.wait_for_task("sleep", "running")
    (due,) = env.clock.wait_until_idle().due
    assert "sleep of clock_sleeper" in due.what
    began = due.moment - timedelta(days=100)
    for span in (timedelta(minutes=10), timedelta(hours=3), timedelta(days=7), timedelta(days=60)):
        env.clock.advance(span)
    assert run.task_states() == {"sleep": "running"}
    env.clock.skip_until_ended(run)
    assert run.wait() == "success"
    woke = moment(run.xcom("sleep"))
    assert abs(woke - began - timedelta(days=100)) < timedelta(minutes=1)
    assert [ti.try_number for ti in run.task_instances()] == [1]
    assert "Done" in run.logs("sleep")


@pytest.mark.slow_on("2.11", reason="its rounds are heavier there; others jump on it, too")
def test_retries_with_back_off_come_when_they_are_due_and_not_a_minute_later(env: Environment) -> None:
    run = env.airflow.trigger(env.add_dag("clock_retrying", RETRYING))
    began = env.clock.now()
    env.clock.skip_until_ended(run)
    assert run.wait() == "success"
    tries = env.database.rows(
        "SELECT try_number, start_date, end_date FROM task_instance_history WHERE dag_id = 'clock_retrying'"
        " UNION SELECT try_number, start_date, end_date FROM task_instance WHERE dag_id = 'clock_retrying' ORDER BY 1"
    )
    gaps = [later[1] - earlier[2] for earlier, later in pairwise(tries)]
    assert timedelta(hours=6) <= gaps[0] < timedelta(hours=12)
    assert timedelta(hours=12) <= gaps[1] < timedelta(hours=24)
    assert env.clock.now() - began < timedelta(hours=36)
    jumps = [e for e in env.clock.jumps() if "is tried again" in str(e["why"])]
    late = [tries[n + 1][1] - datetime.fromisoformat(str(e["now"])) for n, e in enumerate(jumps)]
    assert [timedelta(0) <= delay < timedelta(minutes=1) for delay in late] == [True, True]


@pytest.mark.slow
@pytest.mark.only_on("3", reason="people are asked nothing before")
def test_an_answer_is_waited_for_as_long_as_it_may_take(env: Environment) -> None:
    run = env.airflow.trigger(env.add_dag("clock_asking", ASKING))
    (due,) = env.clock.wait_until_idle().due
    assert due.what.startswith("ask of clock_asking")
    env.clock.skip_until_ended(run)
    assert run.wait() == "success"
    assert run.xcom("ask")["chosen_options"] == ["no"]
    [(ended,)] = env.database.rows("SELECT end_date FROM dag_run WHERE run_id = %s", [run.run_id])
    assert timedelta(0) <= ended - due.moment < timedelta(minutes=1)


@pytest.mark.slow_on("2.11", reason="its rounds are heavier there; others jump on it, too")
def test_a_schedule_in_local_time_runs_each_day_across_the_end_of_daylight_saving(env: Environment) -> None:
    zone = ZoneInfo("Europe/Zurich")
    year = env.clock.now().year + 1
    # The last Sunday of March, when Zurich goes from UTC+1 to UTC+2.
    change = max(d for n in range(25, 32) if (d := datetime(year, 3, n, tzinfo=zone)).weekday() == 6)
    env.clock.set((change - timedelta(days=2)).replace(hour=12).astimezone(UTC))
    dag_id = env.add_dag("clock_zurich", ZURICH)
    count = "SELECT count(*) FROM dag_run WHERE dag_id = %s AND state = 'success' AND run_type = 'scheduled'"
    env.clock.skip_until(lambda: env.database.rows(count, [dag_id])[0][0] >= 5, "five mornings")
    started = [
        when.astimezone(zone)
        for (when,) in env.database.rows(
            "SELECT start_date FROM dag_run WHERE dag_id = %s AND run_type = 'scheduled' ORDER BY start_date",
            [dag_id],
        )
    ]
    mornings = [when for when in started if when.date() >= (change - timedelta(days=1)).date()]
    days = [(change + timedelta(days=n - 1)).date() for n in range(len(mornings))]
    assert [when.date() for when in mornings] == days
    assert [(when.hour, when.minute) for when in mornings] == [(7, 0)] * len(mornings)
    assert {when.utcoffset() for when in mornings} == {timedelta(hours=1), timedelta(hours=2)}


def test_components_count_as_healthy_right_after_a_jump(env: Environment) -> None:
    env.clock.advance(timedelta(days=30))
    health = env.airflow.health()
    # Airflow 2 names a DAG processor, too, which is inside the scheduler and has no status of its own.
    told = {name: facts["status"] for name, facts in health.items() if facts["status"]}
    assert told == dict.fromkeys(told, "healthy")
    assert {"scheduler", "triggerer"} <= told.keys()
    served = {pod: state.revision for pod, state in env.content.pods().items()}
    assert set(served.values()) == {env.content.revision}


@pytest.mark.slow
@pytest.mark.private_stack(clock=True, topology="two-triggerers")
def test_two_triggerers_keep_their_triggers_at_jumps(env: Environment) -> None:
    dag_id = env.add_dag("clock_waiting", WAITING)
    held = "SELECT id, triggerer_id FROM trigger WHERE triggerer_id IS NOT NULL ORDER BY id"
    runs = []
    for other in ("triggerer", "triggerer-2"):
        # Whoever looks first takes them all.
        env.runtime.pause(other)
        runs.append(env.airflow.trigger(dag_id))
        runs[-1].wait_for_task("wait", "deferred")
        eventually(lambda: len(env.database.rows(held)) == len(runs), "a triggerer to take the trigger", 30)
        env.runtime.unpause(other)
    holders = env.database.rows(held)
    assert len({triggerer for _, triggerer in holders}) == 2
    due = env.clock.now() + timedelta(days=3)
    beating = "SELECT id FROM job WHERE job_type = 'TriggererJob' AND latest_heartbeat > %s"
    for _ in range(2):
        env.clock.advance(timedelta(days=1))
        jumped = env.clock.now()
        eventually(
            lambda at=jumped: len(env.database.rows(beating, [at])) == 2,
            "both triggerers to have lived on",
            60,
        )
        assert env.database.rows(held) == holders
    for run in runs:
        env.clock.skip_until_ended(run)
        assert run.wait() == "success"
        assert abs(moment(run.xcom("wait")) - due) < timedelta(minutes=2)
        assert [ti.try_number for ti in run.task_instances()] == [1]


def test_who_wakes_up_late_leaves_the_place_of_another_alone(env: Environment) -> None:
    """Two triggers that a jump wakes: the first takes the place of the second, which then wakes up and frees it."""
    assert env.runtime.exec("triggerer", ["python3", "-c", PLACES]).output == "kept\n"


@pytest.mark.slow
def test_a_task_that_waits_for_a_worker_during_a_jump_is_not_taken_for_a_lost_one(env: Environment) -> None:
    dag_id = env.add_dag("clock_says", SAYS)
    env.runtime.pause("worker-1")
    run = env.airflow.trigger(dag_id)
    run.wait_for_task("say", "queued")
    env.clock.advance(timedelta(days=1))
    # Every two minutes of real time, the scheduler asks for tasks that have been queued for too long.
    asked = "SELECT sum(calls) FROM pg_stat_statements WHERE query LIKE '%%queued_dttm <%%'"
    env.database.run(statement_log.EXTENSION)
    before = env.database.rows(asked)
    eventually(lambda: env.database.rows(asked) != before, "the scheduler to look for lost tasks", 180)
    env.runtime.unpause("worker-1")
    assert run.wait() == "success"
    assert env.database.rows("SELECT event FROM log WHERE event LIKE '%%stuck%%'") == []


@pytest.mark.slow
def test_a_task_that_runs_during_a_jump_is_handed_to_no_other_process(env: Environment) -> None:
    run = env.airflow.trigger(env.add_dag("clock_sleeper", SLEEPER), {"days": 100})
    run.wait_for_task("sleep", "running")
    env.clock.advance(timedelta(days=2))

    def looked() -> int:
        """How often the worker has asked for messages that nobody has acknowledged for too long; every hundred s."""
        told = env.runtime.exec("redis", ["redis-cli", "info", "commandstats"]).output
        found = re.search(r"cmdstat_zrevrangebyscore:calls=(\d+)", told)
        return int(found[1]) if found else 0

    before = looked()
    eventually(lambda: looked() > before, "the worker to look for messages that were lost", 150)
    env.clock.skip_until_ended(run)
    assert run.wait() == "success"
    received = re.findall(r"execute_workload\[\S+ received", env.runtime.logs("worker-1"))
    assert len(received) == 1


def test_a_jump_parses_no_file_again_and_what_is_pushed_after_it_is_parsed_at_once(env: Environment) -> None:
    dag_id = env.add_dag("clock_says", SAYS)
    parsed = "SELECT dag_id, last_parsed_time FROM dag WHERE dag_id <> %s ORDER BY dag_id"
    before = env.database.rows(parsed, [dag_id])
    assert before
    env.clock.advance(timedelta(days=30))
    pushed = env.clock.now()
    revision = env.content.push_changes({f"dags/{dag_id}.py": SAYS.replace("before", "after")})
    env.content.deliver(revision)
    env.airflow.wait_for_dag(dag_id, parsed_after=pushed.isoformat())
    run = env.airflow.trigger(dag_id)
    assert run.wait() == "success"
    assert run.xcom("say") == "after"
    assert env.database.rows(parsed, [dag_id]) == before


def test_the_clock_is_the_same_in_every_container_and_never_goes_back(env: Environment) -> None:
    before = env.clock.offset()
    env.clock.advance(timedelta(days=400))
    with pytest.raises(ClockError, match="does not go back"):
        env.clock.advance(timedelta(seconds=-1))
    with pytest.raises(ClockError, match="does not go back"):
        env.clock.set(env.clock.now() - timedelta(days=1))
    pods = (name for pod in env.topology.pods for name in (pod.name, pod.syncer_name))
    for name in (*pods, "mocks"):
        seen = float(env.runtime.exec(name, ["python3", "-c", "import time; print(time.time())"]).output)
        assert abs(seen - env.clock.now().timestamp()) < 60, name
    [(now,)] = env.database.rows("SELECT now()")
    assert abs(now - env.clock.now()) < timedelta(minutes=1)
    assert env.clock.offset() - before == timedelta(days=400)


def test_when_nothing_is_due_skipping_ends_with_the_reason(env: Environment) -> None:
    with pytest.raises(ClockError, match="a miracle: nothing is at work and nothing is due"):
        env.clock.skip_until(lambda: False, "a miracle")
