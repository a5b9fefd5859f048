"""Readings as PostgreSQL's binary COPY format, packed by numpy: one buffer for a whole commit.

A row is the count of its columns and, for each, the length and the value, all big-endian. A null has length -1 and no
value, so its row is shorter; therefore rows with and without value are packed apart.
Source: PostgreSQL manual, COPY, "Binary Format".
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from psycopg import sql

from sidestream_store.batch import Readings
from sidestream_store.connect import Connection

_POSTGRES_EPOCH_US = 946_684_800_000_000
"""2000-01-01 UTC, where PostgreSQL's time begins, in µs since 1970."""
_HEADER = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
_TRAILER = b"\xff\xff"
_TIME = [("time_length", ">i4"), ("time", ">i8"), ("sensor_length", ">i4"), ("sensor", ">i4")]
_REST = [("quality_length", ">i4"), ("quality", ">i2"), ("frame_length", ">i4"), ("frame", ">i8")]
_ROW = np.dtype([("columns", ">i2"), *_TIME, ("value_length", ">i4"), ("value", ">f8"), *_REST])
_NULL_ROW = np.dtype([("columns", ">i2"), *_TIME, ("value_length", ">i4"), *_REST])


def pack(readings: Readings, frame_id: NDArray[np.int64]) -> memoryview:
    """The whole COPY stream for the columns time, sensor_id, value, quality, frame_id, in this order."""
    null = np.isnan(readings.value)
    nulls = int(np.count_nonzero(null))
    middle = len(_HEADER) + (len(null) - nulls) * _ROW.itemsize
    stream = np.empty(middle + nulls * _NULL_ROW.itemsize + len(_TRAILER), np.uint8)
    stream[: len(_HEADER)] = _bytes(_HEADER)
    stream[-len(_TRAILER) :] = _bytes(_TRAILER)
    _fill(stream[len(_HEADER) : middle], readings, frame_id, ~null if nulls else slice(None), _ROW)
    if nulls:
        _fill(stream[middle : -len(_TRAILER)], readings, frame_id, null, _NULL_ROW)
    return stream.data


def _bytes(text: bytes) -> NDArray[np.uint8]:
    return np.frombuffer(text, np.uint8)


def _fill(
    place: NDArray[np.uint8],
    readings: Readings,
    frame_id: NDArray[np.int64],
    which: slice | NDArray[np.bool_],
    row: np.dtype[np.void],
) -> None:
    """The rows stand in `place`. All lengths are written at once, as the same bytes over and over."""
    place.reshape(-1, row.itemsize)[:] = _blank(row)
    rows = place.view(row)
    rows["time"] = readings.time_us[which] - _POSTGRES_EPOCH_US
    rows["sensor"] = readings.sensor_id[which]
    if row is _ROW:
        rows["value"] = readings.value[which]
    rows["quality"] = readings.quality[which]
    rows["frame"] = frame_id[which]


@lru_cache(maxsize=2)
def _blank(row: np.dtype[np.void]) -> NDArray[np.uint8]:
    """A row with its lengths and no values."""
    blank = np.zeros(1, row)
    for name, number in (("columns", 5), ("time", 8), ("sensor", 4), ("value", 8), ("quality", 2), ("frame", 8)):
        blank[name if name == "columns" else f"{name}_length"] = number
    if row is not _ROW:
        blank["value_length"] = -1
    return blank.view(np.uint8)


def copy_readings(connection: Connection, table: str, stream: memoryview) -> None:
    """The rows of a packed stream are in the table; everything fails if one of them can't be."""
    statement = sql.SQL(
        "COPY sidestream.{} (time, sensor_id, value, quality, frame_id) FROM STDIN (FORMAT BINARY)"
    ).format(sql.Identifier(table))
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        copy.write(stream)
