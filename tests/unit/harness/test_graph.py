"""Things start when what they need is there, and not before."""

import threading

import pytest

from harness.graph import CycleError, longest_first, run_graph


def test_nothing_starts_before_what_it_needs() -> None:
    order: list[str] = []
    run_graph({"c": {"b"}, "b": {"a"}, "a": set()}, order.append, workers=4)
    assert order == ["a", "b", "c"]


def test_independent_actions_run_side_by_side() -> None:
    meet = threading.Barrier(2, timeout=10)
    run_graph({"a": set(), "b": set()}, lambda name: meet.wait() and None, workers=2)


def test_the_first_error_is_raised_and_stops_what_has_not_started() -> None:
    started: list[str] = []

    def action(name: str) -> None:
        started.append(name)
        raise RuntimeError(name)

    with pytest.raises(RuntimeError, match="a"):
        run_graph({"a": set(), "b": {"a"}}, action, workers=1)
    assert started == ["a"]


def test_a_circle_is_named() -> None:
    with pytest.raises(CycleError, match="a, b"):
        run_graph({"a": {"b"}, "b": {"a"}}, lambda name: None, workers=1)


def test_those_come_first_that_the_longest_chain_waits_for() -> None:
    needs = {"lone": set(), "late": {"middle"}, "middle": {"early"}, "other": set(), "early": set[str]()}
    assert longest_first(needs) == ["early", "middle", "lone", "late", "other"]


def test_a_circle_does_not_hang_the_ordering() -> None:
    assert sorted(longest_first({"a": {"b"}, "b": {"a"}})) == ["a", "b"]
