"""The newest measurement of each sensor, kept as frames come, in whatever order they come.

Newest by time of measurement; of two with the same time the one with a value, then the larger value or code, then the
better quality. So the order of arrival does not matter.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import numpy as np
import psycopg
from numpy.typing import NDArray

from sidestream_store.batch import Brought, CheckedFrame, Readings

_UNIX = datetime(1970, 1, 1, tzinfo=UTC)


class Latest(NamedTuple):
    """One row of the table."""

    sensor_id: int
    time: datetime
    value: float | None
    code: str | None
    quality: int
    recorded: bool
    received_at: datetime
    frame_id: int

    @property
    def rank(self) -> tuple[datetime, float, str, int]:
        """The greater one is the newer one, as in the statement below, whose codes are therefore in the order of "C"."""
        return (self.time, -np.inf if self.value is None else self.value, self.code or "", -self.quality)


def upsert(connection: psycopg.Connection, rows: Iterable[Latest]) -> None:
    """Each sensor's row is the newest measurement so far; written in sensor order, so that workers don't deadlock."""
    best: dict[int, Latest] = {}
    for row in rows:
        if row.sensor_id not in best or row.rank > best[row.sensor_id].rank:
            best[row.sensor_id] = row
    if not best:
        return
    connection.execute(
        "INSERT INTO sidestream.latest AS l (sensor_id, time, value, code, quality, recorded, received_at, frame_id)"
        " SELECT * FROM unnest(%s::int[], %s::timestamptz[], %s::float8[], %s::text[], %s::smallint[], %s::boolean[],"
        " %s::timestamptz[], %s::bigint[])"
        " ON CONFLICT (sensor_id) DO UPDATE SET time = excluded.time, value = excluded.value, code = excluded.code,"
        " quality = excluded.quality, recorded = excluded.recorded, received_at = excluded.received_at,"
        " frame_id = excluded.frame_id"
        " WHERE (excluded.time, COALESCE(excluded.value, '-infinity'), COALESCE(excluded.code, '') COLLATE \"C\","
        "   -excluded.quality)"
        " > (l.time, COALESCE(l.value, '-infinity'), COALESCE(l.code, '') COLLATE \"C\", -l.quality)",
        [list(column) for column in zip(*(best[sensor] for sensor in sorted(best)), strict=True)],
    )


def of_readings(brought: Brought) -> Iterator[Latest]:
    """The newest reading of each sensor among those that the frames brought."""
    readings = brought.readings
    ends = np.cumsum([len(frame.readings) for frame in brought.frames])
    for place in newest(readings).tolist():
        which = int(np.searchsorted(ends, place, "right"))
        frame, value = brought.frames[which], float(readings.value[place])
        yield Latest(
            int(readings.sensor_id[place]),
            _UNIX + timedelta(microseconds=int(readings.time_us[place])),
            None if np.isnan(value) else value,
            None,
            int(readings.quality[place]),
            frame.recorded,
            frame.message.received_at,
            int(brought.frame_ids[which]),
        )


def of_scans(frame: CheckedFrame, frame_id: int) -> Iterator[Latest]:
    """Every scan that the frame brought."""
    for s in frame.scans:
        at = _UNIX + timedelta(microseconds=s.time_us)
        yield Latest(s.sensor_id, at, None, s.code, s.quality, frame.recorded, frame.message.received_at, frame_id)


def newest(readings: Readings) -> NDArray[np.intp]:
    """Where the newest reading of each sensor stands."""
    last = _last_of_each(readings, np.lexsort((readings.time_us, readings.sensor_id)))
    among = np.flatnonzero(np.isin(readings.time_us, readings.time_us[last]))
    if len(among) == len(last):
        return last
    value = np.where(np.isnan(readings.value[among]), -np.inf, readings.value[among])
    keys = (-readings.quality[among], value, readings.time_us[among], readings.sensor_id[among])
    return _last_of_each(readings, among[np.lexsort(keys)])


def _last_of_each(readings: Readings, order: NDArray[np.intp]) -> NDArray[np.intp]:
    sensor = readings.sensor_id[order]
    return order[np.concatenate((np.flatnonzero(np.diff(sensor)), [len(order) - 1]))]
