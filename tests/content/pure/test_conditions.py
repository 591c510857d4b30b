"""What a rollout waits for."""

from datetime import UTC, datetime

import pytest

from dfinity.conditions import (
    AnyCondition,
    NoAlerts,
    ProposalAccepted,
    SubnetRunsRevision,
    condition_from_payload,
    condition_to_payload,
)
from dfinity.proposals import Proposal

NEW, OLD = "a" * 40, "b" * 40
ACCEPTED = ProposalAccepted(7)
UPGRADED = SubnetRunsRevision("io67a-x", NEW, 13)
QUIET = NoAlerts("io67a-x")


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("OPEN", "waiting"),
        ("ADOPTED", "met"),
        ("EXECUTED", "met"),
        ("REJECTED", "impossible"),
        ("FAILED", "impossible"),
        ("SOMETHING_NEW", "waiting"),
    ],
)
def test_a_proposal_is_accepted_once_it_is_adopted(status: str, state: str) -> None:
    verdict = ACCEPTED.judge(Proposal(7, status, datetime.now(UTC), "io67a-x", NEW))
    assert verdict.state == state
    assert f"proposal 7 is {status}" in verdict.reason


def test_a_refused_proposal_is_linked_in_the_reason() -> None:
    verdict = ACCEPTED.judge(Proposal(7, "REJECTED", datetime.now(UTC), "io67a-x", NEW))
    assert "https://dashboard.internetcomputer.org/proposal/7" in verdict.reason


@pytest.mark.parametrize(
    ("replicas", "state"),
    [
        ({NEW: 13}, "met"),
        ({NEW: 9}, "met"),
        ({NEW: 8}, "waiting"),
        ({NEW: 12, OLD: 1}, "waiting"),
        ({NEW: 13, OLD: 0}, "met"),
        ({OLD: 13}, "waiting"),
        ({}, "waiting"),
    ],
)
def test_a_subnet_runs_the_revision_when_no_replica_reports_another_and_enough_report(
    replicas: dict[str, int], state: str
) -> None:
    assert UPGRADED.judge(replicas).state == state


def test_any_firing_alert_is_waited_for_and_named() -> None:
    verdict = QUIET.judge(["Lag", "NodeDown"])
    assert (verdict.state, "Lag, NodeDown" in verdict.reason) == ("waiting", True)
    assert QUIET.judge([]).state == "met"


@pytest.mark.parametrize("condition", [ACCEPTED, UPGRADED, QUIET])
def test_a_condition_survives_the_way_to_the_triggerer(condition: AnyCondition) -> None:
    assert condition_from_payload(condition_to_payload(condition)) == condition


def test_payloads_of_conditions_in_flight_stay_readable() -> None:
    payloads = [
        {"kind": "proposal_accepted", "proposal_id": 7},
        {"kind": "subnet_runs_revision", "subnet_id": "io67a-x", "git_revision": NEW, "replica_count": 13},
        {"kind": "no_alerts", "subnet_id": "io67a-x"},
    ]
    assert [condition_from_payload(payload) for payload in payloads] == [ACCEPTED, UPGRADED, QUIET]
