"""A real edge node (Eclipse Tahu's client) on a real Mosquitto: births, aliases, a lost message, deaths, reconnection."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from edge_rig import edge_file, until
from paho.mqtt.enums import CallbackAPIVersion

from sidestream_edge.drivers.sparkplug import rebirths

pytestmark = pytest.mark.server
FOLDER = Path(__file__).parent / "sparkplug"


class EdgeNode:
    """Tahu's client in its own process, told what to do line by line."""

    def __init__(self, port: int, log: Path) -> None:
        command = ["node", str(FOLDER / "node.js"), str(port), "G", "N1"]
        self._log = log
        with log.open("ab") as out:
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=out, stderr=out)
        until(lambda: "connected" in log.read_text(), "the edge node is connected")

    def tell(self, *lines: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("".join(f"{line}\n" for line in lines).encode())
        self.process.stdin.flush()

    @property
    def rebirths(self) -> int:
        return self._log.read_text().count("rebirth")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        if self.process.stdin is not None:
            self.process.stdin.close()


@pytest.fixture
def edge_node(mosquitto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EdgeNode]:
    if shutil.which("node") is None or not (FOLDER / "node_modules").exists():
        pytest.skip("sparkplug-client is not installed: make setup-node")
    monkeypatch.setattr(rebirths, "FIRST_S", 0.2)
    mosquitto.start()
    node = EdgeNode(mosquitto.port, tmp_path / "node.log")
    yield node
    node.kill()


def plant(**changes: Any) -> dict:
    sensors = [
        {"id": "load", "node": "N1", "metric": "load"},
        {"id": "temp", "node": "N1", "device": "D1", "metric": "temp"},
        {"id": "flow", "node": "N1", "device": "D1", "metric": "flow", "scale": 10},
    ]
    return {"id": "plant", "type": "sparkplug", "group": "G", "host_id": "hub", "sensors": sensors, **changes}


def told(hub) -> dict:
    found = [driver.model_dump() for driver in hub.statuses[-1].drivers if driver.id == "plant"] if hub.statuses else []
    return found[0] if found else {"counters": {}, "notes": [], "rejected": []}


def started(hub) -> None:
    until(lambda: {s for s, _, _, _ in hub.readings()} == {"load", "temp", "flow"}, "the births that were asked for")


def test_births_aliases_units_and_kinds_of_values(mosquitto, edge_node, hub_on, agent):
    hub = hub_on()
    agent(edge_file(mosquitto.port, plant()))
    started(hub)
    assert edge_node.rebirths >= 1
    began_us = time.time_ns() // 1000
    edge_node.tell("temp 21.5", "flow 2", "load 3", "historical 7", "null", "odd")
    until(lambda: 990.0 in hub.values("flow"), "all of them")
    until(lambda: 7.0 in hub.values("temp"), "the historical one")
    assert {21.5, 7.0, None} <= set(hub.values("temp"))
    assert {20.0, 990.0} <= set(hub.values("flow"))
    assert 3.0 in hub.values("load")
    times = {val: (t, q) for sensor, t, val, q in hub.readings() if sensor == "temp"}
    assert times[7.0][0] < began_us - 3_500_000_000
    assert times[None][1] == 2
    assert {key.lane for key in hub.keys if b"7.0" in hub.frames[key.epoch, key.lane, key.seq]} >= {"bulk"}
    until(lambda: told(hub)["rejected"], "the text is refused", 15)
    assert "String" in told(hub)["rejected"][0]["last"]
    until(lambda: any("label" in note for note in told(hub)["notes"]) or told(hub)["notes"], "what is not mapped", 15)
    assert {s.id: s.unit for s in hub.statuses[-1].sensors if s.unit} == {"temp": "Cel"}


def test_a_lost_message_leads_to_a_rebirth_and_never_to_a_wrong_metric(mosquitto, edge_node, hub_on, agent):
    """The aliases of temp and flow are swapped by a birth that is lost: their values must not change places."""
    hub = hub_on()
    agent(edge_file(mosquitto.port, plant()))
    started(hub)
    asked = edge_node.rebirths
    edge_node.tell("temp 100", "flow 200", "swap", "lose", "temp 101", "flow 201")
    until(lambda: edge_node.rebirths > asked, "a rebirth was asked for")
    edge_node.tell("temp 102", "flow 202")
    until(lambda: 102.0 in hub.values("temp") and 2020.0 in hub.values("flow"), "data after the rebirth")
    assert set(hub.values("temp")) <= {0.0, 100.0, 101.0, 102.0}
    assert set(hub.values("flow")) <= {0.0, 2000.0, 2010.0, 2020.0}
    readings = hub.readings()
    assert len(readings) == len(set(readings))


def test_death_makes_values_bad_and_a_new_session_makes_them_good_again(mosquitto, edge_node, hub_on, agent, tmp_path):
    hub = hub_on()
    agent(edge_file(mosquitto.port, plant()))
    started(hub)
    edge_node.tell("device-death")
    until(lambda: (hub.values("temp")[-1], hub.values("flow")[-1]) == (None, None), "the device is dead")
    assert None not in hub.values("load")
    edge_node.kill()
    until(lambda: hub.values("load")[-1] is None, "the node is dead")
    assert {q for _, _, val, q in hub.readings() if val is None} == {2}
    again = EdgeNode(mosquitto.port, tmp_path / "again.log")
    again.tell("temp 5")
    until(lambda: hub.values("temp")[-1] == 5.0, "alive again")
    again.kill()


def test_the_host_says_that_it_is_there_and_when_it_goes(mosquitto, edge_node, hub_on, agent):
    states: list[dict] = []
    watcher = mqtt.Client(CallbackAPIVersion.VERSION2, "watcher", protocol=mqtt.MQTTv5)
    watcher.on_connect = lambda client, *_: client.subscribe("spBv1.0/STATE/hub", 1)
    watcher.on_message = lambda *args: states.append(json.loads(args[2].payload))
    watcher.connect("127.0.0.1", mosquitto.port)
    watcher.loop_start()
    hub = hub_on()
    one = agent(edge_file(mosquitto.port, plant()))
    until(lambda: states and states[-1]["online"], "STATE online")
    one.stop()
    until(lambda: not states[-1]["online"], "STATE offline")
    assert states[-1]["timestamp"] == states[0]["timestamp"]
    watcher.disconnect()
    watcher.loop_stop()
    assert hub.statuses
