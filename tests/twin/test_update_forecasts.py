"""Stocks foreseen by the pass: from what flowed, what is agreed and planned, with their basis; unknown where it is not known."""

from __future__ import annotations

from datetime import timedelta

import pytest
from twin_lab import AGREEMENTS, NOON, Batch, Lab, at, silo_readings, whole_hub

from sidestream_store.hub_apply import apply_hub
from sidestream_store.stops import Draft, add_stop, end_stop
from sidestream_twin import forecast_pass
from sidestream_twin.core.errors import ModelError
from sidestream_twin.update import update, update_until_clean

pytestmark = pytest.mark.server

FORECAST = (
    "SELECT outcome, reason, probability, extract(epoch FROM q05_at - %s)::float8, extract(epoch FROM q50_at - %s)::float8,"
    " extract(epoch FROM q95_at - %s)::float8, basis, origin FROM sidestream_v.stock_forecast WHERE node = 'silo' AND event = %s"
)

COUNTED = {"mass_kg": 4000, "sd_kg": 50, "at": NOON.isoformat()}


def foreseen(lab: Lab, event: str):
    return lab.one(FORECAST, NOON, NOON, NOON, event)


def filling(lab: Lab, inflow=3.0, outflow=2.0):
    """Twenty minutes of even flow into a silo of 4 t that holds 9 t at most and 100 kg at least."""
    lab.bring(Batch((*silo_readings(range(0, 1201, 2), inflow, outflow), ("silo_mass", 1.0, 4.0))))
    update_until_clean(lab.dsn, now_at=at(1210))


def test_a_silo_that_fills_evenly_is_foreseen_to_overflow_when_it_will_be_full(lab: Lab):
    filling(lab)
    outcome, reason, probability, q05, q50, q95, basis, origin = foreseen(lab, "overflow")
    assert (outcome, reason, origin) == ("expected", None, "forecast")
    assert probability > 0.9
    # 4 000 kg at noon and 1 kg/s; both belts err by 2 %/√3 of their reading
    assert q50 == pytest.approx(5000.0, rel=0.03)
    assert q05 < 4900 < 5100 < q95
    assert basis["streams"]["in"] == {"basis": "recent", "sensor": "belt_in"}
    dry = foreseen(lab, "run_dry")
    assert dry[0] == "not_within_horizon"
    assert dry[4] is None


def test_a_planned_stop_of_what_fills_a_silo_puts_its_overflow_off(lab: Lab):
    stop = add_stop(lab.connection, Draft(None, "in", at(1200), at(1200 + 3600), "new belt", "test"))
    filling(lab)
    outcome, _, _, _, q50, _, basis, _ = foreseen(lab, "overflow")
    assert (outcome, q50) == ("not_within_horizon", None)
    assert basis["stops"] == [stop.stop_id]
    # an hour of 2 kg/s out and nothing in, from 5 200 kg: dry before it is over
    assert foreseen(lab, "run_dry")[0] == "expected"
    end_stop(lab.connection, stop.stop_id, at(1190), "test")
    update_until_clean(lab.dsn, now_at=at(1210 + 61))
    assert foreseen(lab, "overflow")[4] == pytest.approx(5000.0, rel=0.03)


def test_an_unmetered_flow_is_taken_as_agreed_and_without_agreement_nothing_is_foreseen(laboratory):
    deal = AGREEMENTS[0] | {"id": "slag", "stream": "out", "amount": 172.8, "unit": "t", "period": "day"}
    unmetered = [s for s in whole_hub().model_dump(mode="json")["sensors"] if s["id"] != "belt_out"]
    lab = laboratory(whole_hub(sensors=unmetered))
    readings = (*((("belt_in", float(s), 3.0)) for s in range(0, 1201, 2)), ("silo_mass", 1195.0, 4.0))
    lab.bring(Batch(readings))
    update_until_clean(lab.dsn, now_at=at(1210))
    outcome, reason, *_, basis, _ = foreseen(lab, "overflow")
    assert (outcome, reason, basis) == ("unknown", "flow_unknown", {"streams": ["out"]})
    apply_hub(lab.dsn, whole_hub(sensors=unmetered, agreements=[deal]), lab.folder)
    lab.bring(Batch((("silo_mass", 1265.0, 4.0),)))
    update_until_clean(lab.dsn, now_at=at(1275))
    outcome, _, _, _, q50, _, basis, _ = foreseen(lab, "overflow")
    assert outcome == "expected"
    assert basis["streams"]["out"] == {"basis": "agreed"}
    assert q50 == pytest.approx(1270 + 5000.0, rel=0.1)  # 3 kg/s in, 2 kg/s agreed out


