"""Calendar periods in a hub's own time zone: a day there has 23, 24 or 25 hours, and a month what it has.

The zone is handed in, so nothing here reads a database of zones. Bounds come out in UTC, half-open, and follow on each
other without gap or overlap.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from enum import StrEnum

from sidestream_twin.core.errors import ModelError


class PeriodKind(StrEnum):
    """Length of a calendar period; weeks begin on Monday (ISO 8601)."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    YEAR = "year"


@dataclass(frozen=True, slots=True)
class Period:
    """Time from ``from_at`` until before ``to_at``, both aware. Raises ModelError when it is empty or naive."""

    from_at: datetime
    to_at: datetime

    def __post_init__(self) -> None:
        if self.from_at.tzinfo is None or self.to_at.tzinfo is None or not self.from_at < self.to_at:
            msg = f"a period from {self.from_at} to {self.to_at} can't be: both need a zone, the first be earlier"
            raise ModelError(msg)

    @property
    def length_s(self) -> float:
        """Seconds that really pass, clock changes included."""
        return (self.to_at.astimezone(UTC) - self.from_at.astimezone(UTC)).total_seconds()


def period_at(instant_at: datetime, kind: PeriodKind, zone: tzinfo) -> Period:
    """Return the calendar period of ``zone`` that an aware instant lies in, with bounds in UTC."""
    if instant_at.tzinfo is None:
        msg = f"{instant_at} has no time zone; give UTC"
        raise ModelError(msg)
    first = _first_day(instant_at.astimezone(zone).date(), kind)
    return Period(_midnight(first, zone), _midnight(_next_first_day(first, kind), zone))


def _first_day(day: date, kind: PeriodKind) -> date:
    if kind is PeriodKind.WEEK:
        return day - timedelta(days=day.weekday())
    if kind is PeriodKind.MONTH:
        return day.replace(day=1)
    return day.replace(month=1, day=1) if kind is PeriodKind.YEAR else day


def _next_first_day(first: date, kind: PeriodKind) -> date:
    # Longer than any period of its kind and shorter than two, so it lands in the next one.
    reach = {PeriodKind.DAY: 1, PeriodKind.WEEK: 7, PeriodKind.MONTH: 32, PeriodKind.YEAR: 367}
    return _first_day(first + timedelta(days=reach[kind]), kind)


def _midnight(day: date, zone: tzinfo) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)
