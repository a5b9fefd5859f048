"""A frame that the broker will not carry is parked and reported; it never makes an endless reconnect and delays nobody."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from edge_rig import FakeHub, edge_file, free_port, until

from sidestream_app.embedded.broker import broker_spec
from sidestream_app.embedded.broker_config import BrokerKind
from sidestream_app.supervise import Supervisor
from sidestream_contracts.frame import payload_hash
from sidestream_edge.framing import scans_payload
from sidestream_edge.measurement import Scan
from sidestream_edge.outbox import Draft, Outbox

pytestmark = pytest.mark.server


def fill(folder: Path, *sizes: int) -> list[bytes]:
    """Frames of about `sizes` bytes as an earlier run has left them."""
    payloads = [
        scans_payload([Scan("s", k, f"{n}-{k}" + "x" * 480) for k in range(max(1, size // 500))], "live")
        for n, size in enumerate(sizes)
    ]
    outbox = Outbox(folder / "outbox.sqlite")
    outbox.append([Draft("scan", "scans", payload) for payload in payloads])
    outbox.close()
    return payloads


def scan_file(folder: Path, text: str) -> dict:
    (folder / "scans.txt").write_text(text)
    return {"id": "gate", "type": "scanner", "source": "scans.txt", "sensor": "gate-qr"}


def parked_originals(folder: Path) -> list[bytes]:
    with closing(sqlite3.connect(folder / "outbox.sqlite")) as db:
        return [row[0] for row in db.execute("SELECT payload FROM parked ORDER BY seq")]


def test_above_the_announced_limit_a_frame_is_parked_under_its_key_and_neighbours_pass(
    mosquitto, hub_on, agent, tmp_path
):
    mosquitto.start(max_packet_bytes=20_000)
    hub = hub_on()
    payloads = fill(tmp_path, 1000, 60_000, 2000)
    agent(edge_file(mosquitto.port, scan_file(tmp_path, "new\n")))
    until(lambda: hub.values("gate-qr") == ["new"], "the new scan")
    assert sorted(body["kind"] for body in hub.bodies()) == ["parked", "scans", "scans", "scans"]
    (stand_in,) = [body for body in hub.bodies() if body["kind"] == "parked"]
    assert stand_in["hash"] == payload_hash(payloads[1])
    assert (stand_in["bytes"], stand_in["limit"]) == (len(payloads[1]), 20_000)
    assert parked_originals(tmp_path) == [payloads[1]]
    until(lambda: hub.statuses and hub.statuses[-1].parked == 1, "told in the status")


def test_new_frames_are_made_to_fit_the_announced_limit(mosquitto, hub_on, agent, tmp_path):
    mosquitto.start(max_packet_bytes=5000)
    hub = hub_on()
    edge = edge_file(mosquitto.port, scan_file(tmp_path, ""))
    agent(edge)
    until(lambda: hub.statuses, "connected")
    with (tmp_path / "scans.txt").open("a") as out:
        out.writelines(f"{n}-{'x' * 400}\n" for n in range(100))
    until(lambda: len(hub.values("gate-qr")) == 100, "all scans")
    assert max(len(payload) for payload in hub.frames.values()) < 5000
    assert parked_originals(tmp_path) == []


def test_a_broker_that_just_hangs_up_is_found_out_and_everything_else_arrives(agent, tmp_path):
    """rumqttd does not announce its limit, it ends the connection: after three trials the frame is parked."""
    port = free_port()
    spec = broker_spec(port, tmp_path / "broker.log", kind=BrokerKind.IOTCORE, max_payload_bytes=12_000)
    with Supervisor([spec]) as supervisor:
        supervisor.start_all()
        payloads = fill(tmp_path, 1000, 60_000, 2000, 50_000)
        hub = FakeHub(port)
        agent(edge_file(port, scan_file(tmp_path, "new\n")))
        until(lambda: hub.values("gate-qr") == ["new"], "the new scan")
        until(lambda: len(hub.frames) == 5, "all keys")
        hub.close()
    assert sorted(body["kind"] for body in hub.bodies()) == ["parked", "parked", "scans", "scans", "scans"]
    assert parked_originals(tmp_path) == [payloads[1], payloads[3]]
