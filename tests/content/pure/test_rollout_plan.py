"""Interpreting a plan: times, numbers, subnets."""

from datetime import UTC, date, datetime

import pytest

from dfinity.plan_entries import PlanEntry, entries_from_yaml
from dfinity.rollout_plan import Batch, batches_needed, parse_week, refusal, schedule, start_time
from dfinity.subnets import Subnet

WEEK = date(2026, 11, 23)
UNKNOWN = {"3zsyy", "re2t4", "2zs4v", "xlkub", "6excn", "jmfme", "rtvil", "kp5jj"}


def faults_of(text: str, mainnet: list[Subnet]) -> list[str]:
    faults: list[str] = []
    schedule(entries_from_yaml(text, faults), WEEK, mainnet, faults)
    return faults


def test_the_real_plan_names_exactly_the_eight_subnets_that_the_registry_lacks(
    mainnet_plan: str, mainnet: list[Subnet]
) -> None:
    faults = faults_of(mainnet_plan, mainnet)
    named = {fault.split("the registry has no subnet ")[1].split(";")[0] for fault in faults}
    assert (named, len(faults)) == (UNKNOWN, 8)


def test_the_real_plan_without_those_eight_upgrades_all_42_subnets(
    mainnet_plan: str, mainnet: list[Subnet]
) -> None:
    entries = []
    for entry in entries_from_yaml(mainnet_plan, []):
        known = tuple(name for name in entry.subnets if name not in UNKNOWN)
        if known:
            entries.append(PlanEntry(entry.where, entry.day, entry.time, known, entry.batch))
    faults: list[str] = []
    batches = schedule(entries, WEEK, mainnet, faults)
    assert faults == []
    assert sorted(s.subnet_id for b in batches for s in b.subnets) == sorted(s.subnet_id for s in mainnet)
    assert [b.number for b in batches] == [*range(1, 15), 30]
    assert batches[0].start_at == datetime(2026, 11, 23, 9, tzinfo=UTC)
    assert batches[-1].start_at == datetime(2026, 11, 30, 7, tzinfo=UTC)


def test_full_principals_are_as_good_as_abbreviations(mainnet: list[Subnet]) -> None:
    text = f"Monday:\n  9:00: [{mainnet[0].subnet_id}]"
    (batch,) = schedule(entries_from_yaml(text, []), WEEK, mainnet, [])
    assert batch == Batch(1, datetime(2026, 11, 23, 9, tzinfo=UTC), (mainnet[0],))


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("Monday:\n  9:00: [io67a]\n  11:00: [io67a]", "subnet io67a is already in Monday 9:00 (line 2)"),
        ("Monday:\n  9:00: [io67a, io67a]", "subnet io67a is already in"),
        ("Monday:\n  9:00: []", "the batch has no subnets"),
        ("Monday:\n  9.00: [io67a]", "time '9.00' is not a time of day"),
        ("Monday:\n  24:00: [io67a]", "time '24:00' is not a time of day"),
        ("Mon:\n  9:00: [io67a]", "day 'Mon' is not a day of the week"),
        ("Monday in two weeks:\n  9:00: [io67a]", "is not a day of the week"),
        ("Monday:\n  11:00: [io67a]\n  9:00: [xok3w]", "does not start after the batch before it"),
        ("Monday next week:\n  9:00: [io67a]\nFriday:\n  9:00: [xok3w]", "does not start after"),
        ("Monday:\n  9:00: {subnets: [io67a], batch: 31}", "batch number 31 is not between 1 and 30"),
        ("Monday:\n  9:00: {subnets: [io67a], batch: 0}", "batch number 0 is not between 1 and 30"),
        ("Monday:\n  9:00: {subnets: [io67a], batch: last}", "batch 'last' is not a number"),
        (
            "Monday:\n  9:00: {subnets: [io67a], batch: 5}\n  11:00: {subnets: [xok3w], batch: 5}",
            "batch number 5 comes after 5",
        ),
        (
            "Monday:\n  9:00: {subnets: [io67a], batch: 30}\n  11:00: [xok3w]",
            "batch number 31 is not between 1 and 30",
        ),
    ],
)
def test_a_plan_that_cannot_be_carried_out_has_a_fault(text: str, fault: str, mainnet: list[Subnet]) -> None:
    assert any(fault in found for found in faults_of(text, mainnet)), faults_of(text, mainnet)


def test_all_faults_are_found_at_once(mainnet: list[Subnet]) -> None:
    text = "Monday:\n  9h: [io67a, nosuch]\nTuesday:\n  9:00: [io67a]"
    assert len(faults_of(text, mainnet)) == 3


def test_an_abbreviation_of_two_subnets_is_a_fault() -> None:
    twins = [Subnet("io67a-1", 13, "a"), Subnet("io67a-2", 13, "a")]
    assert "write the full principal" in faults_of("Monday:\n  9:00: [io67a]", twins)[0]


def test_the_error_lists_every_fault() -> None:
    assert refusal(["one", "two"]).splitlines()[1:] == ["  - one", "  - two"]


def test_next_week_is_seven_days_later() -> None:
    this, following = (start_time(day, "07:05", WEEK) for day in ("Sunday", "Sunday next week"))
    assert (this, following) == (
        datetime(2026, 11, 29, 7, 5, tzinfo=UTC),
        datetime(2026, 12, 6, 7, 5, tzinfo=UTC),
    )


def test_the_week_is_named_by_its_monday() -> None:
    assert parse_week("2026-11-23") == WEEK
    with pytest.raises(ValueError, match="is a Tuesday; give the Monday"):
        parse_week("2026-11-24")


@pytest.mark.parametrize("text", ["2026-11-31", "next", "", "23.11.2026"])
def test_a_week_that_is_no_date_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a date written YYYY-MM-DD"):
        parse_week(text)


@pytest.mark.parametrize("task_id", [None, "plan", "summary"])
def test_what_belongs_to_no_batch_needs_all_of_them(task_id: str | None) -> None:
    assert list(batches_needed(task_id)) == list(range(1, 31))


@pytest.mark.parametrize("task_id", ["batch_3.wait_for_start", "batch_3.subnet.create_proposal"])
def test_a_task_of_a_batch_needs_no_other(task_id: str) -> None:
    assert list(batches_needed(task_id)) == [3]
