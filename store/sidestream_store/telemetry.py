"""Writes what new frames bring: rows by COPY, the latest value of each sensor, and which ranges must be recomputed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from sidestream_store import latest
from sidestream_store.backfill import Backfill
from sidestream_store.batch import Brought, CheckedFrame, LedgerKey
from sidestream_store.columns import numbers
from sidestream_store.connect import Connection
from sidestream_store.copy_rows import copy_readings, pack
from sidestream_store.latest import Latest

_PAUSE_US = 3_600_000_000
_UNIX = datetime(1970, 1, 1, tzinfo=UTC)
_backfills: WeakKeyDictionary[Connection, Backfill] = WeakKeyDictionary()


def write(
    connection: Connection,
    new: Mapping[LedgerKey, CheckedFrame],
    frame_ids: Mapping[LedgerKey, int],
) -> frozenset[int]:
    """Everything that the new frames bring is written; gives the sensors of which something came."""
    live = [(frame, frame_ids[key]) for key, frame in new.items() if len(frame.readings) and not frame.recorded]
    recorded = [(frame, frame_ids[key]) for key, frame in new.items() if len(frame.readings) and frame.recorded]
    scanned = [(frame, frame_ids[key]) for key, frame in new.items() if frame.scans]
    rows: list[Latest] = [row for frame, number in scanned for row in latest.of_scans(frame, number)]
    changed: set[int] = set()
    for table, frames in (("reading", live), ("reading_recorded", recorded)):
        if frames:
            brought = Brought.by(frames)
            _copy(connection, table, brought)
            rows.extend(latest.of_readings(brought))
            readings, order = brought.readings, brought.order
            changed |= _mark_dirty(connection, readings.sensor_id[order], readings.time_us[order])
    if scanned:
        scans = [s for frame, _ in scanned for s in frame.scans]
        _copy_scans(connection, scanned)
        sensors, times = (
            np.array([s.sensor_id for s in scans], np.int32),
            np.array([s.time_us for s in scans], np.int64),
        )
        order = np.lexsort((times, sensors))
        changed |= _mark_dirty(connection, sensors[order], times[order])
    latest.upsert(connection, rows)
    return frozenset(changed)


def _copy(connection: Connection, table: str, brought: Brought) -> None:
    readings = brought.readings
    if table == "reading":
        backfill = _backfills.setdefault(connection, Backfill())
        backfill.choose(connection, len(readings), brought.sensors())
    copy_readings(connection, table, pack(readings, brought.frame_of_each()))


def _copy_scans(connection: Connection, frames: Sequence[tuple[CheckedFrame, int]]) -> None:
    with (
        connection.cursor() as cursor,
        cursor.copy(
            "COPY sidestream.scan (time, sensor_id, code, rssi, quality, recorded, frame_id) FROM STDIN (FORMAT BINARY)"
        ) as copy,
    ):
        copy.set_types(["timestamptz", "int4", "text", "float4", "int2", "bool", "int8"])
        for frame, frame_id in frames:
            for s in frame.scans:
                row = (_time(s.time_us), s.sensor_id, s.code, s.rssi_dbm, s.quality, frame.recorded, frame_id)
                copy.write_row(row)


def stretches(
    sensor_id: NDArray[np.int32], time_us: NDArray[np.int64]
) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.int64]]:
    """Sensor, first and last time of each stretch without a pause of more than an hour; sorted by sensor, then time.

    Otherwise one reading of another year would have all that lies between computed again.
    """
    cut = np.flatnonzero((np.diff(sensor_id) != 0) | (np.diff(time_us) > _PAUSE_US))
    first, last = np.concatenate(([0], cut + 1)), np.concatenate((cut, [len(time_us) - 1]))
    return sensor_id[first], time_us[first], time_us[last]


def _mark_dirty(connection: Connection, sensor_id: NDArray[np.int32], time_us: NDArray[np.int64]) -> set[int]:
    sensor, first, last = stretches(sensor_id, time_us)
    connection.execute(
        "INSERT INTO sidestream.dirty (sensor_id, from_at, to_at)"
        " SELECT sensor, timestamptz 'epoch' + first * interval '1 us', timestamptz 'epoch' + last * interval '1 us'"
        " FROM unnest(%s::int[], %s::bigint[], %s::bigint[]) AS d (sensor, first, last)",
        [numbers(sensor.tolist()), numbers(first.tolist()), numbers(last.tolist())],
    )
    return set(sensor.tolist())


def _time(time_us: int) -> datetime:
    return _UNIX + timedelta(microseconds=time_us)
