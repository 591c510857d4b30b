"""Days and hours in which work may begin."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfinity.allowed_hours import DAYS, AllowedHours, parse_allowed_hours

MONDAY = datetime(2026, 11, 23, tzinfo=UTC)
WORKDAYS = parse_allowed_hours(["Monday", "Tuesday", "Wednesday", "thursday"], "7:00-16:00")

moments = st.datetimes(datetime(2026, 1, 1), datetime(2028, 1, 1)).map(
    lambda moment: moment.replace(tzinfo=UTC)
)
hours = st.builds(
    lambda days, span: AllowedHours(days, min(span), max(span) + 1),
    st.frozensets(st.integers(0, 6), min_size=1),
    st.tuples(st.integers(0, 24 * 60 - 1), st.integers(0, 24 * 60 - 1)),
)


@pytest.mark.parametrize(
    ("moment", "following"),
    [
        (timedelta(hours=7), timedelta(hours=7)),
        (timedelta(hours=6, minutes=59), timedelta(hours=7)),
        (timedelta(hours=15, minutes=59, seconds=59), timedelta(hours=15, minutes=59, seconds=59)),
        (timedelta(hours=16), timedelta(days=1, hours=7)),
        (timedelta(days=3, hours=16), timedelta(days=7, hours=7)),
        (timedelta(days=5, hours=9), timedelta(days=7, hours=7)),
    ],
)
def test_the_next_allowed_moment(moment: timedelta, following: timedelta) -> None:
    assert WORKDAYS.next(MONDAY + moment) == MONDAY + following


@given(hours, moments)
def test_it_is_the_first_allowed_moment_that_is_not_earlier(allowed: AllowedHours, moment: datetime) -> None:
    following = allowed.next(moment)
    assert allowed.contain(following)
    assert moment <= following < moment + timedelta(days=8)
    if following > moment:
        assert not allowed.contain(following - timedelta(microseconds=1)), "it is an opening"
        between = [moment + timedelta(hours=n) for n in range(int((following - moment) / timedelta(hours=1)))]
        assert not any(allowed.contain(earlier) for earlier in between)


@given(hours)
def test_hours_survive_xcom(allowed: AllowedHours) -> None:
    assert AllowedHours.from_payload(allowed.to_payload()) == allowed


def test_a_whole_day_may_be_allowed() -> None:
    assert parse_allowed_hours(["Sunday"], "0:00-24:00") == AllowedHours(frozenset({6}), 0, 24 * 60)
    assert len(DAYS) == 7


@pytest.mark.parametrize(
    ("days", "span", "fault"),
    [
        ([], "7:00-16:00", "no day is allowed"),
        (["Mon"], "7:00-16:00", "'Mon': write days"),
        (["Monday"], "7-16", "is not a span of hours"),
        (["Monday"], "16:00-7:00", "do not begin before they end"),
        (["Monday"], "7:00-7:00", "do not begin before they end"),
        (["Monday"], "7:00-24:01", "do not begin before they end"),
        (["Monday"], "7:60-9:00", "do not begin before they end"),
    ],
)
def test_what_cannot_be_understood_is_named(days: list[str], span: str, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        parse_allowed_hours(days, span)
