"""Single steps: proposals that must not be made twice, sensors and their trigger."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowFailException,
    AirflowSensorTimeout,
    TaskDeferred,
)
from in_memory_ic import NEW, SUBNETS, InMemoryIc

from dfinity.ic_admin import IcAdminError
from dfinity.rollout import SubnetRollout
from operators.create_proposal import CreateProposal
from operators.slack_messages import RequestVotes
from sensors.condition_trigger import ConditionTrigger
from sensors.step_conditions import WaitForAcceptance, WaitForNoAlerts, WaitForRevision
from sensors.watch_trigger import MAX_FAILED_LOOKS, WatchTrigger

KEY = "-----BEGIN K-----\nc2VjcmV0\n-----END K-----"


def step(**changes: Any) -> SubnetRollout:
    fields = {
        "subnet_id": SUBNETS[0],
        "replica_count": 13,
        "git_revision": NEW,
        "batch": 1,
        "start_at": "2024-01-01T09:00:00+00:00",
        "simulate": False,
        "sensor_interval": 60,
    }
    return SubnetRollout(**fields | changes)


@pytest.fixture
def create(ic: InMemoryIc, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """Runs the proposing task once; returns its XCom."""
    monkeypatch.setattr("operators.create_proposal.variable_or_none", lambda _: KEY)

    def run(**changes: Any) -> dict[str, Any]:
        return CreateProposal(task_id="create", step=step(**changes).to_payload()).execute({})

    return run


def test_a_second_try_takes_over_the_proposal_of_the_first(ic: InMemoryIc, create: Any) -> None:
    first, second = create(), create()
    assert (first["outcome"], second["outcome"]) == ("created", "existing")
    assert first["proposal_id"] == second["proposal_id"]
    assert len(ic.proposals) == 1


def test_a_failure_of_ic_admin_after_the_nns_accepted_does_not_lead_to_a_second_proposal(
    ic: InMemoryIc, create: Any
) -> None:
    ic.ic_admin_fails_after_submitting = True
    assert create()["outcome"] == "existing"
    assert len(ic.proposals) == 1


def test_a_failure_of_ic_admin_before_that_fails_the_task(
    create: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise IcAdminError("no route")

    monkeypatch.setattr("operators.create_proposal.propose", fail)
    with pytest.raises(IcAdminError, match="no route"):
        create()


def test_a_rejected_proposal_does_not_keep_a_new_one_from_being_made(ic: InMemoryIc, create: Any) -> None:
    ic.propose(SUBNETS[0], NEW, status="REJECTED")
    assert create()["outcome"] == "created"


@pytest.mark.parametrize(("status", "asked"), [("OPEN", 1), ("ADOPTED", 0), ("EXECUTED", 0)])
def test_votes_are_asked_for_only_while_a_proposal_is_open(
    ic: InMemoryIc, create: Any, slack: list[Any], status: str, asked: int
) -> None:
    ic.propose(SUBNETS[0], NEW, status=status)
    RequestVotes(task_id="votes", step=step().to_payload(), proposal=create()).execute({})
    assert len(slack) == asked


def test_the_key_reaches_ic_admin_and_no_log(
    ic: InMemoryIc, create: Any, caplog: pytest.LogCaptureFixture
) -> None:
    create()
    assert ic.keys == [KEY]
    assert "c2VjcmV0" not in caplog.text


def test_a_condition_that_is_met_needs_no_deferral(ic: InMemoryIc) -> None:
    WaitForNoAlerts(task_id="quiet", step=step().to_payload()).execute({})


def test_a_condition_that_is_not_met_is_left_to_the_triggerer_with_a_timeout(ic: InMemoryIc) -> None:
    sensor = WaitForRevision(task_id="upgraded", step=step(sensor_interval=7).to_payload(), timeout=3600)
    with pytest.raises(TaskDeferred) as deferred:
        sensor.execute({})
    trigger = deferred.value.trigger
    assert isinstance(trigger, WatchTrigger)
    assert trigger.interval == 7
    assert timedelta(minutes=59) < deferred.value.timeout <= timedelta(hours=1)
    path, kwargs = trigger.serialize()
    assert path == "sensors.watch_trigger.WatchTrigger"
    assert WatchTrigger(**kwargs).condition == trigger.condition


def test_tasks_that_were_deferred_to_the_former_trigger_resume(ic: InMemoryIc) -> None:
    path, kwargs = ConditionTrigger({"kind": "no_alerts", "subnet_id": SUBNETS[0]}, 0).serialize()
    assert path == "sensors.condition_trigger.ConditionTrigger"
    assert set(kwargs) == {"condition", "interval"}
    assert event_of(kwargs["condition"], ConditionTrigger)["state"] == "met"
    sensor = WaitForNoAlerts(task_id="quiet", step=step().to_payload())
    sensor.execute_complete({}, {"state": "met", "reason": "no alerts"})


def resumed(sensor: Any, deferral: TaskDeferred, event: dict[str, str]) -> TaskDeferred:
    """The next deferral of a sensor that its trigger has called with the event."""
    with pytest.raises(TaskDeferred) as again:
        getattr(sensor, deferral.method_name)({}, event, **(deferral.kwargs or {}))
    return again.value


STALLED = {"state": "stalled", "reason": "0 of 13 replicas report the revision"}


def test_a_wait_that_stalls_is_told_after_an_hour_two_four_and_so_on_until_it_times_out(
    ic: InMemoryIc, slack: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = datetime(2026, 11, 23, 9, tzinfo=UTC)

    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return now

    monkeypatch.setattr("sensors.condition_sensor.datetime", Clock)
    sensor = WaitForRevision(
        task_id="upgraded", step=step().to_payload(), timeout=5 * 3600, notice_after=timedelta(hours=1)
    )
    with pytest.raises(TaskDeferred) as first:
        sensor.execute({})
    deferral, told = first.value, []
    for _ in range(3):
        report_at = datetime.fromisoformat(deferral.trigger.report_at)
        assert now + deferral.timeout == datetime(2026, 11, 23, 14, tzinfo=UTC), (
            "the whole wait has one timeout"
        )
        now = report_at
        told.append(report_at.hour)
        deferral = resumed(sensor, deferral, STALLED)
    assert told == [10, 11, 13]
    assert deferral.trigger.report_at is None, "the next notice would come after the timeout"
    assert [message["text"].split("waiting for ")[1] for message in slack] == [
        f"{hours} h. Now 0 of 13 replicas report the revision." for hours in (1, 2, 4)
    ]
    now += timedelta(hours=1)
    with pytest.raises(AirflowSensorTimeout, match="io67a: waited 5:00:00 in vain"):
        sensor.execute_complete({}, STALLED, **deferral.kwargs)


def test_a_notice_that_slack_refuses_does_not_end_the_wait(
    ic: InMemoryIc, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: str) -> None:
        raise RuntimeError("invalid_auth")

    monkeypatch.setattr("sensors.condition_sensor.post", refuse)
    sensor = WaitForRevision(
        task_id="upgraded", step=step().to_payload(), timeout=3600, notice_after=timedelta(minutes=1)
    )
    with pytest.raises(TaskDeferred) as first:
        sensor.execute({})
    assert resumed(sensor, first.value, STALLED).kwargs["notices"] == 1


def test_the_trigger_reports_a_stall_once_its_time_has_come(monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, [alerts("NodeDown")] * 3)
    condition = {"kind": "no_alerts", "subnet_id": SUBNETS[0]}
    past = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
    assert event_of(condition, WatchTrigger, report_at=past) == {
        "state": "stalled",
        "reason": "alerts fire for io67a: NodeDown",
    }


def test_a_first_look_that_fails_is_left_to_the_triggerer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", lambda *_: httpx.Response(503))
    with pytest.raises(TaskDeferred):
        WaitForNoAlerts(task_id="quiet", step=step().to_payload()).execute({})


def test_a_refused_proposal_fails_the_sensor_for_good(ic: InMemoryIc) -> None:
    number = ic.propose(SUBNETS[0], NEW, status="REJECTED")
    outcome = {"subnet_id": SUBNETS[0], "outcome": "existing", "proposal_id": number, "needs_votes": False}
    sensor = WaitForAcceptance(task_id="accepted", step=step().to_payload(), proposal=outcome)
    with pytest.raises(AirflowFailException, match=f"proposal {number} is REJECTED"):
        sensor.execute_complete({}, {"state": "impossible", "reason": f"proposal {number} is REJECTED"})


def test_an_unreachable_system_fails_the_sensor_so_that_it_is_tried_again() -> None:
    sensor = WaitForNoAlerts(task_id="quiet", step=step().to_payload())
    with pytest.raises(AirflowException, match="gave up looking: 503") as caught:
        sensor.execute_complete({}, {"state": "unreachable", "reason": "503"})
    assert not isinstance(caught.value, AirflowFailException)


def event_of(
    condition: dict[str, Any], trigger: type[WatchTrigger] = WatchTrigger, **arguments: Any
) -> dict[str, str]:
    async def first() -> dict[str, str]:
        async for event in trigger(condition, interval=0, **arguments).run():
            return event.payload
        raise AssertionError("the trigger ended without an event")

    return asyncio.run(first())


OUTAGE = httpx.Response(503)


def alerts(*names: str) -> httpx.Response:
    result = [{"metric": {"alertname": name}, "value": [0, "1"]} for name in names]
    return httpx.Response(200, json={"status": "success", "data": {"resultType": "vector", "result": result}})


def answers(monkeypatch: pytest.MonkeyPatch, coming: list[httpx.Response]) -> None:
    """Has Prometheus give these answers, one after the other."""
    left = iter(coming)

    async def handle(*_: object) -> httpx.Response:
        return next(left)

    monkeypatch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", handle)


def test_the_trigger_looks_until_the_condition_is_met(ic: InMemoryIc) -> None:
    ic.alerts[SUBNETS[0]] = 3
    assert event_of({"kind": "no_alerts", "subnet_id": SUBNETS[0]})["state"] == "met"
    assert len(ic.requests) == 4


def test_the_trigger_survives_failures_as_long_as_a_look_succeeds_in_between(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    almost = [OUTAGE] * (MAX_FAILED_LOOKS - 1)
    answers(monkeypatch, [*almost, alerts("NodeDown"), *almost, alerts()])
    assert event_of({"kind": "no_alerts", "subnet_id": SUBNETS[0]})["state"] == "met"


def test_the_trigger_gives_up_after_too_many_failures_in_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, [OUTAGE] * MAX_FAILED_LOOKS)
    event = event_of({"kind": "no_alerts", "subnet_id": SUBNETS[0]})
    assert (event["state"], "answered 503" in event["reason"]) == ("unreachable", True)


def test_the_trigger_ends_when_waiting_has_become_useless(ic: InMemoryIc) -> None:
    number = ic.propose(SUBNETS[0], NEW)
    ic.final_status[SUBNETS[0]] = "FAILED"
    event = event_of({"kind": "proposal_accepted", "proposal_id": number})
    assert (event["state"], f"proposal {number} is FAILED" in event["reason"]) == ("impossible", True)
