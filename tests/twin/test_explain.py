"""Explaining a number: the way down to readings, derived again bit for bit, also for what was known earlier."""

from __future__ import annotations

import json

import pytest
from twin_lab import Batch, Lab, at, heat_readings, silo_readings, whole_hub

from sidestream_app.explain_text import tree_lines
from sidestream_contracts.errors import DomainError
from sidestream_store.corrections.model import Draft
from sidestream_store.corrections.write import make, withdraw
from sidestream_store.hub_apply import apply_hub
from sidestream_store.roles import ensure_viewer
from sidestream_store.twin.hub import load_twin_hub
from sidestream_store.twin.hub_at import twin_hub_at
from sidestream_twin.explain.kinds import explain
from sidestream_twin.explain.scope import Limits
from sidestream_twin.explain.tree import Explained
from sidestream_twin.update import update_until_clean

pytestmark = pytest.mark.server


def ask(lab: Lab, named: str, **options) -> Explained:
    return explain(lab.connection, named, at(5000), options.pop("limits", None), **options)


def outcomes(told: Explained) -> set[str]:
    return {part.check.outcome for part in told.walk() if part.check is not None}


def numbers_of(lab: Lab) -> list[str]:
    rows = lab.connection.execute(
        "SELECT subject_kind || '/' || subject || '/' || quantity || '@' || to_char(time AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"
        " FROM sidestream.twin_value ORDER BY 1"
    ).fetchall()
    return [row[0] for row in rows]


@pytest.fixture
def filled(lab: Lab) -> Lab:
    """Two hours and a bit of belts and bags, two minutes of heat, a silo that is weighed now and then."""
    lab.bring(Batch(heat_readings([s + 0.25 for s in range(130)])))
    lab.bring(Batch(silo_readings(range(130), 3.0, 1.0)))
    lab.bring(Batch((("silo_mass", 35.5, 0.9), ("silo_mass", 36.5, 0.91), ("silo_mass", 95.0, 1.1))))
    lab.bring(Batch(scans=(("scan_store", 3.0, "BAG-1"), ("scan_store", 5.0, "BAG-2"), ("scan_yard", 44.0, "BAG-1"))))
    update_until_clean(lab.dsn, now_at=at(600))
    return lab


def test_every_published_number_is_derived_again_to_the_last_bit(filled: Lab):
    named = numbers_of(filled)
    assert {name.split("/")[2].split("@")[0] for name in named} >= {
        "heat_flow",
        "mass_flow",
        "stock_mass",
        "lots_mass",
        "lots_count",
    } - {"lots_mass"}
    for name in named:
        told = ask(filled, name)
        assert told.check is not None
        assert told.check.outcome == "equal", (name, told.check)
    for name in (
        "stream/heat/heat_flow/15m@2026-11-20T12:00:00Z", "stream/in/mass_flow/1h", "agreement/heat-deal", "agreement/bag-deal",
        "sensor/flow/1m@2026-11-20T12:00:30Z", "sensor/flow/1h", "sensor/flow/1d", "lot/BAG-1",
    ):  # fmt: skip
        told = ask(filled, name)
        assert told.check is not None
        assert outcomes(told) == {"equal"}, (name, told.as_dict())
        assert told.address is not None
        assert ask(filled, told.address).as_dict() == told.as_dict()


def test_the_way_goes_down_to_frames_sensors_and_the_configuration(filled: Lab):
    told = ask(filled, "stream/heat/heat_flow@2026-11-20T13:00:00+01:00")
    assert told.address == "stream/heat/heat_flow@2026-11-20T12:00:00Z"
    assert told.quantity is not None
    assert told.quantity.unit == "W"
    sensors = [part for part in told.inputs if part.what.startswith("sensor ")]
    assert [part.facts["device"] for part in sensors] == ["a/gw"] * 3
    assert "± 2 % limit, 0.5 % random" in str(sensors[0].facts["accuracy"])
    reading = sensors[0].inputs[0]
    assert reading.facts["frame"] == "a/gw, epoch 0123456789abcdef0123456789abcdef, lane live, seq 1"
    assert reading.facts["received_at"] is not None
    assert reading.facts["clock"] == "not said"
    assert told.inputs[-1].what == "hub.yaml"
    assert told.inputs[-1].from_at is not None
    json.dumps(told.as_dict())
    text = "\n".join(tree_lines(told, "Europe/Oslo"))
    assert "✓ derived again from" in text
    assert "2026-11-20 13:00:00+01:00 to 13:00:10" in text


def test_a_stock_names_flows_and_sights_and_the_depth_bounds_the_tree(filled: Lab):
    told = ask(filled, "node/silo/stock_mass@2026-11-20T12:00:30Z")
    assert [part.what for part in told.inputs[1:4]] == [
        "inflow in",
        "outflow out",
        "mass as silo_mass showed it at the end of the step",
    ]
    assert outcomes(told) == {"equal"}
    assert ask(filled, "silo", limits=Limits(depth=0)).inputs == ()
    few = ask(filled, "stream/in", limits=Limits(readings=2))
    sensor = few.inputs[0]
    assert len(sensor.inputs) == 2
    assert sensor.left_out == int(str(sensor.facts["readings_used"])) - 2


def test_a_forecast_tells_its_band_its_basis_and_the_stock_that_it_began_from(filled: Lab):
    told = ask(filled, "forecast/silo/overflow")
    assert told.origin == "forecast"
    assert told.inputs[0].what == "net flow that is expected"
    assert outcomes(told) <= {"not_possible", "equal"}
    with pytest.raises(DomainError, match="forecast/silo/overflow"):
        ask(filled, "forecast/silo/overfow")


