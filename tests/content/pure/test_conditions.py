"""What a rollout waits for."""

import json

import pytest

from dfinity.conditions import (
    AnyCondition,
    NoAlerts,
    NodesHaveNoAlerts,
    NodesRunVersion,
    ProposalAccepted,
    SubnetRunsRevision,
    condition_from_payload,
    condition_to_payload,
)

NEW, OLD = "a" * 40, "b" * 40
ACCEPTED = ProposalAccepted(7)
UPGRADED = SubnetRunsRevision("io67a-x", NEW, 13)
QUIET = NoAlerts("io67a-x")
NODES = tuple(f"n{number}-x" for number in range(1, 5))
NODES_UPGRADED = NodesRunVersion("hostos_version", NEW, NODES, tolerance=1)
NODES_QUIET = NodesHaveNoAlerts(NODES, tolerance=1)


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
    verdict = ACCEPTED.judge(status)
    assert verdict.state == state
    assert f"proposal 7 is {status}" in verdict.reason


def test_a_refused_proposal_is_linked_in_the_reason() -> None:
    verdict = ACCEPTED.judge("REJECTED")
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


@pytest.mark.parametrize(
    ("versions", "state", "missing"),
    [
        ({node: {NEW} for node in NODES}, "met", ""),
        ({node: {NEW} for node in NODES[1:]}, "met", "n1"),
        ({node: {NEW} for node in NODES[2:]}, "waiting", "n1, n2"),
        ({**{node: {NEW} for node in NODES[2:]}, NODES[0]: {OLD}, NODES[1]: {OLD, NEW}}, "waiting", "n1, n2"),
        ({}, "waiting", "n1, n2, n3, n4"),
    ],
)
def test_nodes_run_a_version_when_no_more_stay_behind_than_may(
    versions: dict[str, set[str]], state: str, missing: str
) -> None:
    verdict = NODES_UPGRADED.judge(versions)
    assert verdict.state == state
    assert (f"not {missing}; 1 may be missing" in verdict.reason) == bool(missing)


@pytest.mark.parametrize(
    ("alerts", "state"),
    [
        ({}, "met"),
        ({"other-x": {"NodeDown"}}, "met"),
        ({"n1-x": {"NodeDown", "Lag"}}, "met"),
        ({"n1-x": {"NodeDown"}, "n4-x": {"Lag"}}, "waiting"),
    ],
)
def test_alerts_of_as_many_nodes_as_may_have_them_are_not_waited_for(
    alerts: dict[str, set[str]], state: str
) -> None:
    assert NODES_QUIET.judge(alerts).state == state


def test_the_alerts_of_nodes_are_named() -> None:
    reason = NODES_QUIET.judge({"n1-x": {"NodeDown"}, "n4-x": {"Lag"}}).reason
    assert reason == "alerts fire (Lag, NodeDown), not n1, n4; 1 may be missing"


@pytest.mark.parametrize("condition", [ACCEPTED, UPGRADED, QUIET, NODES_UPGRADED, NODES_QUIET])
def test_a_condition_survives_the_way_to_the_triggerer(condition: AnyCondition) -> None:
    payload = json.loads(json.dumps(condition_to_payload(condition)))
    assert condition_to_payload(condition_from_payload(payload)) == payload
    assert type(condition_from_payload(payload)) is type(condition)


def test_payloads_of_conditions_in_flight_stay_readable() -> None:
    payloads = [
        {"kind": "proposal_accepted", "proposal_id": 7},
        {"kind": "subnet_runs_revision", "subnet_id": "io67a-x", "git_revision": NEW, "replica_count": 13},
        {"kind": "no_alerts", "subnet_id": "io67a-x"},
    ]
    assert [condition_from_payload(payload) for payload in payloads] == [ACCEPTED, UPGRADED, QUIET]
