"""History made up for measuring: the tables of a hub as if it had run for weeks, filled in large steps.

Readings come from the caller by COPY; roll-ups are made of them by the product's own functions, twin values, agreements,
ledger, quarantine and lots by plain SQL that gives rows of the size and number that the product would write.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from sidestream_store.backfill import Backfill
from sidestream_store.connect import Connection
from sidestream_store.partitions import ensure_range
from sidestream_store.twin.values import SUM_TABLES, SUM_WIDTHS

_POSTGRES_EPOCH_US = 946_684_800_000_000
_ROW = np.dtype([
    ("fields", ">i2"), ("time_n", ">i4"), ("time", ">i8"), ("sensor_n", ">i4"), ("sensor", ">i4"), ("value_n", ">i4"),
    ("value", ">f8"), ("quality_n", ">i4"), ("quality", ">i2"), ("frame_n", ">i4"), ("frame", ">i8"),
])  # fmt: skip
_COPY = "COPY sidestream.reading (time, sensor_id, value, quality, frame_id) FROM STDIN (FORMAT BINARY)"


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """Readings of a stretch of time, all columns of one length: µs UTC, sensor numbers, values, qualities, frames."""

    time_us: NDArray[np.int64]
    sensor_id: NDArray[np.int32]
    value: NDArray[np.float64]
    quality: NDArray[np.int16]
    frame_id: NDArray[np.int64]


Numbers: TypeAlias = Mapping[str, tuple[int, int]]
"""Sensor id → number of the sensor, number of its device."""
Days: TypeAlias = Iterator[Columns]
"""The readings of one day after another."""


def copy_readings(connection: Connection, columns: Columns, sensors: int) -> None:
    """The readings are committed, where the profile keeps rows of a back-fill."""
    rows = np.empty(len(columns.time_us), _ROW)
    for name, size in (("fields", 5), ("time_n", 8), ("sensor_n", 4), ("value_n", 8), ("quality_n", 2), ("frame_n", 8)):
        rows[name] = size
    rows["time"] = columns.time_us - _POSTGRES_EPOCH_US
    for name in ("sensor", "value", "quality", "frame"):
        rows[name] = getattr(columns, name if name in ("value", "quality") else f"{name}_id")
    with connection.transaction():
        Backfill().choose(connection, len(rows), sensors)
        with connection.cursor() as cursor, cursor.copy(_COPY) as copy:
            copy.write(b"PGCOPY\n\xff\r\n\0" + bytes(8))
            copy.write(rows.tobytes())
            copy.write(b"\xff\xff")


def is_used(connection: Connection) -> bool:
    """Whether the database has a Sidestream schema at all."""
    row = connection.execute("SELECT to_regclass('sidestream.reading') IS NOT NULL").fetchone()
    return bool(row and row[0])


def filled_until(connection: Connection) -> datetime | None:
    """The minute before which the newest readings end; None where `fill_rest` never came to its end."""
    row = connection.execute(
        "SELECT max(time) + interval '1 minute' FROM sidestream.latest WHERE EXISTS (SELECT FROM sidestream.lot)"
    ).fetchone()
    return row[0] if row else None


def count_readings(connection: Connection) -> int:
    """How many readings there are, by their hourly roll-ups."""
    row = connection.execute("SELECT COALESCE(sum(n + bad), 0)::bigint FROM sidestream.rollup_1h").fetchone()
    return row[0] if row else 0


def prepare(connection: Connection, from_at: datetime, to_at: datetime) -> Numbers:
    """Partitions are there, and the connection is set for large steps; the numbers of all sensors."""
    ensure_range(connection, from_at, to_at)
    connection.execute("SET work_mem = '128MB'; SET maintenance_work_mem = '256MB'; SET synchronous_commit = off")
    rows = connection.execute("SELECT id, sensor_id, device_id FROM sidestream.sensor").fetchall()
    return {name: (sensor, device) for name, sensor, device in rows}


def fill_minutes(connection: Connection, from_at: datetime, to_at: datetime) -> None:
    """Minute roll-ups of [from_at, to_at) are those of the readings: one a minute, on the minute, inside its range."""
    connection.execute(_MINUTES, {"from": from_at, "to": to_at})


def fill_coarser(connection: Connection, from_at: datetime, to_at: datetime) -> None:
    """Hours and days are those of the minutes; statistics are right."""
    for level in ("1h", "1d"):
        bounds = {"from": from_at, "to": to_at + timedelta(days=1)}
        connection.execute(_ROLLUP.format(level=level), bounds)
    connection.execute("VACUUM (ANALYZE) sidestream.rollup_1m")


def fill_twin(connection: Connection, from_at: datetime, to_at: datetime) -> None:
    """The twin's figures of every step of a minute in [from_at, to_at), their sums, their newest."""
    bounds = {"from": from_at, "to": to_at}
    for statement in (_HEAT, _REGISTER, _SINGLE):
        connection.execute(_TWIN_COLUMNS + statement, bounds)
    connection.execute(_SUMS, bounds)
    connection.execute("ANALYZE sidestream.twin_value, sidestream.twin_sum")
    connection.execute(_HOLED_PAIRS)
    for (finer, _), (coarser, width) in pairwise(zip(SUM_TABLES, SUM_WIDTHS, strict=True)):
        connection.execute(_COARSER_SUMS.format(finer=finer, coarser=coarser, width=width))
    connection.execute(_TWIN_LATEST)


