"""What a stack waits for, worked out of what the database and the sleepers say."""

import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.fernet import Fernet

from harness.due import Outlook, Sleeper, outlook, retry_moment, trigger_moment

NOW = datetime(2027, 3, 28, 1, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
KEY = Fernet.generate_key().decode()
TASK = ["dag", "run", "task", -1]
PARTS = (
    "active",
    "changed",
    "unexamined",
    "later",
    "deferred",
    "asked",
    "rescheduled",
    "retrying",
    "schedules",
    "deadlines",
)


def seen(*sleepers: Sleeper, **rows: list[Any]) -> Outlook:
    """The outlook of a database that has these rows and nothing else."""
    facts = {"at": NOW.isoformat(), "examined": None}
    return outlook({**dict.fromkeys(PARTS), **facts, **rows}, sleepers, NOW, KEY)


def stored(moment: datetime) -> str:
    """A time trigger's arguments as Airflow 3.3 stores them."""
    value = {
        "__classname__": "datetime.datetime",
        "__version__": 2,
        "__data__": {"timestamp": moment.timestamp()},
    }
    return Fernet(KEY).encrypt(json.dumps({"moment": value, "end_from_trigger": False}).encode()).decode()


def deferred(classpath: str, arguments: str = "{}", timeout: datetime | None = None) -> list[Any]:
    return [*TASK, timeout.isoformat() if timeout else None, 7, classpath, arguments]


def test_an_idle_stack_waits_for_nothing() -> None:
    assert seen() == Outlook((), (), NOW, None)


@pytest.mark.parametrize("state", ["scheduled", "queued", "running", "restarting"])
def test_a_task_that_is_on_its_way_keeps_the_clock_where_it_is(state: str) -> None:
    assert seen(active=[[*TASK, state]]).busy == (f"task of dag, run, is {state}",)


def test_a_running_task_that_sleeps_is_waited_for_until_it_wakes_up() -> None:
    asleep = Sleeper("task dag/run/task", NOW + HOUR)
    found = seen(asleep, active=[[*TASK, "running"]])
    assert found.busy == ()
    assert found.soonest is not None
    assert (found.soonest.moment, found.soonest.what) == (NOW + HOUR, "task of dag, run, wakes up")


def test_each_mapped_instance_needs_a_sleeper_of_its_own() -> None:
    rows = [["dag", "run", "task", index, "running"] for index in (0, 1)]
    asleep = Sleeper("task dag/run/task", NOW + HOUR)
    assert len(seen(asleep, active=rows).busy) == 1
    assert seen(asleep, asleep, active=rows).busy == ()


def test_a_sleeper_whose_time_has_come_is_at_work() -> None:
    asleep = Sleeper("task dag/run/task", NOW)
    assert seen(asleep, active=[[*TASK, "running"]]).busy == ("task of dag, run, is running",)


def test_a_time_trigger_is_due_at_its_moment_and_not_when_its_next_short_sleep_ends() -> None:
    asleep = Sleeper("trigger dag/run/task/-1/1 (ID 7)", NOW + HOUR)
    rows = [deferred("a.b.DateTimeTrigger", stored(NOW + 50 * HOUR))]
    found = seen(asleep, deferred=rows)
    assert [d.moment for d in found.due] == [NOW + 50 * HOUR]


def test_any_other_trigger_is_due_when_its_sleep_ends_or_its_time_is_out() -> None:
    asleep = Sleeper("trigger dag/run/task/-1/1 (ID 7)", NOW + HOUR)
    found = seen(asleep, deferred=[deferred("a.b.PollTrigger", stored(NOW), NOW + 3 * HOUR)])
    assert sorted(d.moment for d in found.due) == [NOW + HOUR, NOW + 3 * HOUR]


@pytest.mark.parametrize(
    "name", ["trigger dag/run/task/-1/1 (ID 8)", "task dag/run/task", "trigger (ID 7) later"]
)
def test_a_trigger_that_nobody_says_sleeps_is_at_work(name: str) -> None:
    found = seen(Sleeper(name, NOW + HOUR), deferred=[deferred("a.b.PollTrigger")])
    assert found.at_work == found.awake == ("the trigger of task of dag, run, (PollTrigger) does not sleep",)


def test_questions_reschedules_schedules_later_runs_and_deadlines_are_due() -> None:
    found = seen(
        asked=[[*TASK, (NOW + 5 * HOUR).isoformat()]],
        rescheduled=[[*TASK, (NOW + 4 * HOUR).isoformat()]],
        schedules=[["daily", (NOW + 3 * HOUR).isoformat()]],
        later=[["dag", "run", (NOW + 2 * HOUR).isoformat()]],
        deadlines=[[(NOW + HOUR).isoformat()]],
    )
    assert [(d.moment - NOW, d.what) for d in found.due] == [
        (5 * HOUR, "task of dag, run, gets no answer"),
        (4 * HOUR, "task of dag, run, looks again"),
        (3 * HOUR, "a run of daily is scheduled"),
        (2 * HOUR, "run run of dag may start"),
        (HOUR, "a deadline"),
    ]
    assert found.soonest is not None
    assert found.soonest.what == "a deadline"
    assert found.busy == ()


def test_what_is_due_already_has_to_happen_before_anything_is_skipped() -> None:
    found = seen(schedules=[["daily", NOW.isoformat()], ["weekly", (NOW + HOUR).isoformat()]])
    assert found.busy == ("a run of daily is scheduled: due, and not done yet",)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ({"active": [[*TASK, "running"]]}, set()),
        ({"active": [[*TASK, "queued"]]}, set()),
        ({"active": [[*TASK, "scheduled"]]}, {"scheduler"}),
        ({"active": [[*TASK, "running"]], "unexamined": [["dag", "run"]]}, {"scheduler"}),
        ({"active": [[*TASK, "running"]], "deferred": [deferred("a.PollTrigger")]}, {"triggerer"}),
        ({"schedules": [["daily", NOW.isoformat()]]}, {"scheduler"}),
        ({"schedules": [["daily", (NOW + HOUR).isoformat()]]}, set()),
        ({}, set()),
    ],
)
def test_it_is_told_whose_round_is_waited_for(rows: dict[str, list[Any]], expected: set[str]) -> None:
    assert seen(**rows).rounds == expected


