"""The demo hub's balances close on the simulator's truth, and a meter that is made wrong is the one that is named."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from twin_lab import NOON, Batch, Lab

from sidestream_app.balance_text import interval_lines
from sidestream_contracts.hub import HubFile
from sidestream_contracts.hubcheck import load_hub
from sidestream_simulators.hubs import example_hub
from sidestream_simulators.meters import Meters
from sidestream_simulators.physics import plant_for
from sidestream_store.read.balances import interval_at
from sidestream_twin.update import update_until_clean

pytestmark = pytest.mark.server

MINUTES = 5
DT_S = 1.0


@pytest.fixture(scope="module")
def hub() -> HubFile:
    return load_hub(example_hub("kvinesdal-like").hub_path)


def simulated(hub: HubFile, seed: int, **biases: float) -> tuple[list[Batch], dict[str, float]]:
    """What meters and scanners say in a few minutes, one reading a second, and the true mean heat of each stream, W."""
    sensors = [s.id for s in hub.sensors if s.role not in ("scan", "other")]
    plant, meters = plant_for(hub, seed), Meters(hub, sensors, seed, {})
    meters.make_wrong(biases)
    gates = {s.node: s.id for s in hub.sensors if s.role == "scan"}
    batches: list[Batch] = []
    true: dict[str, list[float]] = {}
    for minute in range(MINUTES):
        readings, scans = [], []
        for s in range(minute * 60, minute * 60 + 60):
            snapshot = plant.step(NOON.timestamp() + s + DT_S, DT_S)
            meters.advance(snapshot, DT_S)
            readings += [(name, s + 0.5, value) for name, value in meters.read().items()]
            scans += [(gates[scan.node], s + 0.5, scan.code) for scan in snapshot.scans if scan.node in gates]
            for stream, watts in snapshot.heat_flows_w().items():
                true.setdefault(stream, []).append(watts)
        batches.append(Batch(tuple(readings), tuple(scans)))
    return batches, {stream: sum(watts[60:-60]) / len(watts[60:-60]) for stream, watts in true.items()}


def rows(lab: Lab, query: str) -> list[tuple[Any, ...]]:
    return lab.connection.execute(query).fetchall()


def test_balances_close_and_reconciled_heat_is_nearer_to_the_truth(laboratory, hub):
    squares: dict[str, list[float]] = {"measured": [], "reconciled": []}
    lab = laboratory(hub)
    for seed in (1, 2):
        lab.clear()
        batches, true = simulated(hub, seed)
        lab.bring(*batches)
        report = update_until_clean(lab.dsn, now_at=NOON + timedelta(minutes=MINUTES, seconds=5))
        assert not report.problems
        assert min(rows(lab, "SELECT redundancy FROM sidestream.balance WHERE balance = 'energy'")) == (6,)
        assert not rows(lab, "SELECT subject FROM sidestream.balance_part WHERE suspect")
        assert not rows(lab, "SELECT node, time, imbalance FROM sidestream.balance_node WHERE NOT closes")
        for stream, measured, reconciled in rows(
            lab,
            "SELECT subject, avg(measured), avg(reconciled) FROM sidestream.balance_part WHERE quantity = 'heat_flow'"
            " AND knowledge = 'redundant' AND time > (SELECT min(time) FROM sidestream.balance)"
            " AND time < (SELECT max(time) FROM sidestream.balance) GROUP BY 1",
        ):
            squares["measured"].append((measured / true[stream] - 1) ** 2)
            squares["reconciled"].append((reconciled / true[stream] - 1) ** 2)
    assert sum(squares["reconciled"]) < 0.8 * sum(squares["measured"])


def test_a_heat_meter_that_reads_too_much_is_named(laboratory, hub):
    lab = laboratory(hub)
    batches, _ = simulated(hub, 1, **{"net-intake-flow": 9.0})
    lab.bring(*batches)
    update_until_clean(lab.dsn, now_at=NOON + timedelta(minutes=MINUTES, seconds=5))
    named = rows(lab, "SELECT DISTINCT subject, quantity FROM sidestream.balance_part WHERE suspect")
    assert named == [("net-intake", "heat_flow")]
    told = interval_at(lab.connection)
    assert told is not None
    text = "\n".join(interval_lines(told))
    assert "Suspect: net-intake/heat_flow (sensors net-intake-flow, net-intake-ts, net-intake-tr) shows" in text
    assert "kW too much; its readings are left out of the balance." in text
    assert "bag-store/stock_change can't be known: it has no meter" in text or "slag-silo" in text
    assert "energy, 2026-11-20" in text
