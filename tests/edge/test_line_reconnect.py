"""A scanner on the network and a broker of others through the reconnect matrix."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from edge_rig import MOSQUITTO, free_port
from paho.mqtt.enums import CallbackAPIVersion
from reconnect_rig import MATRIX, ServerProcess, Subject

pytestmark = pytest.mark.server
SCANNER = """
import socket, sys, threading, time
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print("ready", flush=True)
while True:
    peer, _ = server.accept()
    try:
        for n in range(100000):
            peer.sendall(b"BAG-%d\\r\\n" % n)
            time.sleep(0.05)
    except OSError:
        peer.close()
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Callable[..., ServerProcess]]:
    made: list[ServerProcess] = []

    def make(*command: str, ready: str) -> ServerProcess:
        made.append(ServerProcess(command, tmp_path / "server.log", ready=ready))
        return made[-1]

    yield make
    for one in made:
        one.kill()


@pytest.mark.parametrize("case", MATRIX)
def test_a_scanner_on_the_network_comes_back(case, server, tmp_path):
    port = free_port()
    section = {
        "id": "gate",
        "type": "scanner",
        "source": f"tcp://127.0.0.1:{port}",
        "sensor": "codes",
        "timeout_s": 0.5,
    }
    process = server(sys.executable, "-c", SCANNER, str(port), ready="ready")
    MATRIX[case](Subject(process, section, tmp_path, named="gate", tells_outage=False, tells_silence=False))


@pytest.fixture
def device() -> Iterator[Callable[[int], Callable[[], None]]]:
    """A device of others that publishes ten times a second whenever the broker is there."""
    made: list[mqtt.Client] = []

    def connect(port: int) -> Callable[[], None]:
        client = mqtt.Client(CallbackAPIVersion.VERSION2, "device", protocol=mqtt.MQTTv311)
        client.reconnect_delay_set(1, 1)
        client.connect_async("127.0.0.1", port, keepalive=5)
        client.loop_start()
        made.append(client)
        last_s = [0.0]

        def publish() -> None:
            if client.is_connected() and time.monotonic() - last_s[0] > 0.1:
                last_s[0] = time.monotonic()
                client.publish("meter/1", "21.5", qos=1)

        return publish

    yield connect
    for client in made:
        client.disconnect()
        client.loop_stop()


@pytest.mark.parametrize("case", MATRIX)
def test_a_broker_of_others_comes_back(case, server, device, tmp_path):
    if MOSQUITTO is None:
        pytest.skip("mosquitto is not installed: apt install mosquitto")
    port = free_port()
    config = tmp_path / "mosquitto.conf"
    config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\n")
    section = {
        "id": "site", "type": "mqtt", "broker": {"host": "127.0.0.1", "port": port, "keepalive_s": 1},
        "topics": [{"topic": "meter/1", "sensors": [{"id": "temp"}]}],
    }  # fmt: skip
    broker = server(str(MOSQUITTO), "-c", str(config), ready="running")
    MATRIX[case](Subject(broker, section, tmp_path, named="127.0.0.1", stimulate=device(port), tells_outage=False))
