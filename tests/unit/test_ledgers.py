"""The ledgers of two repetitions are the same text when the same was done at the same time of the rollout."""

from datetime import UTC, datetime, timedelta

from harness.mocks.ledger import Effect, Kind
from tests.itest.ledgers import lines, rollouts

MONDAY = datetime(2027, 2, 1, tzinfo=UTC)
SCENARIO = "test_a_vote_that_comes_late"


def history(monday: datetime, run_id: str) -> list[dict[str, object]]:
    return [
        {"kind": "test", "nodeid": f"tests/itest/test_scenarios.py::{SCENARIO}"},
        {"kind": "trigger", "run_id": "another", "conf": {"days": 1}},
        {"kind": "trigger", "run_id": run_id, "conf": {"week": f"{monday:%Y-%m-%d}"}},
    ]


def effect(after: timedelta, kind: Kind, target: str, run_id: str = "itest-7", **detail: object) -> Effect:
    return Effect(1, MONDAY + after, kind, target, detail, "worker-1", "dag", run_id, "task", -1, 1)


def rollout(late: timedelta, number: int, monday: datetime = MONDAY, run_id: str = "itest-7") -> list[str]:
    """The lines of a rollout whose tasks are some seconds later, with proposals of other numbers, in another week."""
    shift = monday - MONDAY + late
    nine = timedelta(hours=9) + shift
    told = f"Proposal {number} to io67a, {number + 1} to xok3w, since {monday:%Y-%m-%d}T09:00, 2 d ago by {run_id}"
    effects = [
        effect(nine, Kind.IC_PROPOSAL, "xok3w-x", run_id, proposal_id=number + 1, replica_version_id="abc"),
        effect(nine, Kind.IC_PROPOSAL, "io67a-x", run_id, proposal_id=number, replica_version_id="abc"),
        effect(nine + timedelta(days=2), Kind.SLACK_MESSAGE, "rollout", run_id, text=told, ts="17.1"),
        effect(nine, Kind.S3_PUT, "logs/1", run_id),
    ]
    return list(lines(effects, rollouts(history(monday, run_id))))


def test_repetitions_in_another_week_with_other_numbers_tell_the_same() -> None:
    first = rollout(timedelta(seconds=2), 138814)
    assert first == rollout(timedelta(seconds=40), 200001, MONDAY + timedelta(weeks=5), "itest-8")
    assert first == [
        f"{SCENARIO} run 1 +0009.00 'ic.proposal io67a-x abc'",
        f"{SCENARIO} run 1 +0009.00 'ic.proposal xok3w-x abc'",
        f"{SCENARIO} run 1 +0057.00 'slack.message rollout Proposal io67a to io67a, xok3w to xok3w,"
        " since day 0T09:00, 2 d ago by run 1'",
    ]


def test_what_comes_ten_minutes_later_or_twice_or_from_nobody_is_a_difference() -> None:
    assert rollout(timedelta(minutes=10), 138814) != rollout(timedelta(0), 138814)
    runs = rollouts(history(MONDAY, "itest-7"))
    posted = effect(timedelta(0), Kind.SLACK_MESSAGE, "rollout", text="hello")
    assert len(list(lines([posted, posted], runs))) == 2
    nobodys = effect(timedelta(0), Kind.SLACK_MESSAGE, "rollout", "", text="hello")
    assert list(lines([nobodys], runs)) == ["nobody knows run 0 +0000.00 'slack.message rollout'"]
