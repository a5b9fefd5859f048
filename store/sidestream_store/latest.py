"""The newest measurement of each sensor, kept as frames come, in whatever order they come.

Newest by time of measurement; of two with the same time the one with a value, then the larger value or code, then the
better quality. So the order of arrival does not matter.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import psycopg
from numpy.typing import NDArray

from sidestream_store.batch import Brought, CheckedFrame, Readings
from sidestream_store.columns import flags, micros, numbers


class Latest(NamedTuple):
    """One row of the table; times in µs UTC."""

    sensor_id: int
    time_us: int
    value: float | None
    code: str | None
    quality: int
    recorded: bool
    received_us: int
    frame_id: int

    @property
    def rank(self) -> tuple[int, float, str, int]:
        """The greater one is the newer one, as in the statement below, whose codes are therefore in the order of "C"."""
        return (self.time_us, -np.inf if self.value is None else self.value, self.code or "", -self.quality)


_UPSERT = (
    "INSERT INTO sidestream.latest AS l (sensor_id, time, value, code, quality, recorded, received_at, frame_id)"
    " SELECT sensor_id, timestamptz 'epoch' + time_us * interval '1 us', value, code, quality, recorded,"
    " timestamptz 'epoch' + received_us * interval '1 us', frame_id"
    " FROM unnest(%s::int[], %s::bigint[], %s::float8[], %s::text[], %s::smallint[], %s::boolean[], %s::bigint[], %s::bigint[])"
    " AS n (sensor_id, time_us, value, code, quality, recorded, received_us, frame_id)"
    " ON CONFLICT (sensor_id) DO UPDATE SET time = excluded.time, value = excluded.value, code = excluded.code,"
    " quality = excluded.quality, recorded = excluded.recorded, received_at = excluded.received_at,"
    " frame_id = excluded.frame_id"
    " WHERE (excluded.time, COALESCE(excluded.value, '-infinity'), COALESCE(excluded.code, '') COLLATE \"C\","
    "   -excluded.quality)"
    " > (l.time, COALESCE(l.value, '-infinity'), COALESCE(l.code, '') COLLATE \"C\", -l.quality)"
)


def upsert(connection: psycopg.Connection, rows: Iterable[Latest]) -> None:
    """Each sensor's row is the newest measurement so far; written in sensor order, so that workers don't deadlock."""
    best: dict[int, Latest] = {}
    for row in rows:
        if row.sensor_id not in best or row.rank > best[row.sensor_id].rank:
            best[row.sensor_id] = row
    if not best:
        return
    sensor, time, value, code, quality, recorded, received, frame = zip(*(best[s] for s in sorted(best)), strict=True)
    codes = list(code) if any(code) else "{}"
    columns = (numbers(sensor), numbers(time), numbers(value), codes, numbers(quality), flags(recorded))
    connection.execute(_UPSERT, [*columns, numbers(received), numbers(frame)])


def of_readings(brought: Brought) -> Iterator[Latest]:
    """The newest reading of each sensor among those that the frames brought."""
    readings = brought.readings
    last = newest(readings, brought.order)
    ends = np.cumsum([len(frame.readings) for frame in brought.frames])
    which = np.searchsorted(ends, last, "right").tolist()
    columns = (readings.sensor_id, readings.time_us, readings.value, readings.quality)
    shown = zip(*(column[last].tolist() for column in columns), which, strict=True)
    for sensor_id, time_us, value, quality, n in shown:
        frame = brought.frames[n]
        known = None if math.isnan(value) else value
        received_us, frame_id = micros(frame.message.received_at), int(brought.frame_ids[n])
        yield Latest(sensor_id, time_us, known, None, quality, frame.recorded, received_us, frame_id)


def of_scans(frame: CheckedFrame, frame_id: int) -> Iterator[Latest]:
    """Every scan that the frame brought."""
    received_us = micros(frame.message.received_at)
    for s in frame.scans:
        yield Latest(s.sensor_id, s.time_us, None, s.code, s.quality, frame.recorded, received_us, frame_id)


def newest(readings: Readings, order: NDArray[np.intp]) -> NDArray[np.intp]:
    """Where the newest reading of each sensor stands; `order` sorts by sensor, then by time."""
    last = _last_of_each(readings, order)
    among = np.flatnonzero(np.isin(readings.time_us, readings.time_us[last]))
    if len(among) == len(last):
        return last
    value = np.where(np.isnan(readings.value[among]), -np.inf, readings.value[among])
    keys = (-readings.quality[among], value, readings.time_us[among], readings.sensor_id[among])
    return _last_of_each(readings, among[np.lexsort(keys)])


def _last_of_each(readings: Readings, order: NDArray[np.intp]) -> NDArray[np.intp]:
    sensor = readings.sensor_id[order]
    return order[np.concatenate((np.flatnonzero(np.diff(sensor)), [len(order) - 1]))]
