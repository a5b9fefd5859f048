"""The query bench fills what the product would have written, and asks every panel."""

from __future__ import annotations

import psycopg
import pytest

from sidestream_app.bench.query_fill import fill
from sidestream_app.bench.query_hub import GROUP, bench_hub
from sidestream_app.bench.query_signals import Signals
from sidestream_contracts.hubcheck import check_hub
from sidestream_dashboards.check import check


def test_the_hub_is_a_right_one_with_25_sensors_a_group():
    hub = bench_hub(3)
    assert list(check_hub(hub)) == []
    assert sum(sensor.quantity != "scan" for sensor in hub.sensors) == 3 * GROUP


def test_signals_are_the_same_each_time_and_inside_their_ranges():
    sensors = [sensor for sensor in bench_hub(2).sensors if sensor.quantity != "scan"]
    first, again = Signals(sensors), Signals(sensors)
    for number in range(2):
        shown = first.day(number)
        assert (shown == again.day(number)).all()
        assert all(
            (low <= row).all() and (row <= high).all()
            for row, (low, high) in zip(shown, (s.range for s in sensors), strict=True)
        )


@pytest.mark.server
def test_what_is_filled_is_what_the_product_computes_and_every_panel_shows_it(postgres):
    with psycopg.connect(postgres.dsn("postgres"), autocommit=True) as admin:
        admin.execute("CREATE DATABASE bench_filled")
    dsn = postgres.dsn("bench_filled")
    rows, sizes = fill(dsn, 1, 2, lambda _: None)
    assert rows == 2 * 1440 * GROUP
    assert sizes["readings"] > 50
    with psycopg.connect(dsn, autocommit=True) as connection:
        for level in ("1m", "1h", "1d"):
            differing = connection.execute(
                f"SELECT count(*) FROM sidestream.rollup_{level} old FULL JOIN (SELECT f.* FROM sidestream.hub,"
                f" sidestream.fresh_{level}(ARRAY(SELECT sensor_id FROM sidestream.sensor),"
                "   date_trunc('day', now(), timezone) - interval '4 days', date_trunc('day', now(), timezone) + interval '1 day') f"
                ") new USING (sensor_id, bucket) WHERE (old.n, old.bad, old.mean, old.last_at)"
                " IS DISTINCT FROM (new.n, new.bad, new.mean, new.last_at)"
            ).fetchone()
            assert differing == (0,), level
    report = check(dsn)
    assert [str(problem) for problem in report.failed] == []
