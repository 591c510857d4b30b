"""The order of tests in a session."""

from types import SimpleNamespace
from typing import Any

from harness.pytest_plugin import pytest_collection_modifyitems


def item(name: str, *markers: str) -> Any:
    return SimpleNamespace(name=name, get_closest_marker=lambda wanted: wanted if wanted in markers else None)


def test_the_longest_tests_come_first_and_all_others_stay_in_their_order() -> None:
    items = [item("b"), item("d", "slow"), item("c", "starts_first"), item("a"), item("e", "starts_first")]
    pytest_collection_modifyitems(items)
    assert [one.name for one in items] == ["c", "e", "b", "d", "a"]
