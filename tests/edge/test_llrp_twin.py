"""Fault 30 through the whole chain: reader → agent → broker → ingest → database → twin gives one custody event, no exit."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest
from edge_rig import until
from hub_files import TEST_HUB, test_hub
from llrp_rig import ReaderThread
from test_llrp_driver import flapping

from sidestream_contracts.edge import EdgeFile
from sidestream_edge.agent import run
from sidestream_simulators.rfid_portal import PortalRead, sgtin
from sidestream_store.hub_apply import apply_hub
from sidestream_twin.update import update_until_clean

pytestmark = pytest.mark.server

PALLET, CODE = sgtin(1), "urn:epc:id:sgtin:0614141.812345.1"
BESIDE, BESIDE_CODE = sgtin(2), "urn:epc:id:sgtin:0614141.812345.2"
NODES = [
    {"id": "hall", "party": "a", "kind": "store", "name": "Hall"},
    {"id": "yard", "party": "a", "kind": "store", "name": "Yard"},
]
SENSORS = [
    {"id": name, "device": "gw", "name": name, "quantity": "scan", "role": "scan", "node": node}
    for name, node in (("dock-in", "hall"), ("dock-out", "yard"))
] + [
    {"id": f"dock-raw-{n}", "device": "gw", "name": f"Raw {n}", "quantity": "scan", "role": "other", "node": "yard"}
    for n in (1, 2)
]
LOT = {"id": "pallet", "name": "Pallet", "prefix": "urn:epc:id:sgtin:0614141.812345.", "material": "slag",
       "mass_kg": 500, "sd_kg": 5}  # fmt: skip
DOCK = {
    "id": "dock", "type": "llrp", "host": "127.0.0.1", "smoothing": {"epoch_s": 0.1, "delta": 1e-4}, "keep_raw": True,
    "places": [{"id": "outside", "antennas": [1]}, {"id": "inside", "antennas": [2]}],
    "passages": [{"from": "outside", "to": "inside", "sensor": "dock-in"},
                 {"from": "inside", "to": "outside", "sensor": "dock-out"}],
}  # fmt: skip


@pytest.fixture
def hub_side(database, broker, tmp_path) -> Iterator[int]:
    """Ingest as a user starts it, with a hub that knows the gate; the broker's port."""
    hub = test_hub(
        nodes=[*TEST_HUB["nodes"], *NODES], sensors=[*TEST_HUB["sensors"], *SENSORS], lots=[*TEST_HUB["lots"], LOT]
    )
    apply_hub(database, hub, tmp_path)
    command = [sys.executable, "-m", "sidestream_app", "ingest", "run", "--dsn", database, "--broker-port"]
    with (tmp_path / "ingest.log").open("wb") as log:
        ingest = subprocess.Popen([*command, str(broker[1])], stderr=log)
    yield broker[1]
    ingest.kill()
    ingest.wait()


@pytest.fixture
def gate(hub_side, tmp_path) -> Iterator[ReaderThread]:
    """An LLRP reader that an agent reads."""
    reader = ReaderThread()
    edge = EdgeFile.model_validate(
        {"version": 1, "hub": "h", "party": "a", "device": "gw", "broker": {"host": "127.0.0.1", "port": hub_side},
         "drivers": [{**DOCK, "port": reader.port}]}
    )  # fmt: skip
    stop = threading.Event()
    agent = threading.Thread(target=run, args=(edge, tmp_path, stop))
    agent.start()
    yield reader
    stop.set()
    agent.join(20)
    reader.stop()
    assert not agent.is_alive()


def test_a_pallet_that_is_driven_in_with_four_hundred_flapping_reads_is_one_custody_event(gate, database, connect):
    gate.until_reading()
    outside, inside = flapping(PALLET, 1, 200, seed=1), flapping(PALLET, 2, 200, seed=2)
    later_s = outside[-1].t_s
    beside = flapping(BESIDE, 1, 200, seed=3)
    gate.play(sorted([*outside, *beside, *(PortalRead(later_s + r.t_s, *r[1:]) for r in inside)]))
    connection = connect()
    raw = "SELECT count(*) FROM sidestream_v.scan WHERE sensor LIKE 'dock-raw-%'"
    until(lambda: connection.execute(raw).fetchone() == (600,), "all raw reads are in the database", 60.0)
    events = "SELECT code, sensor, quality FROM sidestream_v.scan WHERE sensor IN ('dock-in', 'dock-out')"
    until(lambda: connection.execute(events).fetchall(), "the passage is in the database", 60.0)
    update_until_clean(database)
    assert connection.execute(events).fetchall() == [(CODE, "dock-in", 0)]
    stays = connection.execute("SELECT code, place, left_at, scans FROM sidestream_v.lot_stay").fetchall()
    assert stays == [(CODE, "hall", None, 1)]
    lots = connection.execute("SELECT code, lot_type, place FROM sidestream_v.lot").fetchall()
    assert lots == [(CODE, "pallet", "hall")]
