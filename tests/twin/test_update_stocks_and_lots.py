"""Stocks follow from flows, levels and counts; lots are where they were last read; stores hold what lots say."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hub_files import TEST_HUB
from twin_lab import NOON, Batch, Lab, at, silo_readings, whole_hub

from sidestream_twin.update import update_until_clean

pytestmark = pytest.mark.server


def silo(**start):
    nodes = [n | {"start": start} if n["id"] == "silo" and start else n for n in TEST_HUB["nodes"]]
    kept = {n["id"] for n in nodes}
    hub = whole_hub().model_dump(mode="json")
    return whole_hub(nodes=[*nodes, *(n for n in hub["nodes"] if n["id"] not in kept)])


def test_a_stock_grows_by_what_comes_in_less_what_goes_out_from_its_counted_start(laboratory):
    lab = laboratory(silo(mass_kg=1000, sd_kg=20, at=(NOON - timedelta(days=9)).isoformat()))
    lab.bring(Batch(silo_readings(range(101), 3.0, 2.0)))
    update_until_clean(lab.dsn, now_at=at(103))
    found = lab.values("silo", "stock_mass")
    assert found[0.0] == (pytest.approx(1010.0), "estimated")
    assert found[90.0] == (pytest.approx(1100.0), "estimated")
    mass, sd = lab.one("SELECT mass_kg, sd_kg FROM sidestream_v.stock WHERE node = 'silo'")
    assert (mass, sd > 20) == (pytest.approx(1100.0), True)


def test_a_stock_is_never_guessed_before_anything_told_its_mass(lab: Lab):
    lab.bring(Batch(silo_readings(range(101), 3.0, 2.0)))
    update_until_clean(lab.dsn, now_at=at(200))
    assert lab.values("silo", "stock_mass") == {}
    lab.bring(Batch((("silo_mass", 55.0, 4.0),)))
    update_until_clean(lab.dsn, now_at=at(200))
    assert min(lab.values("silo", "stock_mass")) == 50.0
    assert lab.values("silo", "stock_mass")[50.0][1] == "measured"


def test_a_night_without_data_widens_the_stock_and_says_so(lab: Lab):
    lab.bring(
        Batch((*silo_readings(range(31), 3.0, 2.0), ("silo_mass", 5.0, 4.0))),
        Batch(silo_readings(range(3600, 3631), 3.0, 2.0)),
    )
    update_until_clean(lab.dsn, now_at=at(4000))
    rows = lab.connection.execute(
        "SELECT extract(epoch FROM time - %s)::int, sd, flags FROM sidestream_v.twin_value"
        " WHERE subject = 'silo' AND quantity = 'stock_mass' ORDER BY time", [NOON],
    ).fetchall()  # fmt: skip
    assert [at_s for at_s, _, _ in rows] == [0, 10, 20, 3600, 3610, 3620]
    assert rows[3][1] > 10_000 > rows[2][1]


LEVEL = {"id": "silo_level", "device": "gw", "name": "Radar", "quantity": "level", "unit": "m", "role": "level", "node": "silo",
         "period_s": 1, "accuracy": {"limit_abs": 0.02, "random_abs": 0.01}}  # fmt: skip


def with_a_level():
    """The silo, 2 m² of cross-section, weighed and looked at by radar."""
    hub = whole_hub().model_dump(mode="json")
    vessel = {"area_m2": 2.0, "density_kg_m3": 1500.0, "density_sd_kg_m3": 15.0}
    nodes = [n | {"vessel": vessel} if n["id"] == "silo" else n for n in hub["nodes"]]
    cells = {"limit_pct": 0.5, "random_abs": 0.005}
    sensors = [s | {"accuracy": cells} if s["id"] == "silo_mass" else s for s in hub["sensors"]]
    return whole_hub(nodes=nodes, sensors=[*sensors, LEVEL])


def test_a_level_in_a_vessel_of_known_shape_is_a_mass_and_is_named_when_it_contradicts_the_load_cells(laboratory):
    lab = laboratory(with_a_level())
    lab.bring(Batch((("silo_level", 5.0, 1.08), *silo_readings(range(31), 3.0, 3.0))))
    update_until_clean(lab.dsn, now_at=at(40))
    assert lab.values("silo", "stock_mass")[0.0] == (pytest.approx(3240.0), "measured")
    weighed = [("silo_mass", float(s), 3.0) for s in range(100, 400, 2)]
    lab.bring(Batch((*silo_readings(range(31, 401), 3.0, 3.0), *weighed)))
    lab.bring(Batch(tuple(("silo_level", float(s), 1.08) for s in range(100, 400, 2))))
    update_until_clean(lab.dsn, now_at=at(405))
    mass, flags = lab.one("SELECT mass_kg, flags FROM sidestream_v.stock WHERE node = 'silo'")
    assert mass == pytest.approx(3000.0, abs=30)
    assert {"biased", "biased:silo_level"} <= set(flags)
    bias, sd = lab.one("SELECT bias, sd FROM sidestream_v.stock_bias WHERE node = 'silo' AND source = 'silo_level'")
    assert bias - 2 * sd > 3**0.5


def test_late_flows_change_every_later_state(lab: Lab):
    lab.bring(
        Batch((*silo_readings(range(30), 3.0, 2.0), ("silo_mass", 0.5, 4.0))),
        Batch(silo_readings(range(60, 91), 3.0, 2.0)),
    )
    update_until_clean(lab.dsn, now_at=at(200))
    before = lab.values("silo", "stock_mass")[80.0][0]
    lab.bring(Batch(silo_readings(range(30, 60), 23.0, 2.0)))
    update_until_clean(lab.dsn, now_at=at(200))
    assert lab.values("silo", "stock_mass")[80.0][0] == pytest.approx(before + 630 - 30, abs=40)


def test_a_lot_is_where_it_was_last_read_and_stores_hold_what_is_there(lab: Lab):
    lab.bring(Batch(scans=tuple(("scan_store", float(n), f"BAG-{n}") for n in range(3))))
    lab.bring(Batch(scans=(("scan_yard", 20.0, "BAG-1"),)))
    update_until_clean(lab.dsn, now_at=at(33))
    where = dict(lab.connection.execute("SELECT code, place FROM sidestream_v.lot").fetchall())
    assert where == {"BAG-0": "store", "BAG-1": "yard", "BAG-2": "store"}
    assert lab.values("store", "stock_mass") == {
        -10.0: (1000.0, "estimated"),
        0.0: (3000.0, "estimated"),
        10.0: (2000.0, "estimated"),
    }
    assert lab.values("yard", "lots_count") == {10.0: (1.0, "measured")}
    time, mass, sd, flags = lab.one("SELECT time, mass_kg, sd_kg, flags FROM sidestream_v.stock WHERE node = 'store'")
    assert (time, mass, sd, flags) == (at(30), 2000.0, pytest.approx(15 * 2**0.5), [])
    assert lab.one(
        "SELECT flags FROM sidestream.twin_value WHERE subject = 'store' AND quantity = 'stock_mass' AND value = 3000"
    ) == (["overflow"],)


def test_a_late_scan_between_two_others_moves_the_lot_there_for_that_time_only(lab: Lab):
    lab.bring(Batch(scans=(("scan_store", 1.0, "BAG-1"), ("scan_store", 100.0, "BAG-1"))))
    update_until_clean(lab.dsn, now_at=at(200))
    lab.bring(Batch(scans=(("scan_yard", 50.0, "BAG-1"),)))
    update_until_clean(lab.dsn, now_at=at(200))
    stays = lab.connection.execute(
        "SELECT place, extract(epoch FROM from_at - %s)::int FROM sidestream.lot_stay ORDER BY from_at", [NOON]
    ).fetchall()
    assert stays == [("store", 1), ("yard", 50), ("store", 100)]
    assert lab.values("yard", "lots_count") == {40.0: (1.0, "measured"), 90.0: (0.0, "measured")}


def test_one_instant_at_two_places_is_one_stay_and_no_failure(lab: Lab):
    lab.bring(Batch(scans=(("scan_store", 1.0, "BAG-1"), ("scan_yard", 1.0, "BAG-1"))))
    update_until_clean(lab.dsn, now_at=at(200))
    assert lab.one("SELECT count(*), min(scans) FROM sidestream.lot_stay") == (1, 1)
    assert lab.one("SELECT scans FROM sidestream.lot") == (2,)


def test_fixed_tags_are_where_they_are_mounted_and_strange_codes_are_nowhere(laboratory, tmp_path):
    (tmp_path / "tags.csv").write_text("code,at\nTAG-1,yard\n")
    tags = {"file": "tags.csv", "code_column": "code", "place_column": "at"}
    lab = laboratory(whole_hub(tags=tags))
    lab.bring(Batch(scans=tuple(("scan_store", float(n), code) for n, code in enumerate(("TAG-1", "BAG-1", "ODD")))))
    update_until_clean(lab.dsn, now_at=at(100))
    where = dict(lab.connection.execute("SELECT code, place FROM sidestream_v.lot").fetchall())
    assert where == {"TAG-1": "yard", "BAG-1": "store", "ODD": None}
    value, flags = lab.one(
        "SELECT value, flags FROM sidestream.twin_value WHERE subject = 'yard' AND quantity = 'stock_mass'"
    )
    assert (value, flags) == (None, ["unweighed"])


def test_recorded_scans_do_not_claim_to_tell_of_now(laboratory):
    lab = laboratory(recorded=True)
    lab.bring(Batch(scans=(("scan_store", 1.0, "BAG-1"),)))
    update_until_clean(lab.dsn, now_at=NOON + timedelta(days=1))
    assert lab.one("SELECT time FROM sidestream.twin_latest WHERE subject = 'store' AND quantity = 'stock_mass'") == (
        NOON,
    )
