"""What tasks hand to each other, and what people read on Slack."""

import json
from datetime import UTC, datetime

import pytest

from dfinity.messages import summary, vote_request
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
