"""Writes what new frames bring: rows by COPY, the latest value of each sensor, and which ranges must be recomputed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from psycopg import sql

from sidestream_store.batch import CheckedFrame, LedgerKey

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
    span: dict[int, tuple[int, int]] = {}
    for key, frame in new.items():
        frame_id = frame_ids[key]
        rows = recorded if frame.recorded else live
        for r in frame.readings:
            rows.append((_time(r.time_us), r.sensor_id, r.value, r.quality, frame_id))
            _widen(span, r.sensor_id, r.time_us)
            candidate = (r.time_us, r.value is not None, r.value or 0.0, r, None, frame, frame_id)
            latest[r.sensor_id] = max(latest.get(r.sensor_id, candidate), candidate, key=lambda c: c[:3])
        for s in frame.scans:
            scans.append((_time(s.time_us), s.sensor_id, s.code, s.rssi_dbm, s.quality, frame.recorded, frame_id))
            _widen(span, s.sensor_id, s.time_us)
            scanned = (s.time_us, True, s.code, s, s.code, frame, frame_id)
            latest[s.sensor_id] = max(latest.get(s.sensor_id, scanned), scanned, key=lambda c: c[:3])
    _copy_readings(connection, "reading", live)
    _copy_readings(connection, "reading_recorded", recorded)
    _copy_scans(connection, scans)
    _upsert_latest(connection, latest)
    _mark_dirty(connection, span)
    return frozenset(span)


def _time(time_us: int) -> datetime:
    return _UNIX + timedelta(microseconds=time_us)


def _widen(span: dict[int, tuple[int, int]], sensor_id: int, time_us: int) -> None:
    low, high = span.get(sensor_id, (time_us, time_us))
    span[sensor_id] = (min(low, time_us), max(high, time_us))


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


def _mark_dirty(connection: psycopg.Connection, span: dict[int, tuple[int, int]]) -> None:
    if span:
        connection.execute(
            "INSERT INTO sidestream.dirty (sensor_id, from_at, to_at)"
            " SELECT * FROM unnest(%s::int[], %s::timestamptz[], %s::timestamptz[])",
            [list(span), [_time(low) for low, _ in span.values()], [_time(high) for _, high in span.values()]],
        )
