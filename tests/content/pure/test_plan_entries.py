"""Reading a plan: YAML and sheet."""

import pytest

from dfinity.plan_entries import PlanEntry, entries_from_rows, entries_from_yaml

HEADER = ["Day", "Time (UTC)", "Subnets", "Batch"]


def faults_of_yaml(text: str) -> list[str]:
    faults: list[str] = []
    entries_from_yaml(text, faults)
    return faults


def faults_of_rows(rows: list[list[str]]) -> list[str]:
    faults: list[str] = []
    entries_from_rows(rows, faults)
    return faults


def test_the_real_plan_has_18_batches_and_50_subnets(mainnet_plan: str) -> None:
    faults: list[str] = []
    entries = entries_from_yaml(mainnet_plan, faults)
    assert faults == []
    assert (len(entries), sum(len(e.subnets) for e in entries)) == (18, 50)
    assert entries[-1] == PlanEntry(
        "Monday next week 7:00 (line 26)", "Monday next week", "7:00", ("tdb26",), "30"
    )


def test_times_are_read_as_written_and_not_as_base_60_numbers() -> None:
    assert entries_from_yaml("Monday:\n  9:00: [io67a]", [])[0].time == "9:00"


def test_a_sheet_gives_the_same_entries_as_yaml() -> None:
    rows = [
        HEADER,
        ["Monday", "9:00", "io67a, xok3w"],
        ["", "11:00", "vcpt7", ""],
        [],
        ["Tuesday", "7:00", "shefu", "5"],
    ]
    text = "Monday:\n  9:00: [io67a, xok3w]\n  11:00: [vcpt7]\nTuesday:\n  7:00: {subnets: [shefu], batch: 5}"

    def content(entries: list[PlanEntry]) -> list[object]:
        return [(e.day, e.time, e.subnets, e.batch) for e in entries]

    assert content(entries_from_rows(rows, [])) == content(entries_from_yaml(text, []))


def test_features_of_a_sheet_and_of_yaml_say_the_same() -> None:
    rows = [[*HEADER, "Features"], ["Monday", "9:00", "io67a, xok3w", "", "io67a=abc, xok3w = def"]]
    text = "Monday:\n  9:00: {subnets: [io67a, xok3w], features: {io67a: abc, xok3w: def}}"
    faults: list[str] = []
    (of_sheet,), (of_yaml,) = entries_from_rows(rows, faults), entries_from_yaml(text, faults)
    assert faults == []
    assert of_sheet.features == of_yaml.features == {"io67a": "abc", "xok3w": "def"}


def test_a_feature_that_is_not_a_pair_is_a_fault() -> None:
    rows = [[*HEADER, "Features"], ["Monday", "9:00", "io67a", "", "io67a abc, =x, a=1, a=2"]]
    faults = faults_of_rows(rows)
    assert [fault.split("'")[1] for fault in faults] == ["io67a abc", "=x", "a=2"]
    assert all(fault.startswith("row 2: feature") for fault in faults)


def test_a_fault_of_a_sheet_names_the_row_as_the_sheet_counts_it() -> None:
    rows = [HEADER, ["Monday", "9:00", "io67a"], [], ["", "11:00", "vcpt7"]]
    assert [e.where for e in entries_from_rows(rows, [])] == ["row 2", "row 4"]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "the plan is empty"),
        ("{}", "the plan is empty"),
        ("# nothing but a comment", "the plan is empty"),
        ("Monday: [", "the plan is not YAML"),
        ("just text", "expected `name: value` pairs"),
        ("Monday: [io67a]", "Monday: expected `name: value` pairs"),
        ("Monday:\n  9:00: io67a", "Monday 9:00 (line 2): write a list"),
        ("Monday:\n  9:00: {batch: 3}", "`subnets` is missing"),
        ("Monday:\n  9:00: {subnets: [a], bach: 3}", "unknown keys bach"),
        ("Monday:\n  9:00: [[a]]", "not a list of names"),
        ("Monday:\n  9:00: {subnets: {a: b}}", "not a list of names"),
    ],
)
def test_yaml_of_another_shape_is_a_fault(text: str, fault: str) -> None:
    assert [fault in found for found in faults_of_yaml(text)] == [True], faults_of_yaml(text)


def test_a_day_or_time_that_comes_twice_is_a_fault_instead_of_replacing_the_first() -> None:
    text = "Monday:\n  9:00: [a]\n  9:00: [b]\nTuesday:\n  9:00: [c]\nMonday:\n  11:00: [d]"
    first, second = faults_of_yaml(text)
    assert "9:00 is there twice (line 3)" in first
    assert "Monday is there twice (line 6)" in second


@pytest.mark.parametrize("rows", [[], [[]], [HEADER], [HEADER, [], ["", " "]]])
def test_a_sheet_without_batches_is_a_fault(rows: list[list[str]]) -> None:
    assert ["the sheet is empty" in found for found in faults_of_rows(rows)] == [True]


def test_a_sheet_with_another_header_is_a_fault() -> None:
    (fault,) = faults_of_rows([["Day", "Subnets", "Time (UTC)"], ["Monday", "io67a", "9:00"]])
    assert "not the header Day | Time (UTC) | Subnets | Batch" in fault
