"""Waves of nodes: sizes, what is wrong with a plan, what is proposed."""

import re
from datetime import UTC, datetime
from typing import Any

import pytest

from dfinity.allowed_hours import parse_allowed_hours
from dfinity.messages import vote_request, wave_summary
from dfinity.node_rollout import WaveRollout, WaveStep, WaveWishes, plan_waves
from dfinity.nodes import Node
from dfinity.proposals import ALL_UNASSIGNED
from dfinity.rollout import ProposalOutcome, SubnetRollout
from dfinity.step import step_from_payload
from dfinity.waves import Amount, parse_amount, parse_sizes, spare

OLD, NEW = "a" * 40, "b" * 40
FLEET = [
    *(Node(f"b{n}-x", None, True, OLD, OLD) for n in range(6)),
    *(Node(f"u{n}-x", None, False, OLD, OLD) for n in range(3)),
    *(Node(f"s{n}-x", "io67a-x", False, OLD, OLD) for n in range(7)),
]


def planned(
    kind: str, faults: list[str] | None = None, chosen: tuple[str, ...] = (), **changes: Any
) -> WaveRollout:
    wishes: dict[str, Any] = {
        "kind": kind,
        "version": NEW,
        "sizes": parse_sizes(["1", "50%"]),
        "tolerance": parse_amount("34%"),
        "hours": parse_allowed_hours(["Monday", "Tuesday"], "9:00-11:00"),
        "interval_hours": 1,
        "not_before": datetime(2026, 11, 23, 8, tzinfo=UTC),
        "simulate": False,
        "sensor_interval": 60,
    }
    return plan_waves(WaveWishes(**wishes | changes), FLEET, chosen, [] if faults is None else faults)


def test_waves_have_the_sizes_starts_and_tolerances_that_were_wished() -> None:
    rollout = planned("api_boundary_nodes")
    assert [step.node_ids for step in rollout.waves.values()] == [
        ("b0-x",),
        ("b1-x", "b2-x", "b3-x"),
        ("b4-x", "b5-x"),
    ]
    assert [step.tolerance for step in rollout.waves.values()] == [0, 1, 0]
    assert list(rollout.planned.values()) == [
        "2026-11-23T09:00:00+00:00",
        "2026-11-23T10:00:00+00:00",
        "2026-11-24T09:00:00+00:00",
    ]


def test_hosts_are_all_nodes_and_a_wave_takes_no_more_of_a_subnet_than_it_can_spare() -> None:
    rollout = planned("hosts", sizes=[Amount(100, is_percentage=True)])
    of_subnet = [sum(name.startswith("s") for name in step.node_ids) for step in rollout.waves.values()]
    assert of_subnet == [2, 2, 2, 1]
    assert sum(len(step.node_ids) for step in rollout.waves.values()) == len(FLEET)


@pytest.mark.parametrize(("members", "count"), [(1, 1), (3, 1), (4, 1), (7, 2), (13, 4), (40, 13)])
def test_a_subnet_can_spare_less_than_a_third(members: int, count: int) -> None:
    assert spare(members) == count


def test_only_chosen_nodes_are_upgraded() -> None:
    rollout = planned("hosts", chosen=("u1", "b2-x"))
    assert sorted(name for step in rollout.waves.values() for name in step.node_ids) == ["b2-x", "u1-x"]


@pytest.mark.parametrize(
    ("kind", "chosen", "changes", "fault"),
    [
        ("api_boundary_nodes", ("u1",), {}, "of API boundary nodes the registry has, by the name u1, none"),
        ("hosts", (), {"sizes": [Amount(1)]}, "16 nodes would take 16 waves, more than 12"),
    ],
)
def test_what_cannot_be_carried_out_is_named(
    kind: str, chosen: tuple[str, ...], changes: dict[str, Any], fault: str
) -> None:
    faults: list[str] = []
    planned(kind, faults, chosen, **changes)
    assert len(faults) == 1
    assert fault in faults[0]


def test_a_registry_without_such_nodes_is_a_fault() -> None:
    faults: list[str] = []
    wishes = planned("hosts")
    plan_waves(
        WaveWishes(
            "unassigned_nodes",
            NEW,
            [Amount(1)],
            Amount(0),
            wishes.hours,
            0,
            datetime(2026, 11, 23, tzinfo=UTC),
            True,
            60,
        ),
        FLEET[:6],
        (),
        faults,
    )
    assert faults == ["the registry has no unassigned nodes"]


@pytest.mark.parametrize("text", ["", "x", "-1", "101%", "1.5", "10 percent"])
def test_an_amount_is_a_number_or_a_percentage(text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(repr(text))):
        parse_amount(text)


@pytest.mark.parametrize("texts", [[], ["0"], ["1", "0%"]])
def test_a_wave_of_nothing_is_refused(texts: list[str]) -> None:
    with pytest.raises(ValueError, match="at least one node"):
        parse_sizes(texts)


def test_each_kind_is_proposed_by_its_own_command() -> None:
    boundary = planned("api_boundary_nodes").waves[2].request()
    assert boundary.command == "propose-to-deploy-guestos-to-some-api-boundary-nodes"
    assert boundary.arguments == ("--nodes", "b1-x", "b2-x", "b3-x", "--version", NEW)
    assert boundary.targets == {"b1-x", "b2-x", "b3-x"}
    hosts = planned("hosts", chosen=("u1",)).waves[1].request()
    assert hosts.command == "propose-to-deploy-hostos-to-some-nodes"
    assert hosts.arguments == ("--hostos-version-id", NEW, "u1-x")
    unassigned = planned("unassigned_nodes", sizes=[Amount(100, is_percentage=True)]).waves[1].request()
    assert unassigned.command == "propose-to-deploy-guestos-to-all-unassigned-nodes"
    assert unassigned.arguments == ("--replica-version-id", NEW)
    assert unassigned.targets == ALL_UNASSIGNED
    assert unassigned.title == f"Upgrade all unassigned nodes to GuestOS {NEW[:10]}"


def test_payloads_of_waves_in_flight_stay_readable() -> None:
    payload = {
        "kind": "hosts",
        "version": NEW,
        "wave": 2,
        "node_ids": ["u1-x"],
        "tolerance": 0,
        "simulate": False,
        "sensor_interval": 60,
    }
    expected = WaveStep("hosts", NEW, 2, ("u1-x",), 0, False, 60)
    assert step_from_payload(payload) == expected
    assert step_from_payload(payload | {"started_at": "", "a_field_of_the_future": 1}) == expected


def test_a_subnets_step_is_told_from_a_waves() -> None:
    step = SubnetRollout("io67a-x", 13, NEW, 1, "2026-11-23T09:00:00+00:00", False, 60)
    assert step_from_payload(step.to_payload()) == step


def test_votes_are_asked_for_a_wave_and_its_summary_counts_nodes() -> None:
    rollout = planned("api_boundary_nodes")
    text = vote_request(rollout.waves[2], 130001)
    assert text == (
        "Wave 2: please vote on proposal <https://dashboard.internetcomputer.org/proposal/130001|130001>, which "
        f"upgrades *3 API boundary nodes* to GuestOS `{NEW}`."
    )
    outcomes = [ProposalOutcome(f"wave {n}", "created", n, needs_votes=True) for n in (1, 2)]
    outcomes.append(ProposalOutcome("wave 3", "not_needed", None, needs_votes=False))
    assert wave_summary(rollout, outcomes) == (
        f"Rollout of GuestOS `{NEW}` to 6 API boundary nodes in 3 waves finished: 2 proposals made, "
        "1 wave had the revision already."
    )
