"""When work may begin: days of the week, and hours of these days, in UTC."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

DAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_HOURS: Final = re.compile(r"(\d{1,2}):(\d{2})\s*-\s*(\d{1,2}):(\d{2})")
_MIDNIGHT: Final = 24 * 60


@dataclass(frozen=True)
class AllowedHours:
    """Days (0 is Monday), and the minutes of such a day from `opens` up to and without `closes`."""

    days: frozenset[int]
    opens: int
    closes: int

    def contain(self, moment: datetime) -> bool:
        """Whether work may begin at `moment` (UTC)."""
        return moment.weekday() in self.days and self.opens <= moment.hour * 60 + moment.minute < self.closes

    def next(self, moment: datetime) -> datetime:
        """The first allowed moment that is not before `moment` (UTC)."""
        if self.contain(moment):
            return moment
        day = datetime(moment.year, moment.month, moment.day, tzinfo=UTC)
        # A week and a day: today's hours may be over, and today may be the only day that is allowed.
        for offset in range(8):
            opening = day + timedelta(days=offset, minutes=self.opens)
            if opening.weekday() in self.days and opening >= moment:
                return opening
        raise ValueError("no day of the week is allowed")

    def to_payload(self) -> dict[str, Any]:
        return {"days": sorted(self.days), "opens": self.opens, "closes": self.closes}

    @classmethod
    def from_payload(cls, payload: Mapping[str, Any]) -> "AllowedHours":
        return cls(frozenset(payload["days"]), payload["opens"], payload["closes"])


def parse_allowed_hours(days: Sequence[str], hours: str) -> AllowedHours:
    """From names of days and e.g. `7:00-16:00`; raises ValueError, with a message for who wrote them."""
    unknown = [name for name in days if name.lower() not in DAYS]
    if unknown:
        raise ValueError(f"days: {', '.join(map(repr, unknown))}: write days such as `Monday`")
    if not days:
        raise ValueError("days: no day is allowed; name at least one")
    found = _HOURS.fullmatch(hours.strip())
    if found is None:
        raise ValueError(f"hours: {hours!r} is not a span of hours in UTC such as `7:00-16:00`")
    opens, closes = (int(found[n]) * 60 + int(found[n + 1]) for n in (1, 3))
    if int(found[2]) > 59 or int(found[4]) > 59 or not opens < closes <= _MIDNIGHT:
        raise ValueError(f"hours: {hours!r} do not begin before they end, within one day")
    return AllowedHours(frozenset(DAYS.index(name.lower()) for name in days), opens, closes)