def fill_rest(connection: Connection, from_at: datetime, to_at: datetime) -> None:
    """Newest readings, agreements, ledger, devices, quarantine, scans and lots; statistics of all tables are right."""
    bounds = {"from": from_at, "to": to_at}
    for statement in (_LATEST, _AGREEMENTS, _LEDGER, _DEVICES, _QUARANTINE, _SCANS, _LOTS):
        connection.execute(statement, bounds)


_MINUTES = """
INSERT INTO sidestream.rollup_1m (sensor_id, bucket, n, bad, mean, low, high, first, first_at, last, last_at, known_at)
SELECT sensor_id, time, used, 1 - used, v, v, v, v, at, v, at, now()
FROM sidestream.reading
CROSS JOIN LATERAL (SELECT CASE WHEN quality < 2 THEN 1 ELSE 0 END AS used, CASE WHEN quality < 2 THEN value END AS v,
    CASE WHEN quality < 2 THEN time END AS at) x
WHERE time >= %(from)s AND time < %(to)s ORDER BY sensor_id, time
"""
_ROLLUP = """
INSERT INTO sidestream.rollup_{level} (sensor_id, bucket, n, bad, mean, low, high, first, first_at, last, last_at, known_at)
SELECT sensor_id, bucket, n, bad, mean, low, high, first, first_at, last, last_at, now()
FROM sidestream.hub h, sidestream.fresh_{level}(ARRAY(SELECT sensor_id FROM sidestream.sensor ORDER BY 1),
    date_trunc('day', %(from)s::timestamptz, h.timezone), date_trunc('day', %(to)s::timestamptz, h.timezone))
ORDER BY sensor_id, bucket
"""
_TWIN_COLUMNS = """
INSERT INTO sidestream.twin_value (subject_kind, subject, quantity, time, step_s, value, sd_random, sd_systematic, origin,
    completeness, n, inputs, flags, computed_at, known_at)
"""
_HEAT = """
WITH meter AS MATERIALIZED (
    SELECT f.stream, f.sensor_id AS flow, s.sensor_id AS supply, r.sensor_id AS returned,
        jsonb_build_object('sensors', jsonb_build_array(f.id, s.id, r.id), 'hub_version', 1) AS inputs
    FROM sidestream.sensor f
    JOIN sidestream.sensor s ON s.stream = f.stream AND s.role = 'supply_temperature'
    JOIN sidestream.sensor r ON r.stream = f.stream AND r.role = 'return_temperature'
    WHERE f.role = 'volume_flow'
)
SELECT 'stream', m.stream, 'heat_flow', a.bucket, 60, x.w, 0.006 * x.w, 0.012 * x.w,
    CASE WHEN extract(hour FROM a.bucket) = 3 AND extract(minute FROM a.bucket) < 10 THEN 'estimated' ELSE 'reconciled' END,
    1, 3, m.inputs, '[]', now(), now()
FROM meter m
JOIN sidestream.rollup_1m a ON a.sensor_id = m.flow
JOIN sidestream.rollup_1m b ON b.sensor_id = m.supply AND b.bucket = a.bucket
JOIN sidestream.rollup_1m c ON c.sensor_id = m.returned AND c.bucket = a.bucket
CROSS JOIN LATERAL (SELECT a.mean / 3600 * 4.11e6 * (b.mean - c.mean) AS w) x
WHERE a.bucket >= %(from)s AND a.bucket < %(to)s
ORDER BY 2, 4
"""
_REGISTER = """
WITH meter AS MATERIALIZED (
    SELECT stream, sensor_id, jsonb_build_object('sensors', jsonb_build_array(id), 'hub_version', 1) AS inputs
    FROM sidestream.sensor WHERE role = 'energy_register'
)
SELECT 'stream', m.stream, 'register_heat_flow', a.bucket, 60,
    (a.last - lag(a.last) OVER (PARTITION BY m.sensor_id ORDER BY a.bucket)) * 3.6e6 / 60, 1e3, 2e4, 'measured', 1, 2, m.inputs,
    '[]', now(), now()
FROM meter m JOIN sidestream.rollup_1m a USING (sensor_id)
WHERE a.bucket >= %(from)s AND a.bucket < %(to)s
ORDER BY 2, 4
"""
_SINGLE = """
WITH meter AS MATERIALIZED (
    SELECT *, jsonb_build_object('sensors', jsonb_build_array(id), 'hub_version', 1) AS inputs
    FROM sidestream.sensor WHERE role IN ('mass_flow', 'stock_mass')
)
SELECT CASE m.role WHEN 'mass_flow' THEN 'stream' ELSE 'node' END, COALESCE(m.stream, m.node),
    CASE m.role WHEN 'mass_flow' THEN 'mass_flow' ELSE 'stock_mass' END, a.bucket, 60, a.mean, 0.01 * a.mean, 0.01 * a.mean,
    CASE WHEN extract(hour FROM a.bucket) = 3 THEN 'estimated' ELSE 'measured' END, 1, 2, m.inputs, '[]', now(), now()
FROM meter m JOIN sidestream.rollup_1m a USING (sensor_id)
WHERE a.bucket >= %(from)s AND a.bucket < %(to)s
ORDER BY 2, 4
"""
_SUMS = """
INSERT INTO sidestream.twin_sum (subject, quantity, bucket, total, variance_random, sd_systematic, seen_s, origin_rank,
    valued_s, paired_total)
SELECT subject, quantity, bucket, total, variance_random, sd_systematic, seen_s, origin_rank, valued_s,
    CASE WHEN quantity <> 'mass_flow' AND count(*) OVER (PARTITION BY subject, bucket, valued_s) = 2 THEN total ELSE 0 END
FROM (
    SELECT subject, quantity, date_bin('15 min', time, timestamptz 'epoch') AS bucket, sum(value * step_s) AS total,
        sum((sd_random * step_s) ^ 2) AS variance_random, sum(sd_systematic * step_s) AS sd_systematic,
        sum(completeness * step_s) AS seen_s,
        max(CASE origin WHEN 'measured' THEN 1 WHEN 'reconciled' THEN 2 ELSE 4 END) AS origin_rank, sum(step_s) AS valued_s
    FROM sidestream.twin_value
    WHERE subject_kind = 'stream' AND value IS NOT NULL AND time >= %(from)s AND time < %(to)s
    GROUP BY 1, 2, 3
) quarter ORDER BY 1, 2, 3
"""
_HOLED_PAIRS = """
UPDATE sidestream.twin_sum s SET paired_total = p.total
FROM (SELECT DISTINCT subject, bucket FROM sidestream.twin_sum WHERE valued_s < 900 AND quantity <> 'mass_flow') b
CROSS JOIN LATERAL (
    SELECT v.quantity, COALESCE(sum(v.value * v.step_s) FILTER (WHERE w.value IS NOT NULL), 0) AS total
    FROM sidestream.twin_value v LEFT JOIN sidestream.twin_value w ON w.subject_kind = 'stream' AND w.subject = v.subject
        AND w.quantity <> v.quantity AND w.quantity IN ('heat_flow', 'register_heat_flow') AND w.time = v.time
    WHERE v.subject_kind = 'stream' AND v.subject = b.subject AND v.quantity IN ('heat_flow', 'register_heat_flow')
        AND v.time >= b.bucket AND v.time < b.bucket + interval '15 minutes' AND v.value IS NOT NULL
    GROUP BY v.quantity OFFSET 0
) p WHERE s.subject = b.subject AND s.bucket = b.bucket AND s.quantity = p.quantity
"""
_COARSER_SUMS = """
INSERT INTO sidestream.{coarser} (subject, quantity, bucket, total, variance_random, sd_systematic, seen_s, origin_rank,
    valued_s, paired_total)
SELECT subject, quantity, date_bin('{width}', bucket, timestamptz 'epoch'), sum(total), sum(variance_random), sum(sd_systematic),
    sum(seen_s), max(origin_rank), sum(valued_s), sum(paired_total)
FROM sidestream.{finer} GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""
_TWIN_LATEST = """
INSERT INTO sidestream.twin_latest
SELECT DISTINCT ON (subject_kind, subject, quantity) subject_kind, subject, quantity, time, step_s, value, sd_random,
    sd_systematic, origin, completeness, inputs, flags, computed_at
