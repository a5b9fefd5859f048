"""The migrations' Timescale branch on a real TimescaleDB (WebAssembly, from npm): hypertable, compression, views, roll-ups."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from sidestream_store.guard import _ON_READING
from sidestream_store.migrate import profile

pytestmark = [pytest.mark.server, pytest.mark.slow]


def test_readings_are_a_hypertable_with_compression_by_sensor(timescale):
    assert profile(timescale) == "timescale"
    found = timescale.execute(
        "SELECT compression_enabled FROM timescaledb_information.hypertables WHERE hypertable_name = 'reading'"
    ).fetchall()
    assert found == [(True,)]
    segment = timescale.execute(
        "SELECT attname FROM timescaledb_information.compression_settings WHERE segmentby_column_index IS NOT NULL"
    ).fetchall()
    assert segment == [("sensor_id",)]


def test_nothing_hangs_on_the_telemetry_tables(timescale):
    assert timescale.execute(_ON_READING).fetchall() == []


def test_the_newest_forecasts_and_beliefs_are_views_here_too(timescale):
    for view in ("stock_forecast", "stock_bias"):
        assert timescale.execute(f"SELECT * FROM sidestream_v.{view}").fetchall() == []


def test_partitions_are_left_to_the_extension(timescale):
    assert timescale.execute("SELECT sidestream.ensure_partitions(now() - interval '60 days', now())").fetchone() == (
        0,
    )


def test_views_and_rollups_give_the_same_before_and_after_compression(timescale):
    timescale.execute(
        "INSERT INTO sidestream.hub_version (hub, hash, content) VALUES ('h', '', '{}');"
        "INSERT INTO sidestream.hub (id, name, timezone, synthetic, step_s, late_s, early_s, version_id)"
        " VALUES ('h', 'H', 'Europe/Oslo', true, 10, 1e7, 300, 1);"
        "INSERT INTO sidestream.device (party, id, name) VALUES ('a', 'gw', 'G');"
        "INSERT INTO sidestream.sensor (id, device_id, name, quantity, unit, si_unit, si_factor, si_offset, role,"
        " limit_pct, limit_abs, random_pct, random_abs) VALUES ('flow', 1, 'F', 'volume_flow', 'm3/h', 'm3/s', 1, 0, 'other',"
        " 0, 0, 0, 0);"
    )
    start = datetime(2026, 10, 25, 0, 0, tzinfo=UTC)  # the night the clock goes back in Oslo: that day has 25 hours
    for n in range(120):
        timescale.execute(
            "INSERT INTO sidestream.reading VALUES (%s, 1, %s, 0, 1)", [start + timedelta(minutes=7.5 * n), float(n)]
        )
    timescale.execute("SELECT sidestream.refresh_rollups(ARRAY[1], %s, %s)", [start, start + timedelta(hours=15)])
    days = "SELECT bucket, n, mean FROM sidestream_v.rollup_1d ORDER BY bucket"
    before = timescale.execute(days).fetchall()
    assert before == [(datetime(2026, 10, 24, 22, 0, tzinfo=UTC), 120, 59.5)]
    readings = timescale.execute("SELECT time, sensor, value FROM sidestream_v.reading ORDER BY time").fetchall()
    assert (
        timescale.execute("SELECT count(compress_chunk(c)) FROM show_chunks('sidestream.reading') c").fetchone()[0] > 0
    )
    assert (
        timescale.execute("SELECT time, sensor, value FROM sidestream_v.reading ORDER BY time").fetchall() == readings
    )
    timescale.execute("SELECT sidestream.refresh_rollups(ARRAY[1], %s, %s)", [start, start + timedelta(hours=15)])
    assert timescale.execute(days).fetchall() == before
