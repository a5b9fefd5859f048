"""Meters as they are, from readings to events, marks and findings: told with what was assumed, and nothing deleted."""

from __future__ import annotations

import json

import pytest
from hub_files import TEST_HUB
from twin_lab import NOON, Batch, at, heat_readings, whole_hub

from sidestream_app.cli import app
from sidestream_contracts.hub import HubFile
from sidestream_store.findings import read
from sidestream_store.hub_apply import apply_hub
from sidestream_store.read.meters import marked_values, register_events
from sidestream_twin.update import update, update_until_clean

pytestmark = pytest.mark.server

ENERGY = {
    "id": "energy", "device": "gw", "name": "Energy", "quantity": "energy", "unit": "kW.h", "role": "energy_register",
    "stream": "heat", "period_s": 10, "resolution": 1, "accuracy": {"limit_pct": 3},
    "counter": {"rollover_at": 1000, "max_per_h": 7200},
}  # fmt: skip
COURSE = [(0, 970), (10, 990), (20, 8), (30, 20), (40, 2), (50, 12)]
"""It rolls over at 20 s; by 40 s somebody has put in another meter."""


def hub_with(**changes) -> HubFile:
    sensors = [s | {"accuracy": {"limit_abs": 0.3, "random_abs": 0.05}, "resolution": 0.1, "range": [0, 130]}
               if s["id"] == "tin" else s for s in TEST_HUB["sensors"]]  # fmt: skip
    return whole_hub(sensors=[*sensors, ENERGY | changes])


def test_a_rollover_a_reset_and_then_the_swap_that_explains_it(laboratory, capsys):
    lab = laboratory(hub_with())
    lab.bring(Batch(tuple(("energy", float(s), float(v)) for s, v in COURSE)))
    update(lab.dsn, now_at=at(70))
    rolled, reset = register_events(lab.connection, "energy", NOON)
    assert (rolled.kind, rolled.at, rolled.before, rolled.after, rolled.rise) == (
        "rollover",
        at(20),
        990,
        8,
        pytest.approx(18),
    )
    assert (reset.kind, reset.before, reset.after, reset.rise) == ("reset", 20, 2, None)
    assert (reset.unseen_from, reset.unseen_to) == (at(30), at(40))
    found = {each.kind: each for each in read.findings(lab.connection)}
    assert "taken as a rise of 18 kW.h" in found["register_rollover"].sentence
    assert "not known" in found["register_reset"].sentence
    assert "counter: {swaps: [{at: 2026-11-20T12:00:40Z, last: 20, first: 2}]}" in found["register_reset"].remedy
    swap = {"at": at(35).isoformat(), "last": 30, "first": 0, "note": "4711 for 4712"}
    apply_hub(lab.dsn, hub_with(counter=ENERGY["counter"] | {"swaps": [swap]}), lab.folder)
    update_until_clean(lab.dsn, now_at=at(80))
    rolled, swapped = register_events(lab.connection, "energy", NOON)
    assert (swapped.kind, swapped.rise, swapped.note) == ("swap", pytest.approx(12), "4711 for 4712")
    total = sum(row[0] for row in lab.connection.execute(
        "SELECT value * step_s FROM sidestream.twin_value WHERE quantity = 'register_heat_flow'"))  # fmt: skip
    assert total == pytest.approx((20 + 18 + 12 + 12 + 10) * 3.6e6)
    update(lab.dsn, now_at=at(300))
    states = {each.kind: each.state for each in read.findings(lab.connection)}
    assert states["register_reset"] == "returned"
    capsys.readouterr()
    assert (
        app(["twin", "meters", "energy", "--from", "2026-11-20", "--dsn", lab.dsn], result_action="return_value") == 0
    )
    told = capsys.readouterr().out
    assert "energy (Energy): swap" in told
    assert "showed 30 before and 0 kW.h after (4711 for 4712)" in told


def test_late_readings_and_small_passes_give_the_same_events(laboratory):
    lab = laboratory(hub_with())
    for s, v in reversed(COURSE):
        lab.bring(Batch((("energy", float(s), float(v)),)))
        update_until_clean(lab.dsn, now_at=at(70))
    assert [event.kind for event in register_events(lab.connection, "energy", NOON)] == ["rollover", "reset"]
    assert [event.at for event in register_events(lab.connection, "energy", NOON)] == [at(20), at(40)]


