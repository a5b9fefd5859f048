"""Sums of flows per quarter and hour, and the figures of steps that were added up."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from psycopg import sql
from psycopg.rows import class_row

from sidestream_store.connect import Connection

Level = Literal["15m", "1h"]
_TABLES: dict[Level, str] = {"15m": "twin_sum", "1h": "twin_sum_1h"}


@dataclass(frozen=True, slots=True)
class Sum:
    """J or kg of a stream in a bucket, with the seconds that have a figure and the seconds that were seen."""

    bucket: datetime
    total: float
    variance_random: float
    sd_systematic: float
    seen_s: float
    valued_s: float
    origin_rank: int


@dataclass(frozen=True, slots=True)
class Step:
    """A step's mean flow, W or kg/s, of steps that have one."""

    time: datetime
    step_s: int
    value: float
    sd_random: float
    sd_systematic: float
    completeness: float
    origin: str


def newest_sum(connection: Connection, level: Level, stream: str, quantity: str, at: datetime | None) -> Sum | None:
    """The newest sum whose bucket begins at or before `at` (None: of all)."""
    query = sql.SQL(
        "SELECT bucket, total, variance_random, sd_systematic, seen_s, valued_s, origin_rank FROM sidestream_v.{}"
        " WHERE subject = %s AND quantity = %s AND bucket <= COALESCE(%s::timestamptz, 'infinity') ORDER BY bucket DESC LIMIT 1"
    ).format(sql.Identifier(_TABLES[level]))
    with connection.cursor(row_factory=class_row(Sum)) as cursor:
        return cursor.execute(query, [stream, quantity, at]).fetchone()


def quarters(connection: Connection, stream: str, quantity: str, from_at: datetime, to_at: datetime) -> list[Sum]:
    """Sums of the quarters that begin in [from_at, to_at), by time."""
    with connection.cursor(row_factory=class_row(Sum)) as cursor:
        return cursor.execute(
            "SELECT bucket, total, variance_random, sd_systematic, seen_s, valued_s, origin_rank FROM sidestream_v.twin_sum"
            " WHERE subject = %s AND quantity = %s AND bucket >= %s AND bucket < %s ORDER BY bucket",
            [stream, quantity, from_at, to_at],
        ).fetchall()


def steps(connection: Connection, stream: str, quantity: str, from_at: datetime, to_at: datetime) -> list[Step]:
    """Figures of the steps that begin in [from_at, to_at), by time."""
    with connection.cursor(row_factory=class_row(Step)) as cursor:
        return cursor.execute(
            "SELECT time, step_s, value, sd_random, sd_systematic, completeness, origin FROM sidestream_v.twin_value"
            " WHERE subject_kind = 'stream' AND subject = %s AND quantity = %s AND time >= %s AND time < %s"
            " AND value IS NOT NULL ORDER BY time",
            [stream, quantity, from_at, to_at],
        ).fetchall()
