"""Both embedded brokers as real servers: what of MQTT 5 the product relies on, checked over the wire with paho."""

from __future__ import annotations

import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import paho.mqtt.client as paho
import psutil
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from sidestream_app.embedded.broker import broker_config, broker_spec, choose_kind, find_mosquitto
from sidestream_app.embedded.broker_config import BrokerKind, max_packet_bytes
from sidestream_app.embedded.ports import LOOPBACK, free_port
from sidestream_app.supervise import Supervisor, unprivileged_account
from sidestream_contracts.errors import ConfigurationError

pytestmark = pytest.mark.server

MAX_PAYLOAD = 100_000
PATIENCE_S = 10.0


@dataclass(frozen=True, slots=True)
class Broker:
    kind: BrokerKind
    port: int
    supervisor: Supervisor

    @property
    def pid(self) -> int:
        return self.supervisor.pids()["broker"]


class Client:
    """A paho client whose callbacks only put what they get into queues."""

    def __init__(self, port: int, name: str, will: tuple[str, bytes] | None = None) -> None:
        self.messages: queue.Queue[paho.MQTTMessage] = queue.Queue()
        self._events: queue.Queue[object] = queue.Queue()
        self.lost = threading.Event()
        self.reading = threading.Event()
        self.reading.set()
        self._paho = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id=name, protocol=paho.MQTTv5)
        self._paho.max_inflight_messages_set(500)
        self._paho.on_connect = lambda _c, _u, _f, reason, properties: self._events.put((reason, properties))
        self._paho.on_subscribe = lambda _c, _u, _m, reasons, _p: self._events.put(reasons)
        self._paho.on_message = self._receive
        self._paho.on_disconnect = lambda *_: self.lost.set()
        if will is not None:
            self._paho.will_set(*will, qos=1, retain=True)
        self._paho.connect(LOOPBACK, port)
        self._paho.loop_start()
        reason, self.connack = self._events.get(timeout=PATIENCE_S)
        assert reason == ReasonCode(PacketTypes.CONNACK, "Success")

    def _receive(self, _client: paho.Client, _data: object, message: paho.MQTTMessage) -> None:
        self.reading.wait(PATIENCE_S)
        self.messages.put(message)

    def subscribe(self, topic: str) -> None:
        self._paho.subscribe(topic, options=SubscribeOptions(qos=1))
        assert all(not reason.is_failure for reason in self._events.get(timeout=PATIENCE_S))

    def publish(self, topic: str, payload: bytes, retain: bool = False, **user: str) -> paho.MQTTMessageInfo:
        properties = Properties(PacketTypes.PUBLISH)
        if user:
            properties.UserProperty = list(user.items())
        return self._paho.publish(topic, payload, qos=1, retain=retain, properties=properties)

    def send(self, topic: str, payload: bytes, retain: bool = False, **user: str) -> None:
        self.publish(topic, payload, retain, **user).wait_for_publish(PATIENCE_S)

    def take(self) -> paho.MQTTMessage:
        return self.messages.get(timeout=PATIENCE_S)

    def cut(self) -> None:
        """Ends the connection without a DISCONNECT, as a power cut does."""
        self._paho.loop_stop()
        self._paho.socket().close()

    def close(self) -> None:
        self._paho.disconnect()
        self._paho.loop_stop()


