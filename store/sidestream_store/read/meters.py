"""What meters did beside measuring, from the views."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import class_row

from sidestream_contracts.errors import DomainError
from sidestream_contracts.ids import unknown
from sidestream_store.connect import Connection, transient_errors


@dataclass(frozen=True, slots=True)
class RegisterEvent:
    """A rollover, reset, jump or swap. Numbers in the sensor's unit, None where nobody read or knows them.

    `rise` between the readings at `from_at` and `to_at`; None: what flowed from `unseen_from` to `unseen_to` is not known.
    """

    sensor: str
    name: str
    unit: str
    at: datetime
    kind: str
    from_at: datetime
    to_at: datetime
    before: float | None
    after: float | None
    rise: float | None
    unseen_from: datetime | None
    unseen_to: datetime | None
    note: str | None


@dataclass(frozen=True, slots=True)
class MarkedValues:
    """How many values of a sensor a check doubts, in how many of the twin's steps; `left_out`: no figure rests on them."""

    sensor: str
    name: str
    unit: str
    kind: str
    n: int
    steps: int
    first_at: datetime
    last_at: datetime
    low: float
    high: float
    left_out: bool


def register_events(connection: Connection, sensor: str | None, since_at: datetime | None) -> list[RegisterEvent]:
    """Events since then (default: a week ago), oldest first. DomainError for a sensor that the hub does not have."""
    _known(connection, sensor)
    with transient_errors("read meters"), connection.cursor(row_factory=class_row(RegisterEvent)) as cursor:
        return cursor.execute(
            "SELECT sensor, name, unit, at, kind, from_at, to_at, before, after, rise, unseen_from, unseen_to, note"
            " FROM sidestream_v.meter_event WHERE (%(sensor)s::text IS NULL OR sensor = %(sensor)s)"
            " AND at >= COALESCE(%(since)s::timestamptz, now() - interval '7 days') ORDER BY at, sensor",
            {"sensor": sensor, "since": since_at},
        ).fetchall()


def marked_values(connection: Connection, sensor: str | None, since_at: datetime | None) -> list[MarkedValues]:
    """Doubted values since then (default: a week ago), by sensor and check."""
    _known(connection, sensor)
    with transient_errors("read meters"), connection.cursor(row_factory=class_row(MarkedValues)) as cursor:
        return cursor.execute(
            "SELECT sensor, name, unit, kind, sum(n)::int AS n, count(*)::int AS steps, min(first_at) AS first_at,"
            " max(last_at) AS last_at, min(low) AS low, max(high) AS high, bool_or(left_out) AS left_out"
            " FROM sidestream_v.sensor_mark WHERE (%(sensor)s::text IS NULL OR sensor = %(sensor)s)"
            " AND time >= COALESCE(%(since)s::timestamptz, now() - interval '7 days')"
            " GROUP BY 1, 2, 3, 4 ORDER BY 1, 4",
            {"sensor": sensor, "since": since_at},
        ).fetchall()


def _known(connection: Connection, sensor: str | None) -> None:
    if sensor is None:
        return
    with transient_errors("read meters"):
        names = [row[0] for row in connection.execute("SELECT id FROM sidestream_v.sensor").fetchall()]
    if sensor not in names:
        raise DomainError(f"{unknown('sensor', sensor, names)}.")
