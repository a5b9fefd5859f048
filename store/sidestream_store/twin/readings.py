"""Raw readings as numpy columns: COPY in binary, whose rows are of one size, read as one array without a Python loop."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from sidestream_store.connect import Connection

FloatArray = NDArray[np.float64]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_POSTGRES_EPOCH_US = 946_684_800_000_000
_HEADER_BYTES = 19  # signature, flags, length of an extension that PostgreSQL does not write
_TRAILER_BYTES = 2
_ROW = np.dtype(
    [("fields", ">i2"), ("n1", ">i4"), ("sensor", ">i4"), ("n2", ">i4"), ("time_us", ">i8"), ("n3", ">i4"), ("value", ">f8")]
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Wanted:
    """Readings of a sensor in [from_s, to_s), seconds since 1970 UTC."""

    sensor_id: int
    from_s: float
    to_s: float


@dataclass(frozen=True, slots=True, eq=False)
class Raw:
    """Readings of one sensor in its own unit, in no order: seconds since 1970 UTC and values.

    `own_sd`: standard deviation that came with a reading, NaN where none did; None where no reading has one.
    """

    at_s: FloatArray
    value: FloatArray
    own_sd: FloatArray | None = None


def load_readings(connection: Connection, wanted: Iterable[Wanted]) -> Mapping[int, Raw]:
    """At least the wanted readings that have a value and are not bad, live and recorded; of each sensor at most once.

    Wants that overlap in time are asked for together, because live readings have an index on time only.
    """
    parts = [_copied(connection, window) for window in _windows(sorted(wanted, key=lambda want: want.from_s))]
    rows = np.concatenate(parts) if parts else np.empty(0, _ROW)
    rows = rows[np.argsort(rows["sensor"], kind="stable")]
    sensors, starts = np.unique(rows["sensor"], return_index=True)
    at_s = (rows["time_us"].astype(np.int64) + _POSTGRES_EPOCH_US) / 1e6
    value = rows["value"].astype(np.float64)
    bounds = [*starts.tolist(), rows.size]
    return {
        int(sensor): Raw(at_s[first:stop], value[first:stop])
        for sensor, (first, stop) in zip(sensors, pairwise(bounds), strict=True)
    }


def with_own_sd(connection: Connection, raw: Mapping[int, Raw], sensors: Iterable[int]) -> Mapping[int, Raw]:
    """The same readings; those of these sensors with the deviation that whoever entered them gave."""
    people = [number for number in sensors if number in raw]
    if not people:
        return raw
    rows = connection.execute(
        "SELECT sensor_id, extract(epoch FROM time)::float8, sd FROM sidestream_v.manual_entry"
        " WHERE sensor_id = ANY (%s) AND sd IS NOT NULL AND time BETWEEN %s AND %s ORDER BY entry_id",
        [
            people,
            _instant(min(raw[number].at_s.min() for number in people)),
            _instant(max(raw[number].at_s.max() for number in people)),
        ],
    ).fetchall()
    said = {(number, at_s): sd for number, at_s, sd in rows}
    found = {}
    for number in people:
        at_s, value = raw[number].at_s, raw[number].value
        own = np.array([said.get((number, at), np.nan) for at in at_s.tolist()])
        found[number] = Raw(at_s, value, own)
    return {**raw, **found}


def _windows(wanted: Sequence[Wanted]) -> list[list[Wanted]]:
    windows: list[list[Wanted]] = []
    end = -np.inf
    for want in wanted:
        if want.from_s > end:
            windows.append([])
        windows[-1].append(want)
        end = max(end, want.to_s)
    return windows


def _copied(connection: Connection, window: Sequence[Wanted]) -> NDArray[np.void]:
    sensors = sorted({want.sensor_id for want in window})
    from_at, to_at = _instant(window[0].from_s), _instant(max(want.to_s for want in window))
    with (
        connection.cursor() as cursor,
        cursor.copy(
            "COPY (SELECT sensor_id, time, value FROM sidestream_v.reading WHERE time >= %s AND time < %s"
            " AND sensor_id = ANY (%s::int[]) AND quality < 2 AND value IS NOT NULL) TO STDOUT (FORMAT BINARY)",
            [from_at, to_at, sensors],
        ) as copy,
    ):
        content = b"".join(bytes(block) for block in copy)
    return np.frombuffer(
        content, _ROW, offset=_HEADER_BYTES, count=(len(content) - _HEADER_BYTES - _TRAILER_BYTES) // _ROW.itemsize
    )


def _instant(at_s: float) -> datetime:
    return _EPOCH + timedelta(seconds=at_s)


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Instants of the nearest readings outside a range, seconds since 1970 UTC; None where there is none near enough."""

    before_s: float | None
    after_s: float | None


def neighbours(connection: Connection, wanted: Sequence[Wanted], within_s: Sequence[float]) -> list[Neighbours]:
    """For each range the reading before and after it, no further than `within_s` off, in the order asked.

    Read from the minute roll-ups, so readings of the range's own first and last minute don't count as outside it.
    """
    rows = connection.execute(
        "SELECT extract(epoch FROM b.last_at)::float8, extract(epoch FROM a.first_at)::float8"
        " FROM unnest(%s::int[], %s::timestamptz[], %s::timestamptz[], %s::float8[]) WITH ORDINALITY"
        "   AS q (sensor_id, from_at, to_at, within_s, n)"
        " LEFT JOIN LATERAL (SELECT last_at FROM sidestream_v.rollup_1m r WHERE r.sensor_id = q.sensor_id AND r.n > 0"
        "   AND r.bucket < date_trunc('minute', q.from_at) AND r.bucket >= q.from_at - make_interval(secs => q.within_s)"
        "   ORDER BY r.bucket DESC LIMIT 1) b ON true"
        " LEFT JOIN LATERAL (SELECT first_at FROM sidestream_v.rollup_1m r WHERE r.sensor_id = q.sensor_id AND r.n > 0"
        "   AND r.bucket > q.to_at AND r.bucket <= q.to_at + make_interval(secs => q.within_s)"
        "   ORDER BY r.bucket LIMIT 1) a ON true"
        " ORDER BY q.n",
        [
            [want.sensor_id for want in wanted],
            [_instant(want.from_s) for want in wanted],
            [_instant(want.to_s) for want in wanted],
            list(within_s),
        ],
    ).fetchall()
    return [Neighbours(*row) for row in rows]
