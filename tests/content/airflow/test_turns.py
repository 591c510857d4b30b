"""A real rollout begins when no other run of its DAG is under way."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import DAG, TaskDeferred
from in_memory_ic import NEW, InMemoryIc

from dfinity.turns import OtherRun
from operators.plan_rollout import PlanRollout
from sensors.turn_trigger import TurnTrigger

PARAMS: Mapping[str, Any] = {
    "git_revision": NEW,
    "week": "2024-01-01",
    "spreadsheet_id": None,
    "plan": "Monday:\n  9:00: [io67a]",
    "simulate": False,
    "sensor_interval": 60,
    "wait_for_others": True,
}


@pytest.fixture
def others(
    ic: InMemoryIc, slack: list[Any], credentials: pytest.MonkeyPatch, monkeypatch: pytest.MonkeyPatch
) -> list[OtherRun]:
    """The other runs of the DAG."""
    runs = [OtherRun("earlier", "success")]
    for module in ("operators.plan_operator", "sensors.turn_trigger"):
        monkeypatch.setattr(f"{module}.other_runs", lambda dag_id, run_id: runs)
    monkeypatch.setattr(
        "operators.plan_operator.return_and_skip", lambda _operator, _context, plan, _skipped: plan
    )
    return runs


def planning() -> PlanRollout:
    """The task, in a DAG of its own."""
    with DAG(dag_id="a_dag", schedule=None):
        return PlanRollout(task_id="plan")


def context(**params: Any) -> Any:
    return {"params": {**PARAMS, **params}, "run_id": "mine"}


def test_it_waits_in_the_triggerer_and_says_so_once(others: list[OtherRun], slack: list[Any]) -> None:
    operator = planning()
    with pytest.raises(TaskDeferred) as deferred:
        operator.execute(context())
    trigger = deferred.value.trigger
    assert (trigger.run_id, trigger.interval, deferred.value.timeout) == ("mine", 60, None)
    with pytest.raises(TaskDeferred):
        operator.execute_complete(context(), {})
    (message,) = slack
    assert message["text"] == "Rollout `mine` of `a_dag` waits until no other one is under way: `earlier`."
    others.clear()
    assert operator.execute_complete(context(), {})["simulate"] is False


@pytest.mark.parametrize("params", [{"simulate": True}, {"wait_for_others": False}])
def test_simulations_and_those_who_do_not_want_to_wait_begin_at_once(
    others: list[OtherRun], slack: list[Any], params: dict[str, Any]
) -> None:
    assert planning().execute(context(**params))["batches"]
    assert slack == []


def test_runs_that_were_triggered_before_there_was_such_a_param_wait(others: list[OtherRun]) -> None:
    given = context()
    del given["params"]["wait_for_others"]
    with pytest.raises(TaskDeferred):
        planning().execute(given)


def test_the_trigger_looks_until_nobody_is_ahead(
    others: list[OtherRun], monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = iter([others, others, []])
    monkeypatch.setattr("sensors.turn_trigger.other_runs", lambda *_: next(looks))

    async def first() -> object:
        async for event in TurnTrigger("a_dag", "mine", 0).run():
            return event.payload
        raise AssertionError("the trigger ended without an event")

    assert asyncio.run(first()) == {}
    assert next(looks, None) is None
    path, kwargs = TurnTrigger("a_dag", "mine", 60).serialize()
    assert path == "sensors.turn_trigger.TurnTrigger"
    assert TurnTrigger(**kwargs).serialize() == (path, kwargs)
