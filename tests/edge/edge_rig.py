"""Real counterparts of the edge agent: a Mosquitto that can be killed, a hub that acknowledges, a scanner, a Modbus server."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from sidestream_contracts.edge import EdgeFile
from sidestream_contracts.frame import FrameKey, parse_key
from sidestream_contracts.messages import Acknowledgement, Hello, Status
from sidestream_contracts.topics import hello_topic, hub_filter, parse_topic
from sidestream_edge.agent import run

PATIENCE_S = 20.0
MOSQUITTO = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")


def until(condition: Callable[[], Any], what: str, patience_s: float = PATIENCE_S) -> Any:
    """The first true value of `condition`; fails with `what` after the deadline."""
    deadline = time.monotonic() + patience_s
    while not (value := condition()):
        assert time.monotonic() < deadline, f"{what}: not within {patience_s} s"
        time.sleep(0.02)
    return value


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Mosquitto:
    """A broker that forgets everything when it dies."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, max_packet_bytes: int | None = None) -> None:
        limit = f"max_packet_size {max_packet_bytes}\n" if max_packet_bytes else ""
        config = self._folder / "mosquitto.conf"
        config.write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\npersistence false\nmax_queued_messages 0\n"
            f"max_inflight_messages 0\n{limit}"
        )
        with (self._folder / "mosquitto.log").open("ab") as log:
            self._process = subprocess.Popen([str(MOSQUITTO), "-c", str(config)], stdout=log, stderr=log)
        until(self._answers, "broker up")

    def _answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


class FakeHub:
    """Keeps every frame by key like the ledger, and acknowledges what is whole; can be told to stay silent."""

    def __init__(self, port: int, *, silent: bool = False) -> None:
        self.frames: dict[tuple[str, str, int], bytes] = {}
        self.keys: list[FrameKey] = []
        self.order: list[tuple[str, str, int]] = []
        self.clashes: list[FrameKey] = []
        self.statuses: list[Status] = []
        self.expiries: list[int | None] = []
        self.told: list[dict[str, str]] = []
        self.silent = silent
        self._lock = threading.Lock()
        self._client = client = mqtt.Client(CallbackAPIVersion.VERSION2, "hub", protocol=mqtt.MQTTv5)
        client.reconnect_delay_set(1, 1)
        client.on_connect = self._on_connect
        client.on_message = self._on_message
        self.subscribed = threading.Event()
        client.on_subscribe = lambda *_: self.subscribed.set()
        client.connect("127.0.0.1", port)
        client.loop_start()
        assert self.subscribed.wait(PATIENCE_S)

    def _on_connect(self, client: mqtt.Client, *_: Any) -> None:
        client.subscribe([(hub_filter("h", channel), 1) for channel in ("readings", "scans", "status")])
        self.hello()

    def hello(self) -> None:
        body = Hello(worker="w1", at="2026-11-22T12:00:00Z").model_dump_json()
        self._client.publish(hello_topic("h"), body, qos=1)

    def _on_message(self, client: mqtt.Client, _user: Any, message: mqtt.MQTTMessage) -> None:
        _, channel = parse_topic(message.topic)
        if channel == "status":
            self.statuses.append(Status.model_validate_json(message.payload))
            return
        key = parse_key(message.properties.UserProperty)
        with self._lock:
            place = (key.epoch, key.lane, key.seq)
            self.order.append(place)
            self.keys.append(key)
            self.told.append(dict(message.properties.UserProperty))
            self.expiries.append(getattr(message.properties, "MessageExpiryInterval", None))
            if self.frames.setdefault(place, message.payload) != message.payload:
                self.clashes.append(key)
        if not self.silent:
            self.acknowledge(key)

    def acknowledge(self, key: FrameKey) -> None:
        have = {seq for epoch, lane, seq in self.frames if (epoch, lane) == (key.epoch, key.lane)}
        upto = 0
        while upto + 1 in have:
            upto += 1
        also = [(seq, seq) for seq in sorted(have) if seq > upto]
        self.send_ack(Acknowledgement(epoch=key.epoch, lane=key.lane, upto=upto, also=also))

    def send_ack(self, ack: Acknowledgement) -> None:
        self._client.publish("sidestream/v1/h/p/gw/ack", ack.model_dump_json(), qos=0)

    def publish(self, topic: str, payload: bytes) -> None:
        self._client.publish(topic, payload, qos=1)

    def bodies(self) -> list[dict[str, Any]]:
        with self._lock:
            return [json.loads(payload) for payload in self.frames.values()]

    def readings(self) -> list[tuple[str, int, Any, int]]:
        """Every measurement that arrived: (sensor, t, val, q), each frame once."""
        return [
            (body["sensors"][i], t, val, q)
            for body in self.bodies()
            if body["kind"] != "parked"
            for i, t, val, q in zip(body["i"], body["t"], body["val"], body["q"], strict=True)
        ]

    def values(self, sensor: str) -> list[Any]:
        return [val for name, _, val, _ in self.readings() if name == sensor]

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


class ScannerServer:
    """A scanner as it hangs on the wall: a TCP server that sends lines."""

    def __init__(self, port: int = 0) -> None:
        self._server = socket.create_server(("127.0.0.1", port))
        self.port = self._server.getsockname()[1]
        self._peer: socket.socket | None = None

    def wait_for_agent(self) -> None:
        self._server.settimeout(PATIENCE_S)
        self._peer, _ = self._server.accept()

    def send(self, data: bytes) -> None:
        assert self._peer is not None
        self._peer.sendall(data)

    def hang_up(self) -> None:
        if self._peer is not None:
            self._peer.close()
            self._peer = None

    def close(self) -> None:
        self.hang_up()
        self._server.close()


class AgentThread:
    """An agent in this process, for tests that need no kill."""

    def __init__(self, edge: EdgeFile, base: Path, *, until_drained: bool = False) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(
            target=run, args=(edge, base, self._stop), kwargs={"until_drained": until_drained}
        )
        self._thread.start()

    def wait(self, patience_s: float = PATIENCE_S) -> None:
        self._thread.join(patience_s)
        assert not self._thread.is_alive(), "the agent did not end by itself"

    def stop(self) -> float:
        """Stops it and returns how long that took, in s."""
        began_s = time.monotonic()
        self._stop.set()
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()
        return time.monotonic() - began_s


class AgentProcess:
    """An agent as it runs on a gateway, to be killed."""

    def __init__(self, config: Path, *options: str) -> None:
        self._config = config
        self._log = config.with_suffix(".log")
        code = (
            "import sys; from pathlib import Path; from sidestream_edge.agent import serve;"
            "sys.exit(serve(Path(sys.argv[1]), until_drained='drained' in sys.argv))"
        )
        with self._log.open("ab") as log:
            self.process = subprocess.Popen([sys.executable, "-c", code, str(config), *options], stdout=log, stderr=log)

    def log(self) -> str:
        return self._log.read_text()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def end(self) -> int:
        self.process.terminate()
        return self.process.wait(PATIENCE_S)


def edge_file(port: int, *drivers: dict[str, Any], **changes: Any) -> EdgeFile:
    """An edge file of device h/p/gw on a local broker."""
    body = {
        "version": 1,
        "hub": "h",
        "party": "p",
        "device": "gw",
        "broker": {"host": "127.0.0.1", "port": port, "keepalive_s": 5},
        "outbox": {"path": "outbox.sqlite", "journal": True},
        "drivers": list(drivers),
    }
    return EdgeFile.model_validate({**body, **changes})
