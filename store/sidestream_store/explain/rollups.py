"""Roll-ups of sensors as they are stored, and what each was made of."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from psycopg import sql
from psycopg.rows import class_row

from sidestream_store.connect import Connection
from sidestream_store.explain.figures import Wanted
from sidestream_store.explain.readings import Sensor

Level = Literal["1m", "1h", "1d"]
LEVELS: tuple[Level, ...] = ("1m", "1h", "1d")


@dataclass(frozen=True, slots=True)
class Rollup:
    """Of a sensor's usable readings in a bucket: how many, how many were not usable, mean, extremes; in the sensor's unit."""

    bucket: datetime
    n: int
    bad: int
    mean: float | None
    low: float | None
    high: float | None
    known_at: datetime
    revision: int
    superseded_at: datetime | None = None


def rollup(connection: Connection, level: Level, sensor: Sensor, wanted: Wanted) -> Rollup | None:
    """The newest roll-up whose bucket begins at or before the wanted time, in the wanted revision."""
    view = sql.SQL("rollup_" + level)
    query = sql.SQL("""
    SELECT * FROM (
        (SELECT bucket, n, bad, mean, low, high, known_at, revision, NULL::timestamptz AS superseded_at FROM sidestream_v.{0}
         WHERE sensor_id = %(sensor)s AND bucket <= COALESCE(%(at)s::timestamptz, 'infinity')
            AND (%(revision)s::int IS NULL OR revision = %(revision)s)
            AND (%(known)s::timestamptz IS NULL OR known_at <= %(known)s)
         ORDER BY bucket DESC LIMIT 1)
        UNION ALL
        (SELECT bucket, n, bad, mean, low, high, known_at, revision, superseded_at FROM sidestream_v.{0}_history
         WHERE sensor_id = %(sensor)s AND bucket <= COALESCE(%(at)s::timestamptz, 'infinity')
            AND (%(revision)s::int IS NOT NULL OR %(known)s::timestamptz IS NOT NULL)
            AND (%(revision)s::int IS NULL OR revision = %(revision)s)
            AND (%(known)s::timestamptz IS NULL OR (known_at <= %(known)s AND superseded_at > %(known)s))
         ORDER BY bucket DESC LIMIT 1)
    ) found ORDER BY bucket DESC LIMIT 1
    """).format(view)
    with connection.cursor(row_factory=class_row(Rollup)) as cursor:
        return cursor.execute(query, {"sensor": sensor.sensor_id, **wanted.values()}).fetchone()


def minutes(connection: Connection, sensor: Sensor, from_at: datetime, to_at: datetime) -> list[Rollup]:
    """The minutes in [from_at, to_at), by time."""
    return _parts(connection, "1m", sensor, from_at, to_at)


def hours(connection: Connection, sensor: Sensor, from_at: datetime, to_at: datetime) -> list[Rollup]:
    """The hours that lie wholly in [from_at, to_at), by time."""
    return _parts(connection, "1h", sensor, from_at, to_at)


def _parts(connection: Connection, level: Level, sensor: Sensor, from_at: datetime, to_at: datetime) -> list[Rollup]:
    query = sql.SQL(
        "SELECT bucket, n, bad, mean, low, high, known_at, revision, NULL::timestamptz AS superseded_at FROM sidestream_v.{}"
        " WHERE sensor_id = %s AND bucket >= %s AND bucket + %s::interval <= %s ORDER BY bucket"
    ).format(sql.SQL("rollup_" + level))
    width = {"1m": "1 minute", "1h": "1 hour", "1d": "1 day"}[level]
    with connection.cursor(row_factory=class_row(Rollup)) as cursor:
        return cursor.execute(query, [sensor.sensor_id, from_at, width, to_at]).fetchall()


def values(
    connection: Connection, sensor: Sensor, from_at: datetime, to_at: datetime
) -> list[tuple[float | None, int]]:
    """(value, quality) of every reading in [from_at, to_at), as corrected, in the order in which roll-ups add them up."""
    return connection.execute(
        "SELECT value, quality FROM sidestream_v.reading WHERE sensor_id = %s AND time >= %s AND time < %s"
        " ORDER BY time, value",
        [sensor.sensor_id, from_at, to_at],
    ).fetchall()
