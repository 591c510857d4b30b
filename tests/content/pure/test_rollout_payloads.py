"""What tasks hand to each other, and what people read on Slack."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from dfinity.messages import span, stalled, summary, vote_request
from dfinity.rollout import Outcome, ProposalOutcome, Rollout, SubnetRollout, plan_rollout, start_of
from dfinity.rollout_plan import Batch
from dfinity.subnets import Subnet

REVISION = "a" * 40
START = datetime(2026, 11, 23, 9, tzinfo=UTC)
BATCHES = [
    Batch(1, START, (Subnet("io67a-x", 13, "b"), Subnet("xok3w-x", 13, "b"))),
    Batch(30, START, (Subnet("tdb26-x", 40, "b"),)),
]


def rollout(simulate: bool = False) -> Rollout:
    return plan_rollout(
        BATCHES, git_revision=REVISION, week="2026-11-23", simulate=simulate, sensor_interval=60
    )


def outcomes(*kinds: Outcome) -> list[ProposalOutcome]:
    return [ProposalOutcome("io67a-x", kind, 7, needs_votes=True) for kind in kinds]


def test_a_rollout_survives_xcom() -> None:
    assert Rollout.from_payload(json.loads(json.dumps(rollout().to_payload()))) == rollout()


def test_a_proposal_outcome_survives_xcom() -> None:
    (outcome,) = outcomes("created")
    assert ProposalOutcome.from_payload(json.loads(json.dumps(outcome.to_payload()))) == outcome


def test_payloads_of_runs_in_flight_stay_readable() -> None:
    payload = {
        "subnet_id": "io67a-x",
        "replica_count": 13,
        "git_revision": REVISION,
        "batch": 1,
        "start_at": "2026-11-23T09:00:00+00:00",
        "simulate": False,
        "sensor_interval": 60,
    }
    expected = rollout().batches[1][0]
    assert SubnetRollout.from_payload(payload) == expected
    assert SubnetRollout.from_payload(payload | {"a_field_of_the_future": 1}) == expected


def test_a_batch_starts_when_its_subnets_do() -> None:
    assert start_of(rollout().batches[30]) == START


def test_a_vote_request_names_subnet_batch_revision_and_proposal() -> None:
    text = vote_request(rollout().batches[30][0], 130001)
    named = [
        "tdb26",
        "tdb26-x",
        "Batch 30",
        REVISION,
        "https://dashboard.internetcomputer.org/proposal/130001",
    ]
    assert [name in text for name in named] == [True] * len(named)


def test_the_summary_counts_subnets_batches_and_proposals() -> None:
    text = summary(rollout(), outcomes("created", "created", "existing"))
    assert "3 subnets in 2 batches" in text
    assert "2 proposals made, 1 proposal existed already." in text
    assert REVISION in text


def test_subnets_that_needed_no_proposal_are_counted() -> None:
    assert "0 proposals made, 1 subnet had the revision already" in summary(rollout(), outcomes("not_needed"))


@pytest.mark.parametrize("simulate", [True, False])
def test_the_summary_says_whether_it_was_a_simulation(simulate: bool) -> None:
    text = summary(rollout(simulate), outcomes(*["simulated" if simulate else "created"] * 3))
    assert ("Simulated" in text, "Nothing was proposed" in text) == (simulate, simulate)


def test_a_rollout_that_was_planned_before_plans_were_read_again_stays_readable() -> None:
    payload = rollout().to_payload()
    del payload["spreadsheet_id"], payload["read_at"]
    assert Rollout.from_payload(payload) == rollout()


def test_a_subnet_with_a_feature_gets_its_own_revision_in_plan_and_proposal() -> None:
    (batch, _) = BATCHES
    with_feature = replace(batch, revisions={"xok3w-x": "c" * 40})
    planned = plan_rollout(
        [with_feature], git_revision=REVISION, week="2026-11-23", simulate=False, sensor_interval=60
    )
    assert [step.git_revision for step in planned.batches[1]] == [REVISION, "c" * 40]
    assert planned.batches[1][1].request().arguments == ("xok3w-x", "c" * 40)
    assert planned.batches[1][1].runs_version().git_revision == "c" * 40


@pytest.mark.parametrize(
    ("minutes", "text"),
    [
        (0, "0 min"),
        (59, "59 min"),
        (60, "1 h"),
        (47 * 60 + 59, "47 h"),
        (48 * 60, "2 d"),
        (7 * 24 * 60, "7 d"),
    ],
)
def test_a_duration_is_told_in_the_unit_that_people_would_use(minutes: int, text: str) -> None:
    assert span(timedelta(minutes=minutes)) == text


def test_a_stall_notice_names_batch_subnet_time_and_reason() -> None:
    text = stalled(rollout().batches[30][0], timedelta(hours=2), "5 of 13 replicas report the revision")
    assert text == (
        "Batch 30 is stalled: *tdb26* has been waiting for 2 h. Now 5 of 13 replicas report the revision."
    )