@pytest.fixture(scope="module", params=list(BrokerKind))
def broker(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    kind = request.param
    if kind is BrokerKind.MOSQUITTO and find_mosquitto() is None:
        pytest.skip("mosquitto is not installed: apt install mosquitto")
    log, port = tmp_path_factory.mktemp(kind) / "broker.log", free_port()
    with Supervisor([broker_spec(port, log, kind=kind, max_payload_bytes=MAX_PAYLOAD)]) as supervisor:
        supervisor.start_all()
        yield Broker(kind, port, supervisor)


@pytest.fixture
def connect(broker: Broker, request: pytest.FixtureRequest) -> Iterator[Callable[..., Client]]:
    clients: list[Client] = []

    def make(name: str, **more: object) -> Client:
        clients.append(Client(broker.port, f"{name}-{request.node.name[:20]}", **more))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def topic(request: pytest.FixtureRequest) -> str:
    """A topic of its own for each test: the broker is shared."""
    return f"t/{request.node.name.split('[')[0]}"


def until(condition: Callable[[], bool], within_s: float = PATIENCE_S) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "condition did not come true in time"
        time.sleep(0.02)


def test_a_frame_arrives_with_its_user_properties(connect, topic) -> None:
    hub, edge = connect("hub"), connect("edge")
    hub.subscribe(f"{topic}/#")
    edge.send(f"{topic}/a", b'{"v":1}', epoch="e1", lane="live", seq="7", hash="ab")
    message = hub.take()
    assert (message.topic, message.payload, message.qos) == (f"{topic}/a", b'{"v":1}', 1)
    assert message.properties.UserProperty == [("epoch", "e1"), ("lane", "live"), ("seq", "7"), ("hash", "ab")]


def test_a_retained_status_reaches_who_subscribes_later(connect, topic) -> None:
    connect("edge").send(topic, b"online", retain=True)
    hub = connect("hub")
    hub.subscribe(topic)
    message = hub.take()
    assert (message.payload, message.retain) == (b"online", True)


def test_a_cut_connection_publishes_the_last_will(connect, topic) -> None:
    hub, edge = connect("hub"), connect("edge", will=(topic, b"offline"))
    hub.subscribe(topic)
    edge.cut()
    assert hub.take().payload == b"offline"


def test_a_shared_subscription_gives_each_message_to_one_member(connect, topic) -> None:
    members = [connect(f"worker{number}") for number in range(2)]
    for member in members:
        member.subscribe(f"$share/ingest/{topic}/#")
    edge = connect("edge")
    for number in range(100):
        edge.send(f"{topic}/x", b"%d" % number)
    until(lambda: sum(member.messages.qsize() for member in members) >= 100)
    got = [[int(member.take().payload) for _ in range(member.messages.qsize())] for member in members]
    assert Counter(got[0] + got[1]) == Counter(range(100))
    assert all(len(share) > 10 for share in got)


def test_payloads_up_to_the_limit_pass_whole(connect, topic) -> None:
    hub, edge = connect("hub"), connect("edge")
    hub.subscribe(topic)
    payload = os.urandom(MAX_PAYLOAD)
    edge.send(topic, payload, epoch="e" * 32, lane="bulk", seq="1", hash="h" * 64)
    assert hub.take().payload == payload


def test_only_mosquitto_announces_its_largest_packet(connect, broker) -> None:
    """What the edge can learn at connect: rumqttd says nothing, so there the limit must come from configuration."""
    announced = getattr(connect("edge").connack, "MaximumPacketSize", None)
    expected = {BrokerKind.MOSQUITTO: max_packet_bytes(MAX_PAYLOAD), BrokerKind.IOTCORE: None}
    assert announced == expected[broker.kind]


def test_a_packet_above_the_limit_is_never_acknowledged(connect, broker, topic) -> None:
    """Its sender is cut off, nobody gets it, and others go on undisturbed."""
    hub, edge = connect("hub"), connect("edge")
    hub.subscribe(topic)
    info = edge.publish(topic, bytes(max_packet_bytes(MAX_PAYLOAD) + 1))
    if info.rc == paho.MQTT_ERR_SUCCESS:
        assert edge.lost.wait(PATIENCE_S)
    assert not info.is_published()
    connect("other").send(topic, b"small")
    assert hub.take().payload == b"small"


def test_thousands_of_messages_to_a_slow_reader_are_all_delivered(connect, topic) -> None:
    """Mosquitto's default keeps 1000 and drops the rest after acknowledging them; our settings do not."""
    hub, edge = connect("hub"), connect("edge")
    hub.subscribe(topic)
    hub.reading.clear()
    infos = [edge.publish(topic, b"%d" % number) for number in range(5_000)]
    for info in infos:
        info.wait_for_publish(PATIENCE_S)
    hub.reading.set()
    assert [int(hub.take().payload) for _ in range(5_000)] == list(range(5_000))


def test_it_listens_on_loopback_only_and_not_as_root(broker) -> None:
    process = psutil.Process(broker.pid)
    listening = [c.laddr for c in process.net_connections("inet") if c.status == psutil.CONN_LISTEN]
    assert [(address.ip, address.port) for address in listening] == [(LOOPBACK, broker.port)]
    account = unprivileged_account()
    assert set(process.uids()) == {account.uid if account is not None else os.getuid()}


def test_the_supervised_process_is_the_broker_itself(broker) -> None:
    expected = {BrokerKind.MOSQUITTO: "mosquitto", BrokerKind.IOTCORE: "python"}
    assert psutil.Process(broker.pid).name().startswith(expected[broker.kind])
    assert psutil.Process(broker.pid).children() == []


def test_after_a_kill_it_is_back_on_the_same_port(broker, connect, topic) -> None:
    before = broker.supervisor.restarts("broker")
    broker.supervisor.kill("broker")
    broker.supervisor.wait_ready("broker", restarts=before + 1)
    hub = connect("hub")
    hub.subscribe(topic)
    connect("edge").send(topic, b"again")
    assert hub.take().payload == b"again"


HOST = """
import sys, time
from pathlib import Path
from sidestream_app.embedded.broker import broker_spec
from sidestream_app.embedded.broker_config import BrokerKind
from sidestream_app.supervise import Supervisor
supervisor = Supervisor([broker_spec(int(sys.argv[1]), Path(sys.argv[2]), kind=BrokerKind(sys.argv[3]))])
supervisor.start_all()
print(supervisor.pids()["broker"], flush=True)
time.sleep(600)
"""


def test_it_ends_with_a_killed_supervisor_though_it_gave_up_root(broker, tmp_path) -> None:
    command = [sys.executable, "-c", HOST, str(free_port()), str(tmp_path / "log"), broker.kind]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as host:
        pid = int(host.stdout.readline())
        host.kill()
    until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE, within_s=1.5)


