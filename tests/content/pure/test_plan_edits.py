"""A plan that is edited under way."""

from typing import Any

import pytest

from dfinity.plan_edits import changes, edited_batch
from dfinity.rollout import Rollout, SubnetRollout

NEW = "a" * 40
Names = dict[int, list[str]]


def rollout(batches: Names, **fields: Any) -> Rollout:
    steps = {
        number: tuple(
            SubnetRollout(f"{name}-x", 13, NEW, number, f"2026-11-23T{8 + number:02}:00:00+00:00", False, 60)
            for name in names
        )
        for number, names in batches.items()
    }
    return Rollout(NEW, "2026-11-23", False, steps, "sheet", "2026-11-23T00:00:00+00:00", **fields)


PLANNED: Names = {1: ["a", "b"], 2: ["c"], 3: ["d"]}


def edit(number: int, edited: Names, begun: Names) -> tuple[list[str], list[str]]:
    """The names of batch `number`, and the faults."""
    faults: list[str] = []
    ids = {n: [f"{name}-x" for name in names] for n, names in begun.items()}
    steps = edited_batch(number, rollout(PLANNED), rollout(edited), ids, faults)
    return [step.abbreviation for step in steps], faults


@pytest.mark.parametrize(
    ("edited", "names"),
    [
        (PLANNED, ["c"]),
        ({1: ["a", "b"], 2: ["c", "e"], 3: ["d"]}, ["c", "e"]),
        ({1: ["a", "b"], 2: ["d"], 3: ["c"]}, ["d"]),
        ({1: ["a", "b"], 3: ["c", "d"]}, []),
        ({2: ["c"], 3: ["d"]}, ["c"]),
    ],
    ids=["unchanged", "one more", "swapped", "batch taken out", "done batch taken out"],
)
def test_a_batch_that_has_not_begun_begins_as_edited(edited: Names, names: list[str]) -> None:
    assert edit(2, edited, {1: ["a", "b"]}) == (names, [])


def test_a_subnet_that_is_put_into_a_batch_that_has_begun_would_be_left_out_and_so_is_a_fault() -> None:
    _, faults = edit(2, {1: ["a", "b", "d"], 2: ["c"]}, {1: ["a", "b"]})
    assert faults == ["d: batch 1 has begun without; put them into a later batch"]


def test_a_row_that_is_inserted_shifts_the_numbers_and_so_is_a_fault() -> None:
    _, faults = edit(2, {1: ["a", "b"], 2: ["e"], 3: ["c"], 4: ["d"]}, {1: ["a", "b"]})
    assert faults == ["d: this run has no batch 4; put them into one of its batches: 2, 3"]


def test_a_row_that_is_taken_out_after_it_was_done_shifts_the_numbers_and_so_is_a_fault() -> None:
    _, faults = edit(2, {1: ["c"], 2: ["d"]}, {1: ["a", "b"]})
    assert faults == ["c: batch 1 has begun without; put them into a later batch"]


def test_how_a_batch_differs_is_told() -> None:
    planned, edited = rollout({1: ["a", "b"]}).batches[1], rollout({2: ["b", "c"]}).batches[2]
    assert changes(planned, planned) == []
    assert changes(planned, edited) == ["without a", "with c", "from 2026-11-23T10:00:00+00:00"]
    other = SubnetRollout.from_payload(planned[0].to_payload() | {"git_revision": "c" * 40})
    assert changes(planned, (other, planned[1])) == [f"a at {'c' * 10}"]