def test_a_stock_of_which_nothing_was_heard_lately_is_not_foreseen(lab: Lab):
    filling(lab)
    update_until_clean(lab.dsn, now_at=NOON + timedelta(hours=3))
    assert foreseen(lab, "overflow")[:2] == ("unknown", "stock_stale")
    update_until_clean(lab.dsn, now_at=NOON + timedelta(hours=3, seconds=10))
    count = lab.one("SELECT count(*) FROM sidestream.stock_forecast WHERE node = 'silo' AND event = 'overflow'")
    assert count == (2,)  # one of each hour; not one of each pass


def test_a_hub_without_any_history_says_so(lab: Lab):
    update_until_clean(lab.dsn, now_at=NOON)
    assert foreseen(lab, "run_dry")[:2] == ("unknown", "stock_unknown")


def newest(lab: Lab) -> dict[str, tuple]:
    query = "SELECT node, from_at, outcome, probability, q05_at, q50_at, q95_at FROM sidestream_v.stock_forecast WHERE event = 'overflow'"
    return {row[0]: row[1:] for row in lab.connection.execute(query).fetchall()}


def issued(lab: Lab) -> dict[str, float]:
    query = "SELECT node, extract(epoch FROM max(issued_at) - %s)::float8 FROM sidestream_v.stock_forecast GROUP BY 1"
    return dict(lab.connection.execute(query, [NOON]).fetchall())


def test_a_pass_foresees_a_few_stocks_those_that_waited_longest_first_and_each_as_ever(laboratory, monkeypatch):
    hub = whole_hub().model_dump(mode="json")
    silo = next(node for node in hub["nodes"] if node["id"] == "silo")
    more = [silo | {"id": f"bin{n}", "name": f"Bin {n}", "start": COUNTED} for n in range(4)]
    lab = laboratory(whole_hub(nodes=[*hub["nodes"], *more]))
    filling(lab)
    all_at_once = newest(lab)
    assert len(all_at_once) == 5
    lab.connection.execute("TRUNCATE sidestream.stock_forecast")
    monkeypatch.setattr(forecast_pass, "STOCKS_PER_PASS", 2)
    first = update(lab.dsn, now_at=at(1210))
    assert (len(issued(lab)), first.more) == (2, True), "some were never foreseen: the next pass comes at once"
    update_until_clean(lab.dsn, now_at=at(1210))
    assert newest(lab) == all_at_once
    for later in (1270, 1271, 1272):
        assert not update(lab.dsn, now_at=at(later)).more, "the others wait for a pass that comes anyway"
    assert sorted(issued(lab).values()) == [1270, 1270, 1271, 1271, 1272]
    update(lab.dsn, now_at=at(1330))
    assert sorted(issued(lab).values()) == [1271, 1271, 1272, 1330, 1330]


def test_stocks_that_cannot_be_foreseen_do_not_keep_others_waiting(laboratory, monkeypatch):
    hub = whole_hub().model_dump(mode="json")
    silo = next(node for node in hub["nodes"] if node["id"] == "silo")
    lab = laboratory(whole_hub(nodes=[*hub["nodes"], silo | {"id": "bin", "name": "Bin", "start": COUNTED}]))
    made = forecast_pass._foreseen

    def failing(now, plan, *rest):
        if plan.node.id == "bin":
            raise ModelError("no number")
        return made(now, plan, *rest)

    monkeypatch.setattr(forecast_pass, "_foreseen", failing)
    monkeypatch.setattr(forecast_pass, "STOCKS_PER_PASS", 1)
    report = update(lab.dsn, now_at=at(20))
    assert (report.problems, report.more, list(issued(lab))) == (("bin/forecast: no number",), False, ["silo"])
