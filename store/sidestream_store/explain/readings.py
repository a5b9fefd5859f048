"""Readings and scans with how each came: its frame or folded hour, its correction, who entered it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.rows import class_row

from sidestream_store.connect import Connection


@dataclass(frozen=True, slots=True)
class Reading:
    """A reading as it counts and as it came, in the sensor's unit; `received_*` differ where its frame is folded.

    `seq` None: the ledger keeps only the hour of its lane; `device` None: nothing is known of its frame any more.
    """

    time: datetime
    value: float | None
    raw_value: float | None
    quality: int
    recorded: bool
    correction_id: int | None
    entered_by: str | None
    note: str | None
    own_sd: float | None
    code: str | None
    device: str | None
    party: str | None
    epoch: str | None
    lane: str | None
    seq: int | None
    received_from: datetime | None
    received_to: datetime | None
    clock_sync: str | None


@dataclass(frozen=True, slots=True)
class Sensor:
    """A measuring point with what hub.yaml says of it now."""

    sensor_id: int
    id: str
    name: str
    device: str
    party: str
    quantity: str
    unit: str
    role: str


def sensors(connection: Connection) -> dict[str, Sensor]:
    """Every sensor of the hub, by id."""
    with connection.cursor(row_factory=class_row(Sensor)) as cursor:
        rows = cursor.execute(
            "SELECT sensor_id, id, name, device, party, quantity, unit, role FROM sidestream_v.sensor"
        )
        return {row.id: row for row in rows}


def readings(connection: Connection, sensor: Sensor, from_at: datetime, to_at: datetime, limit: int) -> list[Reading]:
    """The first `limit` readings in [from_at, to_at], used or not, by time."""
    return _asked(connection, _READINGS, sensor, {"from": from_at, "to": to_at, "limit": limit})


def reading_before(connection: Connection, sensor: Sensor, at: datetime | None) -> Reading | None:
    """The newest reading at or before `at` (None: of all) that is in the raw tables; looks a year back at most."""
    row = connection.execute(
        "SELECT max(last_at) FROM sidestream_v.rollup_1d WHERE sensor_id = %s AND first_at <= COALESCE(%s, now())",
        [sensor.sensor_id, at],
    ).fetchone()
    newest = connection.execute(
        "SELECT time FROM sidestream_v.latest WHERE sensor_id = %s", [sensor.sensor_id]
    ).fetchone()
    candidates = [x for x in (row[0] if row else None, newest[0] if newest else None) if x is not None]
    until = at if at is not None else max(candidates, default=None)
    for days in (1 / 24, 1, 30, 366):
        found = _asked(connection, _BEFORE, sensor, {"at": until, "days": days}) if until else []
        if found:
            return found[0]
    return None


def scans(
    connection: Connection, code: str, from_at: datetime, to_at: datetime, limit: int
) -> list[tuple[str, Reading]]:
    """The first `limit` reads of a code in [from_at, to_at] with their sensor's id, by time."""
    with connection.cursor() as cursor:
        rows = cursor.execute(_SCANS, {"code": code, "from": from_at, "to": to_at, "limit": limit}).fetchall()
    return [(row[0], Reading(*row[1:])) for row in rows]


def known_then(
    connection: Connection, numbers: Sequence[int], from_at: datetime, to_at: datetime, known_at: datetime
) -> list[tuple[int, float, float]]:
    """(sensor, seconds since 1970 UTC, value) of the usable readings in [from_at, to_at) as they were known at `known_at`.

    Of what arrived by then, with the corrections that were in force then: of several the newest counts.
    """
    rows = connection.execute(
        _KNOWN_THEN, {"sensors": list(numbers), "from": from_at, "to": to_at, "known": known_at}
    ).fetchall()
    return [(number, at_s, value) for number, at_s, value in rows]


def _asked(connection: Connection, query: str, sensor: Sensor, values: dict[str, Any]) -> list[Reading]:
    with connection.cursor(row_factory=class_row(Reading)) as cursor:
        return cursor.execute(query, {"sensor": sensor.sensor_id, "device": sensor.device, **values}).fetchall()


