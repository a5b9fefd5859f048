"""What the twin writes: figures that equal the core's own, with origin and uncertainty, and nothing that isn't so."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hub_files import TEST_HUB, test_hub
from twin_lab import BELTS, EXACT, NOON, SLAG_STREAMS, Batch, Lab, at, heat_readings, silo_readings, us, whole_hub

from sidestream_contracts.errors import ConfigurationError
from sidestream_store.hub_apply import apply_hub
from sidestream_twin.core.accuracy import Accuracy
from sidestream_twin.core.heat.meter import MeterPosition, WaterCircuit, heat_series
from sidestream_twin.core.rates import totals_from_rate
from sidestream_twin.core.series import Series
from sidestream_twin.core.totals import GapRules
from sidestream_twin.update import update, update_until_clean

pytestmark = pytest.mark.server


def test_heat_equals_an_offline_recompute_with_the_core_to_the_last_bit(lab: Lab):
    rng = np.random.default_rng(5)
    seconds = np.arange(0.0, 300.0)
    flow, supply, returned = (rng.normal(mean, 1.0, seconds.size) for mean in (20.0, 80.0, 40.0))
    for n in range(0, 300, 7):
        part = slice(n, n + 7)
        lab.bring(Batch(tuple(
            (sensor, float(s), float(v))
            for sensor, values in (("flow", flow), ("tin", supply), ("tout", returned))
            for s, v in zip(seconds[part], values[part], strict=True)
        )))  # fmt: skip
        update(lab.dsn, now_at=at(n + 10))
    update_until_clean(lab.dsn, now_at=at(400))
    rows = lab.connection.execute("SELECT id, si_factor, si_offset FROM sidestream.sensor").fetchall()
    to_si = {name: (factor, offset) for name, factor, offset in rows}
    accuracy = Accuracy(limit_relative=0.02, random_relative=0.005)

    def series(sensor: str, values) -> Series:
        factor, offset = to_si[sensor]
        at_s = np.array([us(s) / 1e6 for s in seconds])
        deviations = accuracy.sd_random(values) * factor, accuracy.sd_systematic(values) * factor
        return Series.of(at_s, values * factor + offset, *deviations)

    circuit = WaterCircuit(MeterPosition.SUPPLY, 600e3)
    heat = heat_series(series("flow", flow), series("tin", supply), series("tout", returned), circuit, 5.0)
    bounds = NOON.timestamp() + np.arange(0.0, 310.0, 10.0)
    offline = totals_from_rate(heat, bounds, GapRules(5.0)).mean_rates()
    found = lab.connection.execute(
        "SELECT value, sd_random, sd_systematic, completeness, n FROM sidestream.twin_value"
        " WHERE subject = 'heat' AND quantity = 'heat_flow' ORDER BY time"
    ).fetchall()
    columns = (offline.value, offline.sd_random, offline.sd_systematic, offline.completeness, offline.samples)
    assert found == list(zip(*(column.tolist() for column in columns), strict=True))


def test_only_steps_that_have_ended_have_figures_and_the_running_one_is_not_forgotten(lab: Lab):
    lab.bring(Batch(heat_readings(range(25))))
    update_until_clean(lab.dsn, now_at=at(25))
    assert list(lab.values("heat", "heat_flow")) == [0.0, 10.0]
    update_until_clean(lab.dsn, now_at=at(40))
    assert lab.values("heat", "heat_flow")[20.0][1] == "estimated"
    assert lab.one(
        "SELECT extract(epoch FROM time - %s)::int FROM sidestream.twin_latest WHERE subject = 'heat'", NOON
    ) == (20,)


def test_a_stream_has_figures_only_while_it_is_live(laboratory):
    stages = [
        {"state": "agreed", "since": "2020-01-01"},
        {"state": "live", "since": "2026-11-20"},
        {"state": "paused", "since": "2026-11-21"},
    ]
    hub = test_hub(streams=[TEST_HUB["streams"][0] | {"lifecycle": stages}])
    lab = laboratory(hub)
    midnight = datetime(2026, 11, 19, 23, 0, tzinfo=UTC)  # in Oslo
    for day in (0, 1):
        start = (midnight - NOON).total_seconds() + day * 86400
        lab.bring(Batch(heat_readings(np.arange(start - 20, start + 21, 1.0).tolist())))
    update_until_clean(lab.dsn, now_at=NOON + timedelta(days=2))
    times = [NOON + timedelta(seconds=s) for s in lab.values("heat", "heat_flow")]
    after = midnight + timedelta(days=1)
    ten = timedelta(seconds=10)
    assert times == [midnight, midnight + ten, after - 2 * ten, after - ten]


def test_the_receivers_meter_stands_beside_the_suppliers_and_is_never_averaged_in(laboratory):
    theirs = [s | {"id": f"b_{s['id']}", "device": "gw2"} for s in TEST_HUB["sensors"] if s.get("stream") == "heat"]
    lab = laboratory(test_hub(sensors=[*TEST_HUB["sensors"], *theirs]))
    ours = heat_readings(range(31), flow=10.0)
    lab.bring(Batch((*ours, *((f"b_{sensor}", s, v * (0.9 if sensor == "flow" else 1)) for sensor, s, v in ours))))
    update_until_clean(lab.dsn, now_at=at(100))
    supplier, receiver = lab.values("heat", "heat_flow"), lab.values("heat", "heat_flow_receiver")
    assert receiver[10.0][0] / supplier[10.0][0] == pytest.approx(0.9)


def test_a_sensor_without_a_stated_accuracy_is_not_taken_for_perfect(laboratory):
    lab = laboratory(test_hub())
    lab.bring(Batch(heat_readings(range(21))))
    update_until_clean(lab.dsn, now_at=at(100))
    value, sd, flags = lab.one(
        "SELECT value, sd_systematic, flags FROM sidestream.twin_value WHERE subject = 'heat' AND time = %s", NOON
    )
    assert sd > 0.02 * value
    assert flags == ["accuracy_assumed"]


def test_readings_beyond_a_sensors_range_are_left_out_and_said(lab: Lab):
    lab.bring(Batch((*heat_readings(range(21)), ("flow", 5.5, 9999.0))))
    update_until_clean(lab.dsn, now_at=at(100))
    assert lab.values("heat", "heat_flow")[0.0][0] == pytest.approx(lab.values("heat", "heat_flow")[10.0][0])
    flags = lab.one(
        "SELECT flags FROM sidestream.twin_value WHERE subject = 'heat' AND quantity = 'heat_flow' AND time = %s", NOON
    )
    assert flags == (["out_of_range"],)


def test_a_figure_that_no_physics_allows_is_reported_and_its_neighbours_are_computed(laboratory):
    absurd = TEST_HUB["streams"][0] | {"pressure_kpa": 0.5}
    lab = laboratory(whole_hub(streams=[absurd, *SLAG_STREAMS], agreements=[]))
    lab.bring(Batch((*heat_readings(range(21)), *silo_readings(range(21), 3.0, 2.0))))
    report = update_until_clean(lab.dsn, now_at=at(100))
    assert "heat/heat_flow" in report.problems[0]
    assert "Pa" in report.problems[0]
    assert not lab.values("heat", "heat_flow")
    assert lab.values("in", "mass_flow")[0.0] == (pytest.approx(3.0), "measured")


def test_a_hub_that_drops_a_stream_drops_its_figures(lab: Lab):
    lab.bring(Batch((*heat_readings(range(21)), *silo_readings(range(21), 3.0, 2.0))))
    update_until_clean(lab.dsn, now_at=at(100))
    sensors = [s for s in TEST_HUB["sensors"] if s.get("stream") != "heat"] + BELTS
    apply_hub(lab.dsn, test_hub(streams=SLAG_STREAMS, sensors=sensors), lab.folder)
    update_until_clean(lab.dsn, now_at=at(100))
    left = lab.connection.execute(
        "SELECT DISTINCT subject FROM sidestream.twin_value UNION SELECT subject FROM sidestream.twin_latest"
    ).fetchall()
    assert {subject for (subject,) in left} == {"in", "out"}
    assert lab.one("SELECT count(*) FROM sidestream.agreement_status") == (0,)


def test_without_a_hub_the_update_says_what_to_do(database):
    with pytest.raises(ConfigurationError, match="hub apply"):
        update(database)


def test_every_figure_names_its_sensors_and_the_version_of_the_hub(lab: Lab):
    lab.bring(Batch(heat_readings(range(21))))
    update_until_clean(lab.dsn, now_at=at(100))
    version = lab.one("SELECT version_id FROM sidestream.hub")[0]
    inputs = lab.one("SELECT inputs FROM sidestream.twin_latest WHERE subject = 'heat'")[0]
    assert inputs == {"sensors": ["flow", "tin", "tout"], "hub_version": version}
    assert EXACT["accuracy"]["limit_pct"] == 2
