"""When a batch or a wave begins, and with what: calendars, and sheets that were edited."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred
from in_memory_ic import NEW, SUBNETS, InMemoryIc

from dfinity.allowed_hours import AllowedHours
from dfinity.node_rollout import WaveRollout, WaveStep
from dfinity.rollout import Rollout, SubnetRollout
from sensors.batch_start import HELD_FOR, READ_EVERY, WaitForBatchStart
from sensors.wave_start import WaitForWaveStart

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
WEEK = "2026-11-23"
HEADER = ["Day", "Time (UTC)", "Subnets", "Batch"]
PLANNED = {1: (SUBNETS[:2], NOW - timedelta(hours=3)), 2: (SUBNETS[2:3], NOW + timedelta(hours=1))}
PARAMS = {
    "git_revision": NEW,
    "week": WEEK,
    "spreadsheet_id": "sheet-id",
    "plan": None,
    "simulate": False,
    "sensor_interval": 60,
}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[datetime]:
    """The time that sensors see, in its only item."""
    times = [NOW]

    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return times[0]

    for module in ("sensors.batch_start", "sensors.wave_start", "operators.plan_rollout"):
        monkeypatch.setattr(f"{module}.datetime", Clock)
    return times


def rollout(sheet: str | None, read: timedelta = timedelta(hours=3)) -> dict[str, Any]:
    batches = {
        number: tuple(
            SubnetRollout(name, 13, NEW, number, start.isoformat(), simulate=False, sensor_interval=60)
            for name in names
        )
        for number, (names, start) in PLANNED.items()
    }
    return Rollout(NEW, WEEK, False, batches, sheet, (NOW - read).isoformat()).to_payload()


class Pulls:
    """The task instance's results of earlier tasks."""

    def xcom_pull(self, task_ids: str) -> Any:
        assert task_ids == "batch_1.wait_for_start"
        return rollout(None)["batches"]["1"]


@pytest.fixture
def rows(ic: InMemoryIc, monkeypatch: pytest.MonkeyPatch, clock: Any) -> list[list[str]]:
    """The rows of the sheet as it is now."""
    now = [HEADER, ["Monday", "9:00", "io67a, xok3w", ""], ["", "13:00", "vcpt7", ""]]

    class InMemorySheets:
        def __init__(self, gcp_conn_id: str) -> None:
            pass

        def get_values(self, spreadsheet_id: str, range_: str) -> Any:
            assert (spreadsheet_id, range_) == ("sheet-id", f"'{WEEK}'!A:E")
            return now

    monkeypatch.setattr("airflow.providers.google.suite.hooks.sheets.GSheetsHook", InMemorySheets)
    monkeypatch.setattr("operators.plan_operator.BaseHook.get_connection", lambda _: None)
    return now


Begin = Callable[..., list[str]]


@pytest.fixture
def begin(slack: list[Any]) -> Begin:
    """Looks whether batch 2 begins now, as it does when resumed: the subnets. Raises TaskDeferred."""

    def look(sheet: str | None = "sheet-id", **kwargs: Any) -> list[str]:
        sensor = WaitForBatchStart(task_id="batch_2.wait_for_start", rollout=rollout(sheet), batch=2)
        found = sensor.execute_complete({"params": PARAMS, "ti": Pulls()}, **kwargs)
        return [item["subnet_id"] for item in found]

    return look


def deferral(act: Callable[[], Any]) -> TaskDeferred:
    with pytest.raises(TaskDeferred) as deferred:
        act()
    return deferred.value


def test_a_batch_that_is_due_starts_without_a_deferral(clock: Any) -> None:
    sensor = WaitForBatchStart(task_id="start", rollout=rollout(None), batch=1)
    assert sensor.execute({}) == rollout(None)["batches"]["1"]


def test_a_batch_of_the_future_is_left_to_the_triggerer_until_its_start(clock: Any) -> None:
    sensor = WaitForBatchStart(task_id="start", rollout=rollout(None), batch=2)
    found = deferral(lambda: sensor.execute({}))
    assert found.trigger.moment == PLANNED[2][1]
    assert found.timeout is None
    assert [item["subnet_id"] for item in sensor.execute_complete({})] == SUBNETS[2:3]


def test_a_sheet_is_read_again_at_the_start_and_every_few_hours_before(clock: list[datetime]) -> None:
    clock[0] = NOW - timedelta(days=1)
    sensor = WaitForBatchStart(task_id="start", rollout=rollout("sheet-id"), batch=2)
    assert deferral(lambda: sensor.execute({})).trigger.moment == clock[0] + READ_EVERY
    clock[0] = NOW
    assert deferral(lambda: sensor.execute({})).trigger.moment == PLANNED[2][1]


def test_a_sheet_that_was_read_minutes_ago_is_not_read_again(clock: Any) -> None:
    fresh = rollout("sheet-id", read=timedelta(minutes=9))
    found = WaitForBatchStart(task_id="start", rollout=fresh, batch=1).execute({})
    assert [item["subnet_id"] for item in found] == SUBNETS[:2]


def test_a_sheet_that_was_not_edited_changes_nothing_and_nobody_is_told(
    begin: Begin, rows: Any, clock: list[datetime], slack: list[Any]
) -> None:
    clock[0] = PLANNED[2][1]
    assert (begin(), slack) == (SUBNETS[2:3], [])