def test_a_run_that_the_scheduler_has_not_looked_at_keeps_the_clock_where_it_is() -> None:
    found = seen(unexamined=[["dag", "run"]])
    assert found.busy == ()
    assert found.at_work == found.unexamined == ("the scheduler has not looked at run run of dag",)


# ---- triggers


@pytest.mark.parametrize(
    "plain",
    [
        {"moment": {"__classname__": "x", "__version__": 2, "__data__": {"timestamp": 1.5, "tz": ["UTC"]}}},
        {"__type": "dict", "__var": {"moment": {"__type": "datetime", "__var": 1.5}}},
    ],
)
def test_a_moment_is_found_however_it_was_serialized(plain: dict[str, Any]) -> None:
    expected = datetime.fromtimestamp(1.5, UTC)
    assert trigger_moment(json.dumps(plain), KEY) == expected
    assert trigger_moment(Fernet(KEY).encrypt(json.dumps(plain).encode()).decode(), KEY) == expected


@pytest.mark.parametrize("text", ["{", "{}", '{"moment": "soon"}', "gAAAA-not-ours"])
def test_arguments_that_cannot_be_read_have_no_moment(text: str) -> None:
    assert trigger_moment(text, KEY) is None


# ---- retries


def retrying(override: float | None = None, try_number: int = 1, **settings: Any) -> datetime:
    """When a task with these `settings`, whose try ended at `NOW`, is tried again."""
    dag = {"dag": {"tasks": [{"__type": "operator", "__var": {"task_id": "task", **settings}}]}}
    facts = {"key": TASK, "end": NOW.isoformat(), "try_number": try_number, "override": override}
    return retry_moment({**facts, "logical_date": None, "dag": dag})


def test_a_retry_comes_after_the_tasks_delay() -> None:
    assert retrying(retry_delay=60.0) == NOW + timedelta(seconds=60)
    assert retrying(retry_delay=0.0) == NOW
    assert retrying() == NOW + timedelta(seconds=300)
    assert retrying(
        partial_kwargs={"retry_delay": {"__var": 90.0, "__type": "timedelta"}}
    ) == NOW + timedelta(seconds=90)


def test_a_retry_policy_has_the_last_word() -> None:
    assert retrying(override=5.0, retry_delay=60.0) == NOW + timedelta(seconds=5)


def test_back_off_grows_and_adds_airflows_own_jitter() -> None:
    digest = int(hashlib.sha1(b"dag#task#None#3", usedforsecurity=False).hexdigest(), 16)
    delay = retrying(retry_delay=10.0, try_number=3, retry_exponential_backoff=True) - NOW
    assert delay == timedelta(seconds=40 + digest % 40)


def test_back_off_is_capped_by_the_task_and_by_airflow() -> None:
    capped = retrying(retry_delay=10.0, try_number=9, retry_exponential_backoff=2.0, max_retry_delay=60.0)
    assert capped == NOW + timedelta(seconds=60)
    assert retrying(retry_delay=3600.0, try_number=9, retry_exponential_backoff=3.0) == NOW + timedelta(
        days=1
    )
