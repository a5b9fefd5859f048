"""The query bench fills what the product would have written, and asks every panel."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from sidestream_app.bench.query_fill import fill, find_filled
from sidestream_app.bench.query_hub import GROUP, bench_hub
from sidestream_app.bench.query_signals import Signals
from sidestream_contracts.errors import ConfigurationError
from sidestream_contracts.hubcheck import check_hub
from sidestream_dashboards.boards.heat import ALL_SQL
from sidestream_dashboards.boards.heat_energy import TABLE_SQL
from sidestream_dashboards.boards.overview import HEAT_FLOW_SQL, MASS_FLOW_SQL
from sidestream_dashboards.check import check
from sidestream_dashboards.macros import Window, expand
from sidestream_store.read.panels import open_panel_reader


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


@pytest.fixture(scope="module")
def filled(postgres):
    """A database with two days of one group of sensors, ending now; and what `fill` says of it."""
    with psycopg.connect(postgres.dsn("postgres"), autocommit=True) as admin:
        admin.execute("CREATE DATABASE bench_filled")
    dsn = postgres.dsn("bench_filled")
    return dsn, fill(dsn, 1, 2, lambda _: None)


@pytest.mark.server
def test_what_is_filled_is_what_the_product_computes_and_every_panel_shows_it(filled):
    dsn, found = filled
    assert found.rows == 2 * 1440 * GROUP
    assert found.bytes_per_reading["readings"] > 50
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


def answer(dsn: str, sql: str, over: Window, rows: int) -> list[tuple]:
    """A panel's answer where more than so many rows of steps or sums count as too many to read."""
    with open_panel_reader(dsn) as reader:
        streams = [f"g00-heat-{n}" for n in range(5)]
        return list(reader.run(expand(sql.replace("<= 20000", f"<= {rows}"), over, {"stream": streams})).rows)


@pytest.mark.server
@pytest.mark.parametrize("sql", [HEAT_FLOW_SQL, MASS_FLOW_SQL, ALL_SQL])
def test_a_line_is_the_same_whether_drawn_from_steps_or_from_sums(filled, sql):
    to_at = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    over = Window(to_at - timedelta(days=1), to_at - timedelta(minutes=1), 86_400)
    steps, *sums = (answer(filled[0], sql, over, rows) for rows in (10**9, 3000, 300, 50, 0))
    assert len(steps) >= 2
    for found in sums:
        assert [row[:2] for row in found] == [row[:2] for row in steps]
        assert [row[2] for row in found] == pytest.approx([row[2] for row in steps], rel=1e-9)


@pytest.mark.server
@pytest.mark.parametrize("minutes", [7, 45, 300, 1440, 2000])
def test_energy_of_a_time_is_the_same_whether_added_up_from_steps_or_from_days_and_their_edges(filled, minutes):
    """From the first quarter of an hour in the range to the end of the last."""
    to_at = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(minutes=90)
    over = Window(to_at - timedelta(minutes=minutes), to_at - timedelta(minutes=3))
    quarter = timedelta(minutes=15)
    first, last = (datetime.min.replace(tzinfo=UTC) + (at - datetime.min.replace(tzinfo=UTC)) // quarter * quarter
                   for at in (over.from_at + quarter - timedelta(microseconds=1), over.to_at))  # fmt: skip
    coarse = answer(filled[0], TABLE_SQL, over, 0)
    if first > last:
        assert coarse == []
        return
    steps = answer(filled[0], TABLE_SQL, Window(first, last + quarter - timedelta(minutes=1)), 10**9)
    assert len(steps) == 5
    assert [row[0] for row in coarse] == [row[0] for row in steps]
    for found, right in zip(coarse, steps, strict=True):
        assert found[1:] == pytest.approx(right[1:], rel=1e-9)


@pytest.mark.server
def test_what_was_filled_is_found_again_and_another_scale_is_refused(filled, postgres):
    dsn, found = filled
    again = find_filled(dsn, 1, 2)
    assert again is not None
    assert (again.rows, again.until) == (found.rows, found.until)
    with pytest.raises(ConfigurationError, match="another folder"):
        find_filled(dsn, 1, 3)
    assert find_filled(postgres.dsn("postgres"), 1, 2) is None