def test_a_batch_begins_with_the_subnets_that_the_sheet_has_by_then_and_slack_is_told(
    begin: Begin, rows: list[list[str]], clock: list[datetime], slack: list[Any]
) -> None:
    clock[0] = PLANNED[2][1]
    rows[2] = ["", "13:00", "shefu, tdb26", ""]
    assert begin() == SUBNETS[3:5]
    (message,) = slack
    assert message["text"] == (
        "Batch 2 begins as edited in the sheet: without vcpt7, with shefu, with tdb26."
    )


def test_a_batch_that_was_postponed_waits_for_its_new_start(
    begin: Begin, rows: list[list[str]], clock: list[datetime], slack: list[Any]
) -> None:
    clock[0] = PLANNED[2][1]
    rows[2] = ["", "15:00", "vcpt7", ""]
    assert deferral(begin).trigger.moment == NOW + timedelta(hours=3)
    assert slack == []


def test_a_batch_that_was_moved_forward_begins_when_the_sheet_is_read(
    begin: Begin, rows: list[list[str]]
) -> None:
    rows[2] = ["", "11:00", "vcpt7", ""]
    assert begin() == SUBNETS[2:3]


def test_a_batch_that_was_taken_out_has_no_subnets(
    begin: Begin, rows: list[list[str]], clock: list[datetime]
) -> None:
    clock[0] = PLANNED[2][1]
    del rows[2]
    assert begin() == []


def test_a_sheet_with_faults_holds_the_batch_and_each_new_fault_is_told_once(
    begin: Begin, rows: list[list[str]], clock: list[datetime], slack: list[Any]
) -> None:
    clock[0] = PLANNED[2][1]
    rows[2] = ["", "13:00", "vcpt", ""]
    held = deferral(begin)
    assert held.trigger.moment == clock[0] + HELD_FOR
    held = deferral(lambda: begin(**held.kwargs))
    assert len(slack) == 1
    assert "Batch 2 is held" in slack[0]["text"]
    assert "the registry has no subnet vcpt;" in slack[0]["text"]
    rows[1][2], rows[2][2] = "io67a, xok3w, shefu", "vcpt7"
    held = deferral(lambda: begin(**held.kwargs))
    assert "shefu: batch 1 has begun without" in slack[1]["text"]
    rows[1][2] = "io67a, xok3w"
    assert begin(**held.kwargs) == SUBNETS[2:3]


def test_a_plan_from_yaml_is_not_read_again(begin: Begin, clock: list[datetime]) -> None:
    clock[0] = PLANNED[2][1]
    assert begin(sheet=None) == SUBNETS[2:3]


# ---- waves

WORKING_HOURS = AllowedHours(frozenset({0, 1, 2, 3}), 7 * 60, 16 * 60)


def waves(simulate: bool = False) -> dict[str, Any]:
    steps = {n: WaveStep("hosts", NEW, n, (f"n{n}-x",), 0, simulate, 60) for n in (1, 2)}
    starts = {1: NOW - timedelta(days=30), 2: NOW + timedelta(hours=1)}
    planned = {number: start.isoformat() for number, start in starts.items()}
    return WaveRollout("hosts", NEW, simulate, WORKING_HOURS, 24, steps, planned).to_payload()


def test_a_wave_that_is_due_begins_and_says_when(clock: Any) -> None:
    begun = WaitForWaveStart(task_id="start", rollout=waves(), wave=1).execute({})
    assert begun == {**waves()["waves"]["1"], "started_at": NOW.isoformat()}


@pytest.mark.parametrize(
    ("now", "start"),
    [
        (NOW.replace(hour=6), NOW.replace(hour=7)),
        (NOW.replace(hour=16), NOW.replace(hour=7) + timedelta(days=1)),
        (NOW.replace(day=27), NOW.replace(day=30, hour=7)),
    ],
    ids=["too early", "too late", "Friday"],
)
def test_a_wave_begins_in_allowed_hours_only(clock: list[datetime], now: datetime, start: datetime) -> None:
    clock[0] = now
    sensor = WaitForWaveStart(task_id="start", rollout=waves(), wave=1)
    assert deferral(lambda: sensor.execute({})).trigger.moment == start


def test_a_run_that_was_paused_does_not_begin_a_wave_in_the_night(clock: list[datetime]) -> None:
    sensor = WaitForWaveStart(task_id="start", rollout=waves(), wave=1)
    clock[0] = NOW.replace(hour=22)
    again = deferral(lambda: sensor.execute_complete({}))
    assert again.trigger.moment == NOW.replace(hour=7) + timedelta(days=1)


def test_a_wave_begins_so_long_after_the_one_before_as_the_plan_says(clock: list[datetime]) -> None:
    previous = {**waves()["waves"]["1"], "started_at": NOW.isoformat()}
    clock[0] = NOW + timedelta(hours=2)
    sensor = WaitForWaveStart(task_id="start", rollout=waves(), wave=2, previous=previous)
    assert deferral(lambda: sensor.execute({})).trigger.moment == NOW + timedelta(days=1)


def test_a_simulation_does_not_wait_for_allowed_hours_of_a_time_that_has_passed(
    clock: list[datetime],
) -> None:
    clock[0] = NOW.replace(hour=22)
    begun = WaitForWaveStart(task_id="start", rollout=waves(simulate=True), wave=1).execute({})
    assert begun["node_ids"] == ["n1-x"]
