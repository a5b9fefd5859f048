"""Time series, page by page: raw readings, scans, roll-ups and twin values between two times.

A page ends at a `Cursor`: the time of its last row and how many rows of that very time were already given. So a page
never repeats and never skips a row, though readings have no unique key.
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


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where the next page begins: at `time`, after `skip` rows of it."""

    time: datetime
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
    """A question for rows of one series between `start` (after `skip` rows of it) and `stop`, not included."""

    record: type[Row]
    text: LiteralString | sql.Composed
    values: dict[str, Any]


def readings(sensor_id: int) -> Series[Reading]:
    """Raw readings of a sensor, live and recorded."""
    return Series(
        Reading,
        """
        SELECT time, value, NULL AS code, quality, recorded FROM sidestream_v.reading
        WHERE sensor_id = %(sensor_id)s AND time >= %(start)s AND time < %(stop)s
        ORDER BY time, frame_id, value LIMIT %(limit)s OFFSET %(skip)s
        """,
        {"sensor_id": sensor_id},
    )


def scans(sensor_id: int) -> Series[Reading]:
    """Codes that a scanner or reader gave."""
    return Series(
        Reading,
        """
        SELECT time, NULL::float8 AS value, code, quality, recorded FROM sidestream_v.scan
        WHERE sensor_id = %(sensor_id)s AND time >= %(start)s AND time < %(stop)s
        ORDER BY time, frame_id, code LIMIT %(limit)s OFFSET %(skip)s
        """,
        {"sensor_id": sensor_id},
    )


def roll_ups(sensor_id: int, bucket: Bucket) -> Series[RollUp]:
    """Minutes, hours or days of a sensor; a bucket without any reading has no row."""
    return Series(
        RollUp,
        sql.SQL("""
        SELECT bucket AS time, mean, low, high, first, last, n, bad FROM sidestream_v.{}
        WHERE sensor_id = %(sensor_id)s AND bucket >= %(start)s AND bucket < %(stop)s
        ORDER BY bucket LIMIT %(limit)s OFFSET %(skip)s
        """).format(sql.Identifier(f"rollup_{bucket}")),
        {"sensor_id": sensor_id},
    )


def twin_values(kind: str, subject: str, quantity: str) -> Series[TwinValue]:
    """Steps of one quantity of a stream or node."""
    return Series(
        TwinValue,
        """
        SELECT time, step_s, value, sd, sd_random, sd_systematic, origin, completeness, n, flags, inputs
        FROM sidestream_v.twin_value
        WHERE subject_kind = %(kind)s AND subject = %(subject)s AND quantity = %(quantity)s
            AND time >= %(start)s AND time < %(stop)s
        ORDER BY time LIMIT %(limit)s OFFSET %(skip)s
        """,
        {"kind": kind, "subject": subject, "quantity": quantity},
    )


async def page(pool: Pool, series: Series[Row], start: Cursor, stop: datetime, limit: int) -> Page[Row]:
    """At most `limit` rows from `start` on, before `stop`."""
    rows = await query(
        pool,
        series.record,
        series.text,
        start=start.time,
        skip=start.skip,
        stop=stop,
        limit=limit,
        **series.values,
    )
    return Page(rows, _after(start, rows) if len(rows) == limit else None)


def _after(start: Cursor, rows: list[Row]) -> Cursor:
    last = rows[-1].time
    same = sum(1 for row in rows if row.time == last)
    return Cursor(last, same + (start.skip if last == start.time else 0))


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
