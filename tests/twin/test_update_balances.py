"""Balances: what meters say together, which one is named and when, what nobody knows; whatever order data came in."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hub_files import TEST_HUB, test_hub
from twin_lab import Batch, Lab, at

from sidestream_contracts.hub import HubFile
from sidestream_store.hub_apply import apply_hub
from sidestream_store.twin.hub import load_twin_hub
from sidestream_twin.balance_pass import PARTS_EACH, PARTS_PER_PASS, intervals_per_pass
from sidestream_twin.plan import plan_of
from sidestream_twin.update import update, update_until_clean

pytestmark = pytest.mark.server

INTERVALS = 6
POWER_W = {"p_feed": 1000e3, "p_one": 300e3, "q_one": 300e3, "p_two": 700e3, "q_two": 700e3}


def meter(name: str, stream: str, device: str = "gw") -> dict[str, Any]:
    return {"id": name, "device": device, "name": name, "quantity": "power", "unit": "W", "role": "power", "stream": stream,
            "range": [0, 2e6], "period_s": 10, "accuracy": {"limit_pct": 1, "random_pct": 0.5}}  # fmt: skip


def line(name: str, source: str, target: str, **more: Any) -> dict[str, Any]:
    return {"id": name, "name": name, "source": source, "target": target, "material": "electricity",
            "lifecycle": [{"state": "live", "since": "2020-01-01"}]} | more  # fmt: skip


def busbar(metered: tuple[str, ...] = tuple(POWER_W), **changes: Any) -> HubFile:
    """A busbar that feeds two consumers; their lines are metered at either end, by either party."""
    meters = [
        meter("p_feed", "feed"),
        meter("p_one", "one"),
        meter("q_one", "one", "gw2"),
        meter("p_two", "two"),
        meter("q_two", "two", "gw2"),
    ]
    return test_hub(
        hub=TEST_HUB["hub"] | {"balance_s": 60},
        materials=changes.pop("materials", [{"id": "electricity", "name": "Electricity", "phase": "electricity"}]),
        nodes=[
            {"id": "grid", "party": "a", "kind": "border", "name": "Grid"},
            {"id": "bus", "party": "a", "kind": "junction", "name": "Busbar"},
            {"id": "first", "party": "b", "kind": "process", "name": "First"},
            {"id": "second", "party": "b", "kind": "process", "name": "Second"},
        ],
        streams=changes.pop(
            "streams", [line("feed", "grid", "bus"), line("one", "bus", "first"), line("two", "bus", "second")]
        ),
        sensors=changes.pop("sensors", [m for m in meters if m["id"] in metered]),
        lots=[],
        **changes,
    )


def readings(seed: int = 1, only: tuple[str, ...] = tuple(POWER_W), **factors: float) -> list[Batch]:
    """A reading every five seconds, minute by minute; honest within their random error, but for these factors."""
    noise = Random(seed)
    values = {
        (name, s): watts * factors.get(name, 1.0) * (1 + noise.gauss(0, 0.005))
        for name, watts in POWER_W.items()
        for s in range(0, INTERVALS * 60 + 10, 5)
    }
    return [
        Batch(tuple((name, s, value) for (name, s), value in values.items() if name in only and s // 60 == n))
        for n in range(INTERVALS + 1)
    ]


def parts(lab: Lab, what: str, interval: int | None = None) -> dict[str, Any]:
    """A column of `balance_part` by subject and quantity, in the newest interval or another one."""
    rows = lab.connection.execute(
        f"SELECT subject || '/' || quantity, {what} FROM sidestream_v.balance_part"
        " WHERE time = COALESCE(%s, (SELECT max(time) FROM sidestream.balance))",
        [None if interval is None else at(interval * 60)],
    ).fetchall()
    return dict(rows)


def run(lab: Lab, *batches: Batch) -> None:
    lab.bring(*batches)
    report = update_until_clean(lab.dsn, now_at=at(INTERVALS * 60 + 20))
    assert not report.problems


def test_reconciled_figures_stand_beside_the_measured_ones_and_close(laboratory):
    lab = laboratory(busbar())
    run(lab, *readings())
    found = parts(lab, "reconciled")
    assert found["feed/power"] - found["one/power"] - found["two/power"] == pytest.approx(0, abs=1e-6)
    assert found["two/power"] == pytest.approx(found["two/power_receiver"], rel=1e-12)
    assert all(
        new < old for new, old in zip(parts(lab, "sd").values(), parts(lab, "sd_measured").values(), strict=True)
    )
    assert set(parts(lab, "knowledge").values()) == {"redundant"}
    told = lab.values("two", "power_receiver_reconciled")
    assert set(told) == {0.0, 60.0, 120.0, 180.0, 240.0, 300.0}
    assert told[300.0] == (pytest.approx(found["two/power_receiver"]), "reconciled")
    measured = lab.values("two", "power")
    assert len(measured) > INTERVALS * 6
    assert measured[300.0] == (pytest.approx(700e3, rel=0.02), "measured")
    assert lab.one("SELECT count(*), bool_and(closes) FROM sidestream.balance") == (INTERVALS, True)


def test_a_wrong_meter_is_named_once_it_persists_and_its_readings_are_left_out(laboratory):
    lab = laboratory(busbar())
    run(lab, *readings(p_one=1.12))
    assert not any(suspect for interval in (0, 1) for suspect in parts(lab, "suspect", interval).values())
    for interval in range(2, INTERVALS):
        suspects = [name for name, suspect in parts(lab, "suspect", interval).items() if suspect]
        assert suspects == ["one/power"]
    assert parts(lab, "bias")["one/power"] == pytest.approx(36e3, rel=0.4)
    assert parts(lab, "reconciled")["one/power"] == pytest.approx(300e3, rel=0.03)
    assert parts(lab, "power")["one/power"] > 0.9
    assert lab.values("one", "power_reconciled")[300.0][1] == "estimated"
    assert lab.values("one", "power_receiver_reconciled")[300.0][1] == "reconciled"
    flags = lab.one(
        "SELECT flags FROM sidestream_v.twin_latest WHERE subject = 'one' AND quantity = 'power_reconciled'"
    )
    assert flags == (["suspect"],)


def test_meters_that_no_test_can_tell_apart_are_named_together(laboratory):
    lab = laboratory(busbar(("p_feed", "p_one", "p_two", "q_two")))
    run(lab, *readings(only=("p_feed", "p_one", "p_two", "q_two"), p_one=1.15))
    assert [name for name, suspect in parts(lab, "suspect").items() if suspect] == ["feed/power", "one/power"]
    assert parts(lab, "alike")["one/power"] == [["stream", "feed", "power"]]
    assert parts(lab, "reconciled")["two/power"] == pytest.approx(700e3, rel=0.02)


def test_honest_meters_are_never_named(laboratory):
    lab = laboratory(busbar())
    run(lab, *readings(seed=7, p_feed=1.008, p_one=0.993, q_two=1.006))
    assert lab.one("SELECT count(*) FROM sidestream.balance_part WHERE suspect OR at_fault") == (0,)


def test_what_has_no_meter_follows_from_the_others_and_what_hangs_on_two_such_is_said_to_be_unknown(laboratory):
    lab = laboratory(busbar(("p_feed", "p_two")))
    run(lab, *readings(only=("p_feed", "p_two")))
    assert parts(lab, "knowledge")["one/power"] == "observable"
    assert parts(lab, "knowledge")["feed/power"] == "non-redundant"
    assert parts(lab, "reconciled")["one/power"] == pytest.approx(300e3, rel=0.1)
    assert lab.values("one", "power_reconciled")[300.0][1] == "estimated"
    assert lab.values("feed", "power_reconciled") == {}
    apply_hub(lab.dsn, busbar(("p_feed",)), lab.folder)
    update_until_clean(lab.dsn, now_at=at(INTERVALS * 60 + 20))
    assert parts(lab, "knowledge") == {
        "feed/power": "non-redundant", "one/power": "unobservable", "two/power": "unobservable"
    }  # fmt: skip
    assert parts(lab, "missing")["one/power"] == "no_meter"
    assert lab.one("SELECT count(*) FROM sidestream.balance_node WHERE imbalance IS NOT NULL") == (0,)


def test_a_meter_that_falls_silent_is_told_by_the_others(laboratory):
    lab = laboratory(busbar(("p_feed", "p_one", "p_two")))
    batches = readings(only=("p_feed", "p_one", "p_two"))
    silent = [Batch(tuple(r for r in batch.readings if r[0] != "p_two")) for batch in batches[-2:]]
    run(lab, *batches[:-2], *silent)
    assert parts(lab, "missing")["two/power"] in ("no_readings", "too_few")
    assert parts(lab, "knowledge")["two/power"] == "observable"
    assert parts(lab, "reconciled")["two/power"] == pytest.approx(700e3, rel=0.02)


def test_late_data_has_just_the_intervals_computed_again_that_it_touches(laboratory):
    lab = laboratory(busbar())
    batches = readings()
    late = Batch(tuple(r for r in batches[2].readings if r[0] == "p_one" and r[1] == 150))
    early = Batch(tuple(r for r in batches[2].readings if r not in late.readings))
    run(lab, *batches[:2], early, *batches[3:])
    before = dict(lab.connection.execute("SELECT time, xmin::text FROM sidestream.balance").fetchall())
    run(lab, late)
    after = dict(lab.connection.execute("SELECT time, xmin::text FROM sidestream.balance").fetchall())
    changed = sorted((time - at(0)).total_seconds() / 60 for time in before if before[time] != after[time])
    # what a reading tells reaches its longest gap; two more intervals, in which another meter might be named
    assert changed == [2, 3, 4, 5]
    everything = lab.dump()
    lab.clear()
    run(lab, *readings())
    assert lab.dump() == everything


def test_a_flow_is_not_negative_because_its_meter_is_left_out(laboratory):
    liquid = [{"id": "water", "name": "Water", "phase": "liquid"}]
    change = {"quantity": "mass_flow", "unit": "kg/s", "role": "mass_flow"}
    hub = busbar(
        streams=[line(*ends, material="water") for ends in (("feed", "second", "bus"), ("one", "bus", "first"), ("two", "bus", "second"))],
        materials=liquid,
        sensors=[meter(f"p_{name}", name) | change for name in ("feed", "one", "two")]
        + [meter(f"q_{name}", name, "gw2") | change for name in ("feed", "two")],
    )  # fmt: skip
    lab = laboratory(hub)
    shown = {"p_feed": 700.0, "q_feed": 700.0, "p_one": 100.0, "p_two": 702.0, "q_two": 702.0}
    seconds = range(0, INTERVALS * 60 + 10, 5)
    run(lab, Batch(tuple((name, s, value) for name, value in shown.items() for s in seconds)))
    assert parts(lab, "suspect")["one/mass_flow"]
    assert parts(lab, "reconciled")["one/mass_flow"] == 0.0


def test_a_backlog_is_taken_on_in_passes_that_last_seconds(laboratory):
    """What a balance costs hangs more on how many intervals there are than on how many meters."""
    lab = laboratory(busbar())
    assert intervals_per_pass(plan_of(load_twin_hub(lab.connection)).balances) <= PARTS_PER_PASS / PARTS_EACH


def test_an_interval_is_closed_once_it_has_ended_and_not_before(laboratory):
    lab = laboratory(busbar())
    lab.bring(*readings()[:1])
    update(lab.dsn, now_at=at(59))
    assert lab.one("SELECT count(*) FROM sidestream.balance") == (0,)
    update(lab.dsn, now_at=at(63))
    assert lab.one("SELECT count(*) FROM sidestream.balance") == (1,)


def test_a_changed_graph_is_computed_as_if_it_had_always_been_so(laboratory):
    lab = laboratory(busbar())
    run(lab, *readings())
    lossy = [
        line("feed", "grid", "bus"),
        line("one", "bus", "first"),
        line("two", "bus", "second", loss={"share_pct": 3, "sd_pct": 30}),
    ]
    apply_hub(lab.dsn, busbar(streams=lossy), lab.folder)
    update_until_clean(lab.dsn, now_at=at(INTERVALS * 60 + 20))
    changed = lab.dump()
    assert parts(lab, "reconciled")["two/heat_loss"] > 0
    lab.clear()
    run(lab, *readings())
    assert lab.dump() == changed


def test_history_from_before_an_upgrade_gets_its_balances_though_the_hub_stays_the_same(laboratory):
    lab = laboratory(busbar())
    run(lab, *readings())
    known = lab.dump()
    lab.connection.execute(  # as the database of a version without balances comes forward
        "TRUNCATE sidestream.balance, sidestream.balance_part, sidestream.balance_node, sidestream.balance_due;"
        "UPDATE sidestream.twin_mark SET balance_rules = NULL"
    )
    run(lab)
    assert lab.dump() == known
    assert update(lab.dsn, now_at=at(INTERVALS * 60 + 20)).steps == 0, "once is enough"
