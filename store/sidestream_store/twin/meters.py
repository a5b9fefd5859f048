"""Events of registers and marks of doubted values: a range that was looked at says exactly what was found in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sidestream_store.connect import Connection
from sidestream_store.twin.dirty import step_start

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Seen:
    """The steps `first` to before `stop` of a sensor were looked at."""

    sensor_id: int
    first: int
    stop: int


@dataclass(frozen=True, slots=True)
class Event:
    """What a register did, in the sensor's own unit; times in seconds since 1970 UTC. See table `meter_event`."""

    kind: str
    at_s: float
    from_s: float
    to_s: float
    before: float | None
    after: float | None
    rise: float | None
    unseen_from_s: float | None
    unseen_to_s: float | None


@dataclass(frozen=True, slots=True)
class Mark:
    """Doubted values of one step, in the sensor's own unit; times in seconds since 1970 UTC. See table `sensor_mark`."""

    step: int
    kind: str
    n: int
    first_s: float
    last_s: float
    low: float
    high: float
    left_out: bool


def save_events(connection: Connection, found: Sequence[tuple[Seen, Sequence[Event]]], step_s: int) -> None:
    """The table says of each range exactly these events, by the time at which they happened."""
    _forget(connection, "DELETE FROM sidestream.meter_event t", "t.at", [seen for seen, _ in found], step_s)
    rows = [
        (
            seen.sensor_id, _at(e.at_s), e.kind, _at(e.from_s), _at(e.to_s), e.before, e.after, e.rise, _at(e.unseen_from_s),
            _at(e.unseen_to_s),
        )
        for seen, events in found
        for e in events
    ]  # fmt: skip
    if rows:
        with connection.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO sidestream.meter_event (sensor_id, at, kind, from_at, to_at, before, after, rise, unseen_from,"
                " unseen_to) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
                rows,
            )


def save_marks(connection: Connection, found: Sequence[tuple[Seen, Sequence[Mark]]], step_s: int) -> None:
    """The table says of each range exactly these marks."""
    _forget(connection, "DELETE FROM sidestream.sensor_mark t", "t.time", [seen for seen, _ in found], step_s)
    rows = [
        (
            seen.sensor_id, step_start(m.step, step_s), m.kind, m.n, _at(m.first_s), _at(m.last_s), m.low, m.high, m.left_out,
        )
        for seen, marks in found
        for m in marks
    ]  # fmt: skip
    if rows:
        with connection.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO sidestream.sensor_mark (sensor_id, time, kind, n, first_at, last_at, low, high, left_out)"
                " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
                rows,
            )


def _forget(connection: Connection, delete: str, time: str, seen: Sequence[Seen], step_s: int) -> None:
    if seen:
        connection.execute(
            f"{delete} USING unnest(%s::int[], %s::timestamptz[], %s::timestamptz[]) AS w (sensor_id, from_at, to_at)"
            f" WHERE t.sensor_id = w.sensor_id AND {time} >= w.from_at AND {time} < w.to_at",
            [
                [part.sensor_id for part in seen],
                [step_start(part.first, step_s) for part in seen],
                [step_start(part.stop, step_s) for part in seen],
            ],
        )


def _at(at_s: float | None) -> datetime | None:
    """The instant, to the microsecond in which it was sent."""
    return None if at_s is None else _EPOCH + timedelta(microseconds=round(at_s * 1e6))