FROM sidestream.twin_value WHERE time >= now() - interval '1 hour' ORDER BY subject_kind, subject, quantity, time DESC
"""
_LATEST = """
INSERT INTO sidestream.latest (sensor_id, time, value, quality, recorded, received_at, frame_id)
SELECT DISTINCT ON (sensor_id) sensor_id, time, value, quality, false, time + interval '1 s', frame_id
FROM sidestream.reading WHERE time >= %(to)s - interval '1 hour' AND time < %(to)s ORDER BY sensor_id, time DESC
"""
_AGREEMENTS = """
INSERT INTO sidestream.agreement_status (agreement, period_from, period_to, agreed, expected_so_far, delivered, sd_random,
    sd_systematic, origin, completeness, status, reason, reason_numbers, computed_at, known_at)
SELECT a.id, d, d + interval '1 day', 1e11, 5e10, 4.9e10, 1e8, 5e8, 'reconciled', 0.99, 'on_track', 'within', '{}', now(), now()
FROM sidestream.agreement a, generate_series(date_trunc('day', %(from)s::timestamptz), %(to)s, interval '1 day') d
"""
_LEDGER = """
INSERT INTO sidestream.frame (frame_id, device_id, epoch, lane, seq, hash, kind, recorded, readings, received_at)
OVERRIDING SYSTEM VALUE
SELECT n * 100 + device_id, device_id, md5('e' || device_id)::uuid, 'l', n + 1, sha256(int8send(n)), 'readings', false, 50,
    t + interval '1 s'
