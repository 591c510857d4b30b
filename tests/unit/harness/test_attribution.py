"""Side effects whose task the pods could not tell are attributed by Airflow's records, or left alone."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from harness.attribution import Try, attribute, needed
from harness.mocks.ledger import Effect

NOW = datetime(2026, 11, 16, 9, 0, 30, tzinfo=UTC)
NOBODYS = Effect(1, NOW, "ic.proposal", "subnet", {}, "worker-1", "", "", "", -1, 0)
UNINDEXED = replace(NOBODYS, dag_id="d", run_id="r", task_id="propose", try_number=1)


def ran(task_id: str = "propose", map_index: int = -1, **changes: object) -> Try:
    """A try that began 20 s before the effect and ended 20 s after it."""
    made = Try(
        "d", "r", task_id, map_index, 1, "worker-1", NOW - timedelta(seconds=20), NOW + timedelta(seconds=20)
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def test_the_only_try_in_that_pod_at_that_time_caused_it() -> None:
    others = [
        ran("elsewhere", pod="worker-2"),
        ran("earlier", ended=NOW - timedelta(seconds=5)),
        ran("later", began=NOW + timedelta(seconds=5)),
        ran("queued", began=None),
    ]
    (found,) = attribute([NOBODYS], [*others, ran(try_number=2)])
    assert (found.dag_id, found.run_id, found.task_id, found.try_number) == ("d", "r", "propose", 2)


def test_of_two_that_ran_at_once_none_is_guessed() -> None:
    assert attribute([NOBODYS], [ran("one"), ran("two")]) == [NOBODYS]


def test_a_try_that_still_runs_may_have_caused_it() -> None:
    (found,) = attribute([NOBODYS], [ran(ended=None)])
    assert found.task_id == "propose"


def test_a_mapped_instance_is_found_when_the_others_had_ended() -> None:
    tries = [ran(map_index=0, ended=NOW - timedelta(seconds=5)), ran(map_index=1), ran("other", 7)]
    (found,) = attribute([UNINDEXED], tries)
    assert found.map_index == 1
    assert attribute([UNINDEXED], [ran(map_index=0), ran(map_index=1)]) == [UNINDEXED]


def test_another_try_of_the_same_task_is_not_meant() -> None:
    assert attribute([UNINDEXED], [ran(map_index=1, try_number=2)]) == [UNINDEXED]


@pytest.mark.parametrize(
    ("effect", "open_"), [(NOBODYS, True), (UNINDEXED, True), (replace(UNINDEXED, map_index=0), False)]
)
def test_records_are_needed_only_where_something_is_open(effect: Effect, open_: bool) -> None:
    assert needed([effect]) is open_
