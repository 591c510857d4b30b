"""Skipping jumps only once the scheduler has seen that nothing is at work, and stops at whatever is due."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from harness.clock import Clock, ClockError
from harness.due import Component, Due, Outlook
from harness.waits import WaitTimeout

NOW = datetime(2027, 1, 1, tzinfo=UTC)
TICK = timedelta(milliseconds=100)
LATER = Due(NOW + timedelta(days=1), "something")


class Skipped(Clock):
    """A clock that is told what it sees, look by look, and keeps where it was moved to."""

    def __init__(self, looks: list[Outlook], changes: tuple[Due, ...] = ()) -> None:
        self._looks: Iterator[Outlook] = iter(looks)
        self._changes = iter(changes)
        self._last = looks[-1]
        self.moved: list[Due] = []
        self.said: list[str] = []
        self.rung: list[Component] = []

    def outlook(self) -> Outlook:
        self._last = next(self._looks, self._last)
        return self._last

    def change_of_mocks(self) -> Due | None:
        return next(self._changes, None)

    def jump_to(self, due: Due) -> None:
        self.moved.append(due)

    def check_containers(self) -> None:
        """All run."""

    def tell(self, text: str) -> None:
        self.said.append(text)

    def ring(self, component: Component) -> None:
        self.rung.append(component)


def look(
    tick: int,
    busy: tuple[str, ...] = (),
    examined: int | None = None,
    due: tuple[Due, ...] = (LATER,),
    unexamined: tuple[str, ...] = (),
) -> Outlook:
    """What is seen at `tick`, when the scheduler's oldest look at a run was at the tick `examined`."""
    at = None if examined is None else NOW + examined * TICK
    return Outlook(busy, due, NOW + tick * TICK, at, unexamined=unexamined)


def skip(clock: Skipped, **options: Any) -> Skipped:
    clock.skip_until(lambda: clock.moved, "a jump", **options)
    return clock


def test_without_a_running_run_the_soonest_moment_is_jumped_to_at_once() -> None:
    sooner = Due(LATER.moment - timedelta(hours=1), "sooner")
    assert skip(Skipped([look(0, due=(LATER, sooner))])).moved == [sooner]


def changes(*minutes: int) -> tuple[Due, ...]:
    return tuple(Due(NOW + timedelta(minutes=m), f"change {m}", passive=True) for m in minutes)


def test_changes_of_the_mocks_are_met_one_by_one_without_another_look_until_something_else_is_due() -> None:
    first, *others = changes(1, 2, 3, 5)
    active = Due(NOW + timedelta(minutes=4), "a sensor wakes up")
    clock = Skipped([look(0, due=(active, first)), look(1, due=(active,))], tuple(others))
    clock.skip_until(lambda: active in clock.moved, "the sensor")
    assert [due.what for due in clock.moved] == ["change 1", "change 2", "change 3", "a sensor wakes up"]


def test_the_condition_is_looked_at_after_each_change_of_the_mocks() -> None:
    first, *others = changes(1, 2, 3)
    clock = Skipped([look(0, due=(LATER, first))], tuple(others))
    clock.skip_until(lambda: len(clock.moved) == 2, "the second change")
    assert [due.what for due in clock.moved] == ["change 1", "change 2"]


def test_a_run_that_the_scheduler_saw_before_the_quiet_began_has_to_be_seen_once_more() -> None:
    unseen = [look(0, examined=-1), look(1, examined=0)]
    with pytest.raises(WaitTimeout, match="the scheduler has not looked at every run"):
        skip(Skipped(unseen), timeout=0.3)
    assert skip(Skipped([*unseen, look(2, examined=1)])).moved == [LATER]


def test_a_look_that_began_in_the_quiet_is_enough_for_a_run_that_had_not_been_looked_at_by_then() -> None:
    unseen = [look(0, examined=-1, unexamined=("a run",)), look(1, examined=0, unexamined=("a run",))]
    with pytest.raises(WaitTimeout, match="in vain\na run"):
        skip(Skipped(unseen), timeout=0.3)
    assert skip(Skipped([*unseen, look(2, examined=1)])).moved == [LATER]


