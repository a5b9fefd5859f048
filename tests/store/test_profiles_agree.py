"""Plain PostgreSQL and TimescaleDB answer alike, view by view and row by row, whatever order readings come in."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import psycopg
import pytest
from psycopg.types.json import Jsonb

from sidestream_store.made_up import Columns, copy_readings
from sidestream_store.maintenance import compact
from sidestream_store.migrate import profile
from sidestream_store.partitions import ensure_range

pytestmark = [pytest.mark.server, pytest.mark.slow]
END = datetime(2026, 10, 26, 12, 0, tzinfo=UTC)  # the day before has 25 hours in Oslo
LATE = END - timedelta(days=60)
Row = tuple[datetime, int, float | None, int, int]
VOLATILE = "{known_at,applied_at,made_at,computed_at,superseded_at,withdrawn_at,version_id}"


def stream() -> list[Row]:
    """Readings of two sensors over two days, some 60 days late, some null, bad or out of range; shuffled."""
    rng = random.Random(7)
    rows: list[Row] = []
    for n in range(400):
        at = (LATE if n % 10 == 0 else END - timedelta(days=2)) + timedelta(minutes=7 * n, seconds=rng.random())
        value = None if n % 37 == 0 else 1e6 if n % 41 == 0 else round(80 + rng.gauss(0, 3), 2)
        rows.append((at, n % 2 + 1, value, 2 if n % 43 == 0 else n % 3 // 2, n))
    rng.shuffle(rows)
    return rows


def prepare(connection: psycopg.Connection) -> None:
    connection.execute("SET timezone = 'UTC'")
    connection.execute("INSERT INTO sidestream.hub_version (hub, hash, content) VALUES ('h', '', %s)", [Jsonb({})])
    connection.execute(
        "INSERT INTO sidestream.hub (id, name, timezone, synthetic, step_s, late_s, early_s, version_id)"
        " VALUES ('h', 'H', 'Europe/Oslo', true, 10, 4e7, 300, 1);"
        "INSERT INTO sidestream.device (party, id, name) VALUES ('a', 'gw', 'G');"
        "INSERT INTO sidestream.sensor (id, device_id, name, quantity, unit, si_unit, si_factor, si_offset, role, limit_pct,"
        " limit_abs, random_pct, random_abs, range_low, range_high)"
        " SELECT 's' || n, 1, 'T', 'temperature', 'Cel', 'K', 1, 273.15, 'other', 0, 0, 0, 0, 0, 130 FROM generate_series(1, 2) n"
    )
    for at in (LATE, END):
        ensure_range(connection, at - timedelta(days=3), at + timedelta(days=3))


def insert(connection: psycopg.Connection, rows: list[Row]) -> None:
    for at in range(0, len(rows), 100):
        connection.execute(
            "INSERT INTO sidestream.reading (time, sensor_id, value, quality, frame_id)"
            " SELECT * FROM unnest(%s::timestamptz[], %s::int[], %s::float8[], %s::smallint[], %s::bigint[])",
            [list(column) for column in zip(*rows[at : at + 100], strict=True)],
        )


def copy(connection: psycopg.Connection, rows: list[Row]) -> None:
    """By COPY what has a value, into the column store; a null by INSERT."""
    insert(connection, [row for row in rows if row[2] is None])
    full = [row for row in rows if row[2] is not None]
    times = [(row[0] - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) for row in full]
    columns = (np.array(column) for column in list(zip(*full, strict=True))[1:])
    sensor, value, quality, frame = columns
    copy_readings(connection, Columns(np.array(times), sensor, value, quality, frame), 1)


def live(connection: psycopg.Connection, write: Any) -> None:
    """The stream arrives in four parts, roll-ups follow, chunks are compressed in between, and a range is corrected."""
    prepare(connection)
    rows = stream()
    for start in range(0, 400, 100):
        part = rows[start : start + 100]
        write(connection, part)
        for at in {row[0].date() for row in part}:
            day = datetime(at.year, at.month, at.day, tzinfo=UTC)
            connection.execute(
                "SELECT sidestream.refresh_rollups(ARRAY[1, 2], %s, %s)",
                [day, day + timedelta(hours=24, microseconds=-1)],
            )
        if start == 100 and profile(connection) == "timescale":
            connection.execute(
                "SELECT compress_chunk(c, if_not_compressed => true) FROM show_chunks('sidestream.reading') c"
            )
    bounds = [END - timedelta(hours=30), END - timedelta(hours=20)]
    connection.execute(
        "INSERT INTO sidestream.correction (sensor_id, from_at, to_at, action, factor, offset_value, reason, author)"
        " VALUES (1, %s, %s, 'adjust', 1.02, -0.5, 'calibrated', 'me')",
        bounds,
    )
    connection.execute("SELECT sidestream.refresh_rollups(ARRAY[1], %s, %s)", bounds)


def answers(connection: psycopg.Connection) -> dict[str, list[Any]]:
    """Every row of every view but the one that tells the profiles apart, without the moments of computing."""
    views = connection.execute(
        "SELECT viewname FROM pg_views WHERE schemaname = 'sidestream_v' AND viewname <> 'storage'"
    ).fetchall()
    return {
        name: [
            row[0]
            for row in connection.execute(
                f"SELECT (to_jsonb(v) - '{VOLATILE}'::text[])::text FROM sidestream_v.{name} v ORDER BY 1"
            ).fetchall()
        ]
        for (name,) in views
    }


@pytest.fixture
def plain(database: str) -> dict[str, list[Any]]:
    with psycopg.connect(database, autocommit=True) as connection:
        live(connection, insert)
        return answers(connection)


def test_timescaledb_in_webassembly_answers_as_plain_postgresql(plain, timescale):
    live(timescale, insert)
    found = answers(timescale)
    assert found == plain
    assert len(found["reading"]) == 400
    assert len(found["rollup_1h"]) > 50
    assert len(found["rollup_1d"]) > 5


def test_native_timescaledb_answers_as_plain_postgresql_also_after_compression(plain, native_timescale):
    with psycopg.connect(native_timescale, autocommit=True) as connection:
        live(connection, copy)
        assert answers(connection) == plain
        compact(connection, END + timedelta(days=9))
        assert answers(connection) == plain
