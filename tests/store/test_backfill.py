"""Back-fill goes straight into the column store where TimescaleDB can do that, live rows never; sizes say where."""

from __future__ import annotations

import struct
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from sidestream_store.backfill import Backfill, is_backfill
from sidestream_store.migrate import profile
from sidestream_store.partitions import ensure_range
from sidestream_store.sizes import part_of, per_reading, sizes

START = datetime(2026, 11, 1, tzinfo=UTC)
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("rows", "sensors", "expected"), [(0, 0, False), (99, 1, False), (100, 1, True), (999, 10, False), (1000, 10, True)]
)
def test_a_hundred_rows_per_sensor_make_a_backfill(rows, sensors, expected):
    assert is_backfill(rows, sensors) is expected


def test_every_table_counts_somewhere():
    assert [part_of(name) for name in ("reading", "frame", "rollup_1m", "twin_sum", "hub")] == [
        "readings", "ledger", "rollups", "twin", "other",
    ]  # fmt: skip


def copy_rows(connection: psycopg.Connection, rows: int, sensors: int) -> None:
    """`rows` readings, one of each sensor every minute, as ingest's binary COPY writes them."""
    columns = "(time, sensor_id, value, quality, frame_id)"
    with (
        connection.cursor() as cursor,
        cursor.copy(f"COPY sidestream.reading {columns} FROM STDIN (FORMAT BINARY)") as copy,
    ):
        copy.write(b"PGCOPY\n\xff\r\n\0" + bytes(8))
        for n in range(rows):
            at = START + timedelta(minutes=n // sensors) - _EPOCH
            fields = (8, at // timedelta(microseconds=1), 4, n % sensors + 1, 8, n / 8, 2, 0, 8, n)
            copy.write(struct.pack(">h iq ii id ih iq", 5, *fields))
        copy.write(b"\xff\xff")


def write(connection: psycopg.Connection, backfill: Backfill, rows: int, sensors: int) -> bool:
    """One commit, as ingest makes it; whether it went into the column store."""
    with connection.transaction():
        chosen = backfill.choose(connection, rows, sensors)
        copy_rows(connection, rows, sensors)
    return chosen


@pytest.mark.server
def test_plain_postgresql_is_left_alone(connect):
    connection = connect()
    ensure_range(connection, START, START + timedelta(days=1))
    assert not write(connection, Backfill(), 1000, 2)
    assert connection.execute("SELECT count(*) FROM sidestream.reading").fetchone() == (1000,)
    found = sizes(connection)
    assert found["readings"] > 1000 * 50
    assert found["readings_index"] > 0
    assert per_reading(found, 1000)["readings"] == pytest.approx(found["readings"] / 1000, abs=0.01)


@pytest.mark.server
def test_backfill_is_compressed_as_it_is_written_and_live_rows_are_not(native_timescale):
    with psycopg.connect(native_timescale, autocommit=True) as connection:
        assert profile(connection) == "timescale"
        backfill = Backfill()
        assert write(connection, backfill, 20_000, 20)
        compressed = sizes(connection)
        assert per_reading(compressed, 20_000)["readings"] < 25
        assert not write(connection, backfill, 20_000, 2000), "the setting must not outlive its transaction"
        grown = sizes(connection)["readings"] - compressed["readings"]
        assert grown > 20_000 * 50
        assert connection.execute("SELECT count(*), count(DISTINCT sensor_id) FROM sidestream.reading").fetchone() == (
            40_000,
            2000,
        )