def test_a_correction_shows_who_and_why_and_the_earlier_revision_is_still_derived(filled: Lab):
    before = ask(filled, "stream/heat/heat_flow@2026-11-20T12:00:20Z")
    draft = Draft("flow", at(20), at(25), "adjust", "wrong pulse weight", "kari", factor=2.0, offset=0.0)
    made, _ = make(filled.connection, draft, at(2000))
    waiting = ask(filled, "stream/heat/heat_flow@2026-11-20T12:00:20Z")
    assert waiting.check is not None
    assert waiting.check.outcome == "differs"
    assert "not computed it again yet" in waiting.check.why
    update_until_clean(filled.dsn, now_at=at(2100))
    now = ask(filled, "stream/heat/heat_flow@2026-11-20T12:00:20Z", limits=Limits(readings=99))
    assert now.facts["revision"] == 2
    assert outcomes(now) == {"equal"}
    found = [part for part in now.walk() if part.what == f"correction {made.correction_id}"]
    assert len(found) == 5
    assert (found[0].facts["author"], found[0].facts["reason"]) == ("kari", "wrong pulse weight")
    for told in (
        ask(filled, "stream/heat/heat_flow@2026-11-20T12:00:20Z#1"),
        ask(filled, "stream/heat/heat_flow@2026-11-20T12:00:20Z", known_at=at(1900)),
    ):
        assert told.check is not None
        assert told.check.outcome == "equal", told.check
        assert told.quantity == before.quantity
        assert told.facts["superseded_at"] == at(2100)
        assert told.address == "stream/heat/heat_flow@2026-11-20T12:00:20Z#1"
    withdraw(filled.connection, made.correction_id, "kari", "it was right", at(3000))
    update_until_clean(filled.dsn, now_at=at(3100))
    for revision in (1, 2, 3):
        told = ask(filled, f"stream/heat/heat_flow@2026-11-20T12:00:20Z#{revision}")
        assert told.check is not None
        assert told.check.outcome == "equal", told.check


def test_a_figure_is_derived_with_the_hub_that_it_was_computed_with(filled: Lab):
    changed = filled.hub.model_dump(mode="json")
    next(s for s in changed["sensors"] if s["id"] == "flow")["accuracy"]["limit_pct"] = 5
    apply_hub(filled.dsn, type(filled.hub).model_validate(changed), filled.folder)
    update_until_clean(filled.dsn, now_at=at(2100))
    old, new = (ask(filled, f"stream/heat/heat_flow@2026-11-20T12:00:20Z#{n}") for n in (1, 2))
    for told in (old, new):
        assert told.check is not None
        assert told.check.outcome == "equal", told.check
    assert old.inputs[-1].facts["version"] == 1
    assert new.inputs[-1].facts["version"] == 2
    assert old.quantity is not None
    assert new.quantity is not None
    assert old.quantity.sd_systematic < new.quantity.sd_systematic


def test_the_hub_of_a_version_is_the_hub_as_the_twin_loads_it(laboratory):
    vessel = {"area_m2": 12.5, "density_kg_m3": 1400, "density_sd_kg_m3": 20}
    tank = {"id": "tank", "party": "a", "kind": "stock", "name": "Tank", "material": "slag", "vessel": vessel}
    whole = whole_hub().model_dump(mode="json")
    lab = laboratory(whole_hub(nodes=[*whole["nodes"], tank]))
    assert twin_hub_at(lab.connection, 1) == load_twin_hub(lab.connection)


def test_readings_that_retention_dropped_are_said_to_be_gone(filled: Lab):
    filled.connection.execute(
        "INSERT INTO sidestream.dropped SELECT sensor_id, %s, %s FROM sidestream.sensor", [at(-9e4), at(9e4)]
    )
    told = ask(filled, "stream/heat/heat_flow@2026-11-20T12:00:20Z")
    assert told.check is not None
    assert told.check.outcome == "not_possible"
    assert "dropped by retention" in told.check.why


NO_NUMBERS = (
    ("stream/haet/heat_flow", "stream/heat"),
    ("haet", "stream/heat"),
    ("strem/heat/heat_flow", "stream/heat/heat_flow"),
    ("stream/heat/heatflow", "stream/heat/heat_flow"),
    ("stream/silo/stock_mass", "node/silo"),
    ("stream/heat/heat_flow@2026-11-20T12:59Z", "stream/heat/heat_flow@2026-11-20T12:02:00Z"),
    ("stream/heat/heat_flow@2020-01-01", "stream/heat/heat_flow@2026-11-20T12:00:00Z"),
    ("stream/heat/heat_flow#9", "revision 9"),
    ("stream/heat/heat_flow/2h", "15m or 1h"),
    ("sensor/flow/2h", "1m, 1h or 1d"),
    ("lot/BAG-11", "lot/BAG-1"),
    ("stream", "stream/fish-heat"),
    ("stream/bags", "no figure"),
)


def test_what_names_no_number_is_answered_with_the_nearest(filled: Lab):
    for named, tip in NO_NUMBERS:
        with pytest.raises(DomainError) as refused:
            ask(filled, named)
        assert tip in str(refused.value), named


def test_the_viewers_rights_are_enough(filled: Lab, database: str):
    name = database.rpartition("/")[2].split("?")[0]
    ensure_viewer(database, f"viewer_{name}", "secret")
    filled.connection.execute(f"SET ROLE viewer_{name}")
    for named in (
        "silo",
        "heat",
        "agreement/heat-deal",
        "agreement/bag-deal",
        "lot/BAG-1",
        "sensor/flow",
        "sensor/flow/1d",
        "node/store/lots_count",
    ):
        assert ask(filled, named).what