FROM (SELECT row_number() OVER (ORDER BY t) - 1 AS n, t
      FROM generate_series(%(from)s::timestamptz, %(to)s - interval '1 minute', interval '1 minute') t) minute,
    sidestream.device ORDER BY t
"""
_DEVICES = """
INSERT INTO sidestream.device_status (device_id, state, epoch, at, received_at, body)
SELECT device_id, 'online', md5('e' || device_id), %(to)s, %(to)s, jsonb_build_object(
    'agent', 'sidestream', 'parked', 0,
    'outbox', jsonb_build_array(jsonb_build_object('lane', 'live', 'frames', 2, 'oldest_at', %(to)s::timestamptz)),
    'sensors', (SELECT jsonb_agg(jsonb_build_object('id', s.id, 'unit', s.unit)) FROM sidestream.sensor s WHERE s.device_id = d.device_id),
    'drivers', jsonb_build_array(jsonb_build_object('id', 'plc', 'state', 'running')))
FROM sidestream.device d
"""
_QUARANTINE = """
INSERT INTO sidestream.quarantine
    (device, reason, hash, detail, sensor, topic, properties, raw, first_at, last_at, count, readings, state)
SELECT 'bench/' || d.party || '/' || d.id, CASE n %% 3 WHEN 0 THEN 'unknown_sensor' WHEN 1 THEN 'not_a_number' ELSE 'time_future' END,
    md5(d.id || n), 'One sentence that says what is wrong and what to do about it, as long as such sentences are.', NULL,
    'sidestream/v1/bench/' || d.party || '/' || d.id || '/readings', '[]', decode(repeat('7b', 400), 'hex'), t, t, 1, 1,
    CASE WHEN n %% 4 = 0 THEN 'open' ELSE 'discarded' END
FROM sidestream.device d, generate_series(1, 300) n
CROSS JOIN LATERAL (SELECT %(to)s::timestamptz - n * (%(to)s::timestamptz - %(from)s) / 300 AS t) x
"""
_SCANS = """
INSERT INTO sidestream.scan (time, sensor_id, code, rssi, quality, recorded, frame_id)
SELECT %(to)s::timestamptz - n * (%(to)s::timestamptz - %(from)s) / 50000, s.sensor_id, 'BENCH-' || n / 5, -60, 0, false, n
FROM generate_series(0, 49999) n
JOIN (SELECT sensor_id, row_number() OVER (ORDER BY sensor_id) - 1 AS i, count(*) OVER () AS of
      FROM sidestream.sensor WHERE quantity = 'scan') s ON s.i = n %% s.of
ORDER BY 1
"""
_LOTS = """
INSERT INTO sidestream.lot (code, lot_type, place, since_at, last_seen_at, scans, computed_at)
SELECT DISTINCT ON (c.code) c.code, 'bag', s.node, c.time, c.time, 5, now()
FROM sidestream.scan c JOIN sidestream.sensor s USING (sensor_id) ORDER BY c.code, c.time DESC
"""


def mark_dirty(connection: Connection, sensors: list[int], from_at: datetime, to_at: datetime) -> None:
    """What of these sensors lies in [from_at, to_at) is to be computed, as ingest would say."""
    connection.execute(
        "INSERT INTO sidestream.dirty (sensor_id, from_at, to_at) SELECT unnest(%s::int[]), %s, %s - interval '1 us'",
        [sensors, from_at, to_at],
    )