def test_doubted_values_are_marked_and_left_out_and_stay_as_they_came(laboratory, capsys):
    lab = laboratory(hub_with())
    noise = [0.1 * ((n * 7) % 3 - 1) for n in range(60)]
    readings = [
        ("tin", t, 70.0 + noise[int(t)] if int(t) not in {20, 40} else {20: 115.0, 40: 500.0}[int(t)])
        if name == "tin" else (name, t, v)
        for name, t, v in heat_readings(range(60), flow=20.0)
    ]  # fmt: skip
    lab.bring(Batch(tuple(readings)))
    update(lab.dsn, now_at=at(75))
    spike, beyond = sorted(marked_values(lab.connection, "tin", NOON), key=lambda mark: mark.kind, reverse=True)
    assert (spike.kind, spike.n, spike.low, spike.left_out) == ("spike", 1, 115.0, True)
    assert (beyond.kind, beyond.n, beyond.low, beyond.left_out) == ("range", 1, 500.0, True)
    rows = lab.connection.execute(
        "SELECT extract(epoch FROM time - %s)::int, flags FROM sidestream.twin_value WHERE quantity = 'heat_flow' ORDER BY 1",
        [NOON],
    ).fetchall()
    flags = dict(rows)
    assert "spike" in flags[20]
    assert "out_of_range" in flags[40]
    assert not {"spike", "out_of_range"} & set(flags[30])
    kept = lab.connection.execute(
        "SELECT max(value), count(*) FROM sidestream_v.reading WHERE sensor = 'tin'"
    ).fetchone()
    assert kept == (500.0, 60)
    capsys.readouterr()
    assert (
        app(["twin", "meters", "--from", "2026-11-20", "--json", "--dsn", lab.dsn], result_action="return_value") == 0
    )
    assert {mark["kind"] for mark in json.loads(capsys.readouterr().out)["marks"]} == {"spike", "range"}


def test_a_sensor_that_stands_still_longer_than_chance_allows_is_raised_and_a_lively_one_is_not(laboratory):
    lab = laboratory(hub_with())
    lab.bring(Batch(tuple(("tin", float(s), 70.0 + 0.1 * (s % 2)) for s in range(300))))
    update(lab.dsn, now_at=at(301))
    assert "sensor_stuck" not in {each.kind for each in read.findings(lab.connection)}
    lab.bring(Batch(tuple(("tin", float(s), 70.0) for s in range(300, 600))))
    update(lab.dsn, now_at=at(601))
    (found,) = [each for each in read.findings(lab.connection) if each.kind == "sensor_stuck"]
    assert found.subject == "tin"
    assert "70 Cel without the smallest change" in found.sentence


@pytest.mark.parametrize(
    ("ratio", "cause"), [(1.04, None), (1.09, "a meter is off"), (3.6, "a unit or pulse value is mistaken (times 3.6)")]
)
def test_heat_that_strays_from_the_meters_own_register_beyond_both_errors_is_raised_with_its_cause(
    laboratory, ratio: float, cause: str | None
):
    """Five hours of 1 GJ each by a register of class 3 %, and computed with 2 %."""
    lab = laboratory(hub_with())
    lab.connection.execute(
        "INSERT INTO sidestream.twin_sum_1h (subject, quantity, bucket, total, variance_random, sd_systematic, seen_s,"
        " origin_rank, valued_s, paired_total) SELECT 'heat', q.quantity, %(noon)s - make_interval(hours => n), q.j, 1e12,"
        " q.j * q.class / sqrt(3), 3600, 1, 3600, q.j FROM generate_series(1, 5) AS n CROSS JOIN"
        " (VALUES ('register_heat_flow', 1e9, 0.03), ('heat_flow', 1e9 * %(ratio)s, 0.02)) AS q (quantity, j, class)",
        {"noon": NOON, "ratio": ratio},
    )
    update(lab.dsn, now_at=at(10))
    found = [each for each in read.findings(lab.connection) if each.kind == "heat_meter_disagrees"]
    assert [each.subject for each in found] == ([] if cause is None else ["heat/heat_flow"])
    assert all(cause in each.sentence for each in found)