def test_it_runs_in_the_foreground_until_sigterm(broker) -> None:
    port = free_port()
    command = [sys.executable, "-m", "sidestream_app.embedded.broker", "--port", str(port), "--kind", broker.kind]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        until(lambda: is_open(port))
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=3) in {0, -signal.SIGTERM}
    assert not is_open(port)


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((LOOPBACK, port)) == 0


def test_a_port_in_use_ends_it_with_code_2_and_the_option(broker) -> None:
    command = [sys.executable, "-m", "sidestream_app.embedded.broker", "--port", str(broker.port)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 2
    assert f"Port {broker.port} on 127.0.0.1, wanted for the MQTT broker, is in use" in ran.stderr
    assert "--port" in ran.stderr


def test_a_spec_for_a_port_in_use_names_the_callers_option(broker, tmp_path) -> None:
    with pytest.raises(ConfigurationError, match=rf"Port {broker.port}.*--mqtt-port"):
        broker_spec(broker.port, tmp_path / "log", port_option="--mqtt-port")


@pytest.mark.parametrize("kind", list(BrokerKind))
def test_a_broker_that_lets_everybody_in_never_listens_beyond_loopback(kind) -> None:
    with pytest.raises(ConfigurationError, match=r"listens on loopback only, not on 0\.0\.0\.0"):
        broker_config(kind, "0.0.0.0", 1883, MAX_PAYLOAD)
    with pytest.raises(ConfigurationError, match="at least 1"):
        broker_config(kind, LOOPBACK, 1883, 0)


def test_mosquitto_is_preferred_and_asked_for_in_vain_only_with_a_way_out(monkeypatch) -> None:
    monkeypatch.setattr("sidestream_app.embedded.broker.find_mosquitto", lambda: Path("/usr/sbin/mosquitto"))
    assert choose_kind() is BrokerKind.MOSQUITTO
    assert choose_kind(BrokerKind.IOTCORE) is BrokerKind.IOTCORE
    monkeypatch.setattr("sidestream_app.embedded.broker.find_mosquitto", lambda: None)
    assert choose_kind() is BrokerKind.IOTCORE
    with pytest.raises(ConfigurationError, match="apt install mosquitto"):
        choose_kind(BrokerKind.MOSQUITTO)