def test_the_bell_is_rung_for_rounds_that_are_waited_for_and_not_while_a_task_runs() -> None:
    running = look(0, ("a task",))
    clock = skip(Skipped([running, running, look(2)]))
    assert clock.rung == []
    awake = replace(running, awake=("a trigger",))
    another = replace(awake, awake=("another",))
    unsettled = [look(1, examined=0), look(3, examined=2)]
    rung = skip(Skipped([awake, awake, another, another, *unsettled])).rung
    assert rung == ["triggerer", "triggerer", "scheduler"]


def test_the_scheduler_may_look_while_a_trigger_begins_to_sleep() -> None:
    awake = replace(look(0, examined=-1), awake=("a trigger",))
    clock = skip(Skipped([awake, replace(awake, examined=NOW + TICK), look(2, examined=1)]))
    assert (clock.rung, clock.moved) == (["scheduler", "triggerer"], [LATER])


def test_a_task_that_came_and_went_between_two_looks_has_to_be_seen_by_the_scheduler() -> None:
    before = replace(look(0, examined=1), changed=NOW - TICK)
    missed = replace(look(2, examined=1), changed=NOW + TICK)
    looks = [replace(before, awake=("a trigger",)), missed]
    with pytest.raises(WaitTimeout, match="the scheduler has not looked at every run"):
        skip(Skipped(looks), timeout=0.3)
    assert skip(Skipped([*looks, replace(missed, examined=NOW + 3 * TICK)])).moved == [LATER]


def test_the_scheduler_is_rung_for_once_until_it_has_looked_or_something_else_has_to_be() -> None:
    unseen = look(1, examined=0, unexamined=("a run",))
    others = replace(unseen, unexamined=("a run", "another"))
    looked = replace(unseen, examined=NOW + TICK)
    clock = skip(Skipped([unseen, unseen, others, others, looked, looked, look(4, examined=3)]))
    assert clock.rung == ["scheduler"] * 3


def test_what_comes_to_work_meanwhile_begins_the_wait_anew() -> None:
    looks = [look(0, examined=-1), look(1, ("a task",), examined=1), look(2, examined=1), look(3, examined=1)]
    with pytest.raises(WaitTimeout, match="the scheduler has not looked at every run"):
        skip(Skipped(looks), timeout=0.5)


def test_what_is_waited_for_is_in_the_error() -> None:
    with pytest.raises(WaitTimeout, match=r"a jump .skipping time., in vain\nthe third task"):
        skip(Skipped([look(0, ("the third task",))]), timeout=0.2)


class Ahead(Clock):
    """A clock that somebody else has moved a day on meanwhile."""

    def __init__(self) -> None:
        day = 86400 * 10**9

        def answer(request: httpx.Request) -> httpx.Response:
            if request.method == "GET":
                return httpx.Response(200, json={"offset_ns": day, "sleepers": []})
            return httpx.Response(409, json={"error": "the clock does not go back"})

        self._http = httpx.Client(base_url="http://clock", transport=httpx.MockTransport(answer))
        self._jumps = []


def test_a_due_moment_that_has_come_by_itself_is_not_jumped_to() -> None:
    clock = Ahead()
    clock.jump_to(Due(datetime.now(UTC) + timedelta(hours=1), "something"))
    assert clock.jumps() == []
    with pytest.raises(ClockError, match="does not go back"):
        clock.set(clock.now() + timedelta(hours=1))


def test_a_span_or_moment_that_is_not_ahead_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Skipped([look(0)])
    monkeypatch.setattr(clock, "now", lambda: NOW)
    with pytest.raises(ClockError, match="has no time zone"):
        clock.set(datetime(2030, 1, 1))
    with pytest.raises(ClockError, match="does not go back"):
        clock.set(NOW)
