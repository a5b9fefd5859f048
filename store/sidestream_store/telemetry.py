"""Writes what new frames bring: rows by COPY, the latest value of each sensor, and which ranges must be recomputed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from psycopg import sql

from sidestream_store.batch import CheckedFrame, LedgerKey

_PAUSE_US = 3_600_000_000
_UNIX = datetime(1970, 1, 1, tzinfo=UTC)


def write(
    connection: psycopg.Connection,
    new: Mapping[LedgerKey, CheckedFrame],
    frame_ids: Mapping[LedgerKey, int],
) -> frozenset[int]:
    live: list[tuple[Any, ...]] = []
    recorded: list[tuple[Any, ...]] = []
    scans: list[tuple[Any, ...]] = []
    latest: dict[int, tuple[Any, ...]] = {}
    times_us: dict[int, list[int]] = defaultdict(list)
    for key, frame in new.items():
        frame_id = frame_ids[key]
        rows = recorded if frame.recorded else live
        for r in frame.readings:
            rows.append((_time(r.time_us), r.sensor_id, r.value, r.quality, frame_id))
            times_us[r.sensor_id].append(r.time_us)
            candidate = (r.time_us, r.value is not None, r.value or 0.0, r, None, frame, frame_id)
            latest[r.sensor_id] = max(latest.get(r.sensor_id, candidate), candidate, key=lambda c: c[:3])
        for s in frame.scans:
            scans.append((_time(s.time_us), s.sensor_id, s.code, s.rssi_dbm, s.quality, frame.recorded, frame_id))
            times_us[s.sensor_id].append(s.time_us)
            scanned = (s.time_us, True, s.code, s, s.code, frame, frame_id)
            latest[s.sensor_id] = max(latest.get(s.sensor_id, scanned), scanned, key=lambda c: c[:3])
    _copy_readings(connection, "reading", live)
    _copy_readings(connection, "reading_recorded", recorded)
    _copy_scans(connection, scans)
    _upsert_latest(connection, latest)
    _mark_dirty(connection, times_us)
    return frozenset(times_us)


def _time(time_us: int) -> datetime:
    return _UNIX + timedelta(microseconds=time_us)


def _stretches(times_us: list[int]) -> Iterator[tuple[int, int]]:
    """First and last time of each stretch without a pause of more than an hour.

    Otherwise one reading of another year would have all that lies between computed again.
    """
    ordered = sorted(times_us)
    first = last = ordered[0]
    for time_us in ordered[1:]:
        if time_us - last > _PAUSE_US:
            yield first, last
            first = time_us
        last = time_us
    yield first, last


def _copy_readings(connection: psycopg.Connection, table: str, rows: list[tuple[Any, ...]]) -> None:
    if not rows:
        return
    statement = sql.SQL(
        "COPY sidestream.{} (time, sensor_id, value, quality, frame_id) FROM STDIN (FORMAT BINARY)"
    ).format(sql.Identifier(table))
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        copy.set_types(["timestamptz", "int4", "float8", "int2", "int8"])
        for row in rows:
            copy.write_row(row)


def _copy_scans(connection: psycopg.Connection, rows: list[tuple[Any, ...]]) -> None:
    if not rows:
        return
    with (
        connection.cursor() as cursor,
        cursor.copy(
            "COPY sidestream.scan (time, sensor_id, code, rssi, quality, recorded, frame_id) FROM STDIN (FORMAT BINARY)"
        ) as copy,
    ):
        copy.set_types(["timestamptz", "int4", "text", "float4", "int2", "bool", "int8"])
        for row in rows:
            copy.write_row(row)


def _upsert_latest(connection: psycopg.Connection, latest: dict[int, tuple[Any, ...]]) -> None:
    """The newest measurement of each sensor wins, whatever order frames come in; in sensor order against deadlock."""
    if not latest:
        return
    rows = [latest[sensor] for sensor in sorted(latest)]
    connection.execute(
        "INSERT INTO sidestream.latest AS l (sensor_id, time, value, code, quality, recorded, received_at, frame_id)"
        " SELECT * FROM unnest(%s::int[], %s::timestamptz[], %s::float8[], %s::text[], %s::smallint[], %s::boolean[],"
        " %s::timestamptz[], %s::bigint[])"
        " ON CONFLICT (sensor_id) DO UPDATE SET time = excluded.time, value = excluded.value, code = excluded.code,"
        " quality = excluded.quality, recorded = excluded.recorded, received_at = excluded.received_at,"
        " frame_id = excluded.frame_id"
        " WHERE excluded.time > l.time OR (excluded.time = l.time AND"
        " (COALESCE(excluded.value, '-infinity'), COALESCE(excluded.code, ''))"
        " > (COALESCE(l.value, '-infinity'), COALESCE(l.code, '')))",
        [
            [row[3].sensor_id for row in rows],
            [_time(row[0]) for row in rows],
            [getattr(row[3], "value", None) for row in rows],
            [row[4] for row in rows],
            [row[3].quality for row in rows],
            [row[5].recorded for row in rows],
            [row[5].message.received_at for row in rows],
            [row[6] for row in rows],
        ],
    )


def _mark_dirty(connection: psycopg.Connection, times_us: Mapping[int, list[int]]) -> None:
    rows = [(sensor, low, high) for sensor, times in times_us.items() for low, high in _stretches(times)]
    if rows:
        connection.execute(
            "INSERT INTO sidestream.dirty (sensor_id, from_at, to_at)"
            " SELECT * FROM unnest(%s::int[], %s::timestamptz[], %s::timestamptz[])",
            [[row[0] for row in rows], [_time(row[1]) for row in rows], [_time(row[2]) for row in rows]],
        )
