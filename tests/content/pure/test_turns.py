"""Runs of one DAG that wait for each other."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfinity.turns import OtherRun, ahead


@pytest.mark.parametrize(
    ("state", "waits"),
    [
        ("success", True),
        ("running", True),
        ("scheduled", True),
        ("queued", True),
        ("up_for_retry", True),
        (None, False),
        ("failed", False),
        ("upstream_failed", False),
    ],
)
def test_a_run_waits_for_others_that_are_under_way_or_looking_right_now(
    state: str | None, waits: bool
) -> None:
    assert ahead("b", [OtherRun("z", state)]) == (["z"] if waits else [])


def test_of_runs_that_wait_the_first_goes_first() -> None:
    others = [OtherRun("a", "deferred"), OtherRun("c", "deferred")]
    assert ahead("b", others) == ["a"]


def test_a_simulation_is_not_waited_for() -> None:
    assert ahead("b", [OtherRun("a", "success", simulates=True)]) == []


@given(st.lists(st.sampled_from(["deferred", "running", "success"]), min_size=2, max_size=5), st.data())
def test_whatever_the_states_at_most_one_run_goes_and_none_beside_one_under_way(
    states: list[str], data: st.DataObject
) -> None:
    """Each looks in the state `running`, so at the moment of a decision all who decide are seen as such."""
    runs = [OtherRun(f"run {number}", state) for number, state in enumerate(states)]
    looking = [run for run in runs if run.plan_state == "running"]
    going = [run for run in looking if not ahead(run.run_id, [other for other in runs if other is not run])]
    assert len(going) <= 1
    assert not going or all(run.plan_state != "success" for run in runs)


@given(st.sets(st.text("abc", min_size=1, max_size=4), min_size=1, max_size=6))
def test_of_runs_that_all_wait_exactly_one_is_sent_on(names: set[str]) -> None:
    runs = [OtherRun(name, "deferred") for name in names]
    sent = [
        run.run_id for run in runs if not ahead(run.run_id, [other for other in runs if other is not run])
    ]
    assert sent == [min(names)]