_FRAME = """
LEFT JOIN LATERAL (
    SELECT device, party, epoch::text AS epoch, lane, seq, received_from, received_to, clock_sync FROM sidestream_v.frame f
    WHERE f.frame_from <= r.frame_id AND f.frame_to >= r.frame_id AND (NOT f.folded OR f.device = %(device)s)
    ORDER BY f.folded, f.frame_to - f.frame_from LIMIT 1
) f ON true
"""
_COLUMNS = (
    "r.time, r.value, r.raw_value, r.quality, r.recorded, r.correction_id, r.entered_by, r.note, e.sd AS own_sd,"
    " NULL::text AS code, f.device, f.party, f.epoch, f.lane, f.seq, f.received_from, f.received_to, f.clock_sync"
)
_ENTRY = "LEFT JOIN sidestream_v.manual_entry e ON r.entered_by IS NOT NULL AND e.frame_id = r.frame_id"
_READINGS = f"""
SELECT {_COLUMNS} FROM (
    SELECT * FROM sidestream_v.reading WHERE sensor_id = %(sensor)s AND time >= %(from)s AND time <= %(to)s
    ORDER BY time, frame_id LIMIT %(limit)s
) r {_ENTRY} {_FRAME} ORDER BY r.time, r.frame_id
"""  # noqa: S608  parts of our own
_BEFORE = f"""
SELECT {_COLUMNS} FROM (
    SELECT * FROM sidestream_v.reading
    WHERE sensor_id = %(sensor)s AND time > %(at)s - %(days)s * interval '1 day' AND time <= %(at)s
    ORDER BY time DESC, frame_id DESC LIMIT 1
) r {_ENTRY} {_FRAME}
"""  # noqa: S608  parts of our own
_SCANS = """
SELECT r.sensor, r.time, NULL::float8, NULL::float8, r.quality, r.recorded, r.correction_id, NULL::text, NULL::text,
       NULL::float8, r.code, f.device, f.party, f.epoch, f.lane, f.seq, f.received_from, f.received_to, f.clock_sync
FROM (
    SELECT * FROM sidestream_v.scan WHERE code = %(code)s AND time >= %(from)s AND time <= %(to)s
    ORDER BY time, frame_id LIMIT %(limit)s
) r
LEFT JOIN LATERAL (
    SELECT device, party, epoch::text AS epoch, lane, seq, received_from, received_to, clock_sync FROM sidestream_v.frame f
    WHERE f.frame_from <= r.frame_id AND f.frame_to >= r.frame_id ORDER BY f.folded, f.frame_to - f.frame_from LIMIT 1
) f ON true ORDER BY r.time, r.sensor
"""
_KNOWN_THEN = """
SELECT r.sensor_id, extract(epoch FROM r.time)::float8,
       CASE c.action WHEN 'set' THEN c.value
           WHEN 'adjust' THEN CASE WHEN abs(r.raw_value) < 1e-200 THEN c.offset_value
               ELSE r.raw_value * c.factor + c.offset_value END
           ELSE r.raw_value END AS value
FROM sidestream_v.reading r
LEFT JOIN LATERAL (
    SELECT action, value, factor, offset_value FROM sidestream_v.correction x
    WHERE x.sensor = r.sensor AND x.code IS NULL AND x.from_at <= r.time AND x.to_at > r.time AND x.made_at <= %(known)s
        AND (x.withdrawn_at IS NULL OR x.withdrawn_at > %(known)s)
    ORDER BY x.correction_id DESC LIMIT 1
) c ON true
WHERE r.sensor_id = ANY (%(sensors)s) AND r.time >= %(from)s AND r.time < %(to)s AND r.raw_value IS NOT NULL
    AND c.action IS DISTINCT FROM 'void' AND (c.action = 'set' OR r.raw_quality < 2)
    AND NOT EXISTS (
        SELECT FROM sidestream_v.frame f
        WHERE f.frame_from <= r.frame_id AND f.frame_to >= r.frame_id AND NOT f.folded AND f.received_from > %(known)s)
ORDER BY 1, 2
"""
