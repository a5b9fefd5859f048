"""Time series, page by page: raw readings, scans, roll-ups and twin values between two times.

A page ends at a `Cursor`: time and frame of its last row, and how many rows of that very frame and time were already given.
A frame's rows are committed together and never change, so whatever arrives meanwhile, no page repeats a row, and none
skips one that was there. Roll-ups and figures have one row per time, and go on after it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any, Generic, Literal, LiteralString, Protocol, TypeVar

from psycopg import sql
from pydantic import Field

from sidestream_store.read.pool import Pool, query
from sidestream_store.read.words import Flags, Inputs, Instant, Origin, Sd, Share

Bucket = Literal["raw", "1m", "1h", "1d"]


@dataclass(frozen=True, slots=True)
class Reading:
    """One raw reading or scan, as it came."""

    time: Instant
    value: Annotated[float | None, Field(description="in the series' unit; null: the source gave no number")]
    code: Annotated[str | None, Field(description="of a scan")]
    quality: Annotated[int, Field(description="what the source said: 0 good, 1 uncertain, 2 bad")]
    recorded: Annotated[bool, Field(description="true: replayed from a file")]
    frame_id: Annotated[int, Field(description="number of the frame that brought it")]
    correction_id: Annotated[
        int | None, Field(description="the correction that made it what it is; null: it is as it came")
    ]
    entered_sd: Annotated[
        float | None, Field(description="standard deviation that the person who entered it gave, in the series' unit")
    ]


@dataclass(frozen=True, slots=True)
class RollUp:
    """One minute, hour or day of a sensor; only readings with a value that are not bad count, `bad` says how many did not."""

    time: Annotated[Instant, Field(description="start of the bucket; days are the hub's days")]
    mean: float | None
    low: float | None
    high: float | None
    first: float | None
    last: float | None
    n: Annotated[int, Field(description="readings that count")]
    bad: Annotated[int, Field(description="readings that don't")]
    corrected: Annotated[bool, Field(description="true: it rests on readings that somebody corrected")]


@dataclass(frozen=True, slots=True)
class TwinValue:
    """One step of one quantity of the twin, in SI."""

    time: Annotated[Instant, Field(description="start of the step; a stock's value is that at the step's end")]
    step_s: int
    value: float | None
    sd: Sd
    sd_random: float | None
    sd_systematic: float | None
    origin: Origin
    completeness: Share
    n: int
    flags: Flags
    inputs: Inputs


FIRST_KEY = -(2**63)


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where the next page begins: at `time`, from frame `key` on, after `skip` rows of that frame and time."""

    time: datetime
    key: int = FIRST_KEY
    skip: int = 0


class _Timed(Protocol):
    @property
    def time(self) -> datetime: ...


Row = TypeVar("Row", bound=_Timed)


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """Some rows in time order, and where to go on; `after` is None at the end."""

    rows: list[Row]
    after: Cursor | None


@dataclass(frozen=True, slots=True)
class Series(Generic[Row]):
    """A question for rows of one series from a cursor (`start`, `key`, `skip`) to before `stop`."""

    record: type[Row]
    text: LiteralString | sql.Composed
    values: dict[str, Any]


def readings(sensor_id: int) -> Series[Reading]:
    """Raw readings of a sensor, live and recorded."""
    return Series(
        Reading,
        """
        SELECT time, value, NULL AS code, quality, recorded, frame_id, correction_id, entered_sd
        FROM sidestream_v.reading
        WHERE sensor_id = %(sensor_id)s AND time >= %(start)s AND time < %(stop)s
            AND (time > %(start)s OR frame_id >= %(key)s)
        ORDER BY time, frame_id, value, quality LIMIT %(limit)s OFFSET %(skip)s
        """,
        {"sensor_id": sensor_id},
    )


def scans(sensor_id: int) -> Series[Reading]:
    """Codes that a scanner or reader gave."""
    return Series(
        Reading,
        """
        SELECT time, NULL::float8 AS value, code, quality, recorded, frame_id, correction_id,
            NULL::float8 AS entered_sd FROM sidestream_v.scan
        WHERE sensor_id = %(sensor_id)s AND time >= %(start)s AND time < %(stop)s
            AND (time > %(start)s OR frame_id >= %(key)s)
        ORDER BY time, frame_id, code LIMIT %(limit)s OFFSET %(skip)s
        """,
        {"sensor_id": sensor_id},
    )


@dataclass(frozen=True, slots=True)
class AnyScan:
    """A code as it was read, and where."""

    time: Instant
    sensor: str
    node: str | None
    code: str
    rssi: Annotated[float | None, Field(description="signal strength of an RFID read, dBm")]
    quality: Annotated[int, Field(description="what the source said: 0 good, 1 uncertain, 2 bad or voided")]
    recorded: Annotated[bool, Field(description="true: replayed from a file")]
    frame_id: Annotated[int, Field(description="number of the frame that brought it")]


