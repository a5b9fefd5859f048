"""Roll-ups by the hub's days in any time zone, and views that cost what they show."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from hub_files import TEST_HUB, test_hub

from sidestream_store.hub_apply import apply_hub
from sidestream_store.partitions import ensure_range

pytestmark = pytest.mark.server

DAYS = (
    "SELECT bucket, n, mean, low, high, first, last FROM sidestream_v.rollup_1d WHERE sensor = 'flow' ORDER BY bucket"
)


def minutes_around(database, connection: psycopg.Connection, folder, zone: str, midnight: datetime) -> None:
    """A reading a minute, 0 to 179, for an hour and a half before and after `midnight`, rolled up."""
    apply_hub(database, test_hub(hub=TEST_HUB["hub"] | {"timezone": zone}), folder)
    ensure_range(connection, midnight - timedelta(days=1), midnight + timedelta(days=1))
    connection.execute("SET timezone = 'UTC'")
    first = midnight - timedelta(minutes=90)
    connection.execute(
        "INSERT INTO sidestream.reading SELECT %s + n * interval '1 minute', sensor_id, n, 0, 1"
        " FROM sidestream.sensor, generate_series(0, 179) n WHERE id = 'flow'",
        [first],
    )
    connection.execute(
        "SELECT sidestream.refresh_rollups(ARRAY[sensor_id], %s, %s) FROM sidestream.sensor WHERE id = 'flow'",
        [first, first + timedelta(minutes=179)],
    )


@pytest.mark.parametrize(
    ("zone", "midnight"),
    [
        ("Asia/Kolkata", datetime(2026, 11, 20, 18, 30, tzinfo=UTC)),
        ("Asia/Kathmandu", datetime(2026, 11, 20, 18, 15, tzinfo=UTC)),
        ("Australia/Lord_Howe", datetime(2026, 7, 20, 13, 30, tzinfo=UTC)),  # +10:30 in winter, +11 in summer
        ("Australia/Lord_Howe", datetime(2026, 11, 20, 13, 0, tzinfo=UTC)),
        ("Europe/Oslo", datetime(2026, 11, 20, 23, 0, tzinfo=UTC)),
    ],
)
def test_a_reading_belongs_to_its_own_day_wherever_the_hub_is(database, connect, tmp_path, zone, midnight):
    connection = connect()
    minutes_around(database, connection, tmp_path, zone, midnight)
    days = connection.execute(DAYS).fetchall()
    assert [bucket for bucket, *_ in days] == [midnight - timedelta(days=1), midnight]
    assert [tuple(day) for _, *day in days] == [(90, 44.5, 0, 89, 0, 89), (90, 134.5, 90, 179, 90, 179)]


def test_the_device_view_reads_the_last_hours_frames_of_that_device_and_no_others(database, connect, tmp_path):
    apply_hub(database, test_hub(), tmp_path)
    connection = connect()
    with connection.transaction():
        connection.execute(
            "INSERT INTO sidestream.frame (device_id, epoch, lane, seq, hash, kind, recorded, readings, received_at)"
            " SELECT device_id, gen_random_uuid(), 'l', n, '', 'readings', false, 1,"
            " now() - n * CASE id WHEN 'gw' THEN interval '10 min' ELSE interval '100 ms' END"
            " FROM sidestream.device, generate_series(0, 19999) n"
        )
        connection.execute("ANALYZE sidestream.frame")
        read = (
            "SELECT COALESCE(seq_tup_read, 0) + COALESCE(idx_tup_fetch, 0) FROM pg_stat_xact_user_tables"
            " WHERE schemaname = 'sidestream' AND relname = 'frame'"
        )
        before = connection.execute(read).fetchone()[0]
        found = connection.execute("SELECT frames_last_hour FROM sidestream_v.device WHERE device = 'gw'").fetchone()
        assert found == (6,)
        assert connection.execute(read).fetchone()[0] - before <= 6


def test_values_outside_the_sensors_range_are_counted_and_not_averaged(database, connect, tmp_path):
    apply_hub(database, test_hub(), tmp_path)
    connection = connect()
    at = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
    ensure_range(connection, at, at)
    connection.execute(
        "INSERT INTO sidestream.reading SELECT %s, sensor_id, v, 0, 1 FROM sidestream.sensor,"
        " unnest(ARRAY[6.0, 8.0, 9999.0, -1.0]) v WHERE id = 'flow'",  # its range is 0 to 500
        [at],
    )
    connection.execute(
        "SELECT sidestream.refresh_rollups(ARRAY(SELECT sensor_id FROM sidestream.sensor), %s, %s)", [at, at]
    )
    for table in ("rollup_1m", "rollup_1h", "rollup_1d"):
        found = connection.execute(f"SELECT n, bad, mean, high FROM sidestream_v.{table}").fetchall()
        assert found == [(2, 2, 7.0, 8.0)], table


def test_numbers_too_small_to_be_squared_or_divided_break_no_rollup_and_no_view(database, connect, tmp_path):
    apply_hub(database, test_hub(), tmp_path)
    connection = connect()
    at = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
    ensure_range(connection, at, at)
    connection.execute(
        "INSERT INTO sidestream.reading SELECT %s + n * interval '1 minute', sensor_id, CASE n WHEN 0 THEN 5e-324 ELSE 0 END, 0, 1"
        " FROM sidestream.sensor, generate_series(0, 3) n WHERE id = 'flow'",
        [at],
    )
    connection.execute(
        "SELECT sidestream.refresh_rollups(ARRAY(SELECT sensor_id FROM sidestream.sensor), %s, %s)",
        [at, at + timedelta(minutes=3)],
    )
    for table in ("rollup_1h", "rollup_1d"):
        assert connection.execute(f"SELECT n, mean FROM sidestream_v.{table}").fetchall() == [(4, 0.0)]
    for table, more in (("twin_value", "n, "), ("twin_latest", "")):
        connection.execute(
            f"INSERT INTO sidestream.{table} (subject_kind, subject, quantity, time, step_s, value, sd_random, sd_systematic,"
            f" origin, completeness, {more}inputs, flags, computed_at)"
            f" VALUES ('stream', 's', 'mass_flow', %(at)s, 60, 1e-170, 1e-310, 3, 'measured', 1, {'1, ' if more else ''}'[]', '[]', %(at)s)",
            {"at": at},
        )
        assert connection.execute(f"SELECT sd FROM sidestream_v.{table}").fetchall() == [(3.0,)]
    root = "SELECT sidestream.root_sum_square(3, 4), sidestream.root_sum_square(1e-310, 1e-200), sidestream.root_sum_square(NULL, 1e-310)"
    assert connection.execute(root).fetchone() == (5.0, 0.0, None)


def test_a_changed_hub_has_scans_and_readings_computed_again(database, connect, tmp_path):
    apply_hub(database, test_hub(), tmp_path)
    connection = connect()
    connection.execute(
        "INSERT INTO sidestream.scan SELECT now(), sensor_id, 'BAG-1', NULL, 0, false, 1 FROM sidestream.sensor WHERE id = 'gate'"
    )
    apply_hub(database, test_hub(lots=[]), tmp_path)
    marked = "SELECT count(*) FROM sidestream.dirty d JOIN sidestream.sensor s USING (sensor_id) WHERE s.id = 'gate'"
    assert connection.execute(marked).fetchone() == (1,)
    (tmp_path / "tags.csv").write_text("epc,at\nBAG-1,silo\n")
    tags = {"file": "tags.csv", "code_column": "epc", "place_column": "at"}
    apply_hub(database, test_hub(lots=[], tags=tags), tmp_path)
    (tmp_path / "tags.csv").write_text("epc,at\nBAG-1,farm\n")
    apply_hub(database, test_hub(lots=[], tags=tags), tmp_path)
    assert connection.execute(marked).fetchone() == (3,)