def all_scans(sensor: str | None = None, node: str | None = None, code: str | None = None) -> Series[AnyScan]:
    """Codes that any scanner or reader gave, or only those of one, at one node, or of one lot."""
    return Series(
        AnyScan,
        """
        SELECT time, sensor, node, code, rssi, quality, recorded, frame_id FROM sidestream_v.scan
        WHERE time >= %(start)s AND time < %(stop)s AND (time > %(start)s OR frame_id >= %(key)s)
            AND (%(sensor)s::text IS NULL OR sensor = %(sensor)s) AND (%(node)s::text IS NULL OR node = %(node)s)
            AND (%(code)s::text IS NULL OR code = %(code)s)
        ORDER BY time, frame_id, sensor, code LIMIT %(limit)s OFFSET %(skip)s
        """,
        {"sensor": sensor, "node": node, "code": code},
    )


def roll_ups(sensor_id: int, bucket: Bucket, as_known_on: datetime | None = None) -> Series[RollUp]:
    """Minutes, hours or days of a sensor, now or as they were published then; a bucket without any reading has no row."""
    table = "rollup_{}" if as_known_on is None else "rollup_{}_as_known(%(known)s)"
    return Series(
        RollUp,
        sql.SQL("""
        SELECT bucket AS time, mean, low, high, first, last, n, bad, corrected FROM sidestream_v.{}
        WHERE sensor_id = %(sensor_id)s AND bucket >= %(start)s AND bucket < %(stop)s
            AND (bucket > %(start)s OR %(key)s <= 0)
        ORDER BY bucket LIMIT %(limit)s OFFSET %(skip)s
        """).format(sql.SQL(table).format(sql.SQL(bucket))),
        {"sensor_id": sensor_id, "known": as_known_on},
    )


def twin_values(kind: str, subject: str, quantity: str, as_known_on: datetime | None = None) -> Series[TwinValue]:
    """Steps of one quantity of a stream or node, now or as they were published then."""
    table = sql.SQL("twin_value" if as_known_on is None else "twin_value_as_known(%(known)s)")
    return Series(
        TwinValue,
        sql.SQL("""
        SELECT time, step_s, value, sd, sd_random, sd_systematic, origin, completeness, n, flags, inputs
        FROM sidestream_v.{}
        WHERE subject_kind = %(kind)s AND subject = %(subject)s AND quantity = %(quantity)s
            AND time >= %(start)s AND time < %(stop)s AND (time > %(start)s OR %(key)s <= 0)
        ORDER BY time LIMIT %(limit)s OFFSET %(skip)s
        """).format(table),
        {"kind": kind, "subject": subject, "quantity": quantity, "known": as_known_on},
    )


async def page(pool: Pool, series: Series[Row], start: Cursor, stop: datetime, limit: int) -> Page[Row]:
    """At most `limit` rows from `start` on, before `stop`."""
    rows = await query(
        pool,
        series.record,
        series.text,
        start=start.time,
        key=start.key,
        skip=start.skip,
        stop=stop,
        limit=limit,
        **series.values,
    )
    return Page(rows, _after(start, rows) if len(rows) == limit else None)


def _after(start: Cursor, rows: list[Row]) -> Cursor:
    last = _place(rows[-1])
    if not hasattr(rows[-1], "frame_id"):
        return last
    same = sum(1 for row in rows if _place(row) == last)
    return Cursor(last.time, last.key, same + (start.skip if (start.time, start.key) == (last.time, last.key) else 0))


_ONE_PER_TIME = 1


def _place(row: _Timed) -> Cursor:
    return Cursor(row.time, getattr(row, "frame_id", _ONE_PER_TIME))


async def all_pages(
    pool: Pool, series: Series[Row], from_at: datetime, to_at: datetime, *, rows: int = 5000
) -> AsyncIterator[list[Row]]:
    """Every row between two times, in pages of at most `rows`, holding no connection between pages.

    The window of time that one page asks for grows where rows are rare and shrinks where they are dense, because raw
    readings have no index by sensor: asking for years at once would read years, asking for hours would ask for ever.
    """
    at, window = Cursor(from_at), timedelta(hours=1)
    while at.time < to_at:
        stop = to_at if to_at - at.time <= window else at.time + window
        found = await page(pool, series, at, stop, rows)
        if found.rows:
            yield found.rows
        if found.after:
            at, window = found.after, max(window / 4, timedelta(minutes=1))
        else:
            at, window = Cursor(stop), window * 4 if len(found.rows) < rows // 4 else window
