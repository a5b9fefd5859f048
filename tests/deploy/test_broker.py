"""The broker's own files on a real Mosquitto: who gets in, who may say what, and that nothing queued is dropped."""

from __future__ import annotations

import os
import queue
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from sidestream_app.embedded.broker_config import DEFAULT_MAX_PAYLOAD_BYTES, mosquitto_config
from sidestream_app.embedded.ports import LOOPBACK, free_port

FILES = Path(__file__).parents[2] / "deploy/mosquitto"
PATIENCE_S = 20.0
PASSWORDS = {
    "ingest": "pw-ingest",
    "publish": "pw-publish",
    "smelter/gw-smelter": "pw-smelter",
    "farm/gw-farm": "pw-farm",
    "farm/gw-2": "pw-2",
}
SEARCH = f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin"
GATEWAY, OTHER = "sidestream/v1/hub/smelter/gw-smelter", "sidestream/v1/hub/farm/gw-farm"


@dataclass(frozen=True, slots=True)
class Broker:
    gateway_port: int
    hub_port: int
    run_dir: Path
    log: Path


class Client:
    """An MQTT 5 client; `refused` says why the broker would not let it in."""

    def __init__(self, port: int, user: str | None, password: str | None, name: str = "", keep_s: int = 0) -> None:
        self.messages: queue.Queue[paho.MQTTMessage] = queue.Queue()
        self._events: queue.Queue[object] = queue.Queue()
        self._outcomes: queue.Queue[str] = queue.Queue()
        self.dropped: queue.Queue[str] = queue.Queue()
        self._paho = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id=name, protocol=paho.MQTTv5)
        self._paho.max_inflight_messages_set(1000)
        if user is not None:
            self._paho.username_pw_set(user, password)
        self._paho.on_connect = lambda _c, _u, _f, reason, _p: self._events.put(str(reason))
        self._paho.on_subscribe = lambda _c, _u, _m, reasons, _p: self._events.put([str(r) for r in reasons])
        self._paho.on_message = lambda _c, _u, message: self.messages.put(message)
        self._paho.on_publish = lambda _c, _u, _m, reason, _p: self._outcomes.put(str(reason))
        self._paho.on_disconnect = self._lost
        session = Properties(PacketTypes.CONNECT)
        session.SessionExpiryInterval = keep_s
        self._paho.connect(LOOPBACK, port, clean_start=keep_s == 0, properties=session)
        self._paho.loop_start()
        self.answer = self._events.get(timeout=PATIENCE_S)

    def _lost(self, _client: paho.Client, _data: object, _flags: object, reason: object, _properties: object) -> None:
        self.dropped.put(str(reason))
        self._outcomes.put("dropped")

    def subscribe(self, topic: str) -> None:
        self._paho.subscribe(topic, options=SubscribeOptions(qos=1))
        self._events.get(timeout=PATIENCE_S)

    def publish(self, topic: str, payload: bytes) -> paho.MQTTMessageInfo:
        return self._paho.publish(topic, payload, qos=1)

    def send(self, topic: str, payload: bytes) -> None:
        info = self.publish(topic, payload)
        info.wait_for_publish(PATIENCE_S)
        assert info.is_published()

    def retain(self, topic: str, payload: bytes) -> None:
        self._paho.publish(topic, payload, qos=1, retain=True).wait_for_publish(PATIENCE_S)

    def try_to_send(self, topic: str, payload: bytes) -> str:
        """What came of it: the reason in the acknowledgement, or `dropped` (2.0.11 also closes the connection)."""
        self.publish(topic, payload)
        return self._outcomes.get(timeout=PATIENCE_S)

    def take(self) -> bytes:
        return self.messages.get(timeout=PATIENCE_S).payload

    def close(self) -> None:
        self._paho.disconnect()
        self._paho.loop_stop()


def run_start(folder: Path, config: Path, **more: str) -> dict[str, str]:
    return {
        "PATH": SEARCH,
        "RUN_DIR": str(folder),
        "CONFIG": str(config),
        "INGEST_PASSWORD": PASSWORDS["ingest"],
        "PUBLISH_PASSWORD": PASSWORDS["publish"],
        "EDGE_USER": "smelter/gw-smelter",
        "EDGE_PASSWORD": PASSWORDS["smelter/gw-smelter"],
        "MORE_EDGES": "farm/gw-farm:pw-farm farm/gw-2:pw-2",
        **more,
    }


def placed(folder: Path, gateway_port: int, hub_port: int) -> Path:
    """mosquitto.conf for this machine: the same lines with other ports and folders, and no change of user."""
    text = (FILES / "mosquitto.conf").read_text(encoding="utf-8")
    for old, new in (
        ("listener 1883", f"listener {gateway_port} {LOOPBACK}"),
        ("listener 1884", f"listener {hub_port} {LOOPBACK}"),
        ("/run/mosquitto", str(folder)),
    ):
        assert old in text
        text = text.replace(old, new)
    config = folder / "mosquitto.conf"
    config.write_text(text + ("user root\n" if os.geteuid() == 0 else ""), encoding="utf-8")
    return config


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    if shutil.which("mosquitto", path=SEARCH) is None:
        pytest.skip("mosquitto is not installed: apt install mosquitto")
    folder = tmp_path_factory.mktemp("mosquitto")
    found = Broker(free_port(), free_port(), folder, folder / "log")
    env = run_start(folder, placed(folder, found.gateway_port, found.hub_port))
    with found.log.open("wb") as log, subprocess.Popen(["sh", FILES / "start.sh"], env=env, stderr=log) as process:
        until(lambda: all(is_open(port) for port in (found.gateway_port, found.hub_port)), process, found.log)
        yield found
        process.terminate()


def until(condition: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.02)


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((LOOPBACK, port)) == 0


@pytest.fixture
def connect(broker: Broker) -> Iterator[Callable[..., Client]]:
    clients: list[Client] = []

    def make(user: str | None, password: str | None = None, **more: object) -> Client:
        port = broker.hub_port if user in {"ingest", "publish"} else broker.gateway_port
        clients.append(Client(port, user, PASSWORDS.get(user or "") if password is None else password, **more))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


def test_its_limits_are_those_of_the_embedded_broker() -> None:
    """What was measured and tested there holds here."""
    names = (
        "max_queued_messages",
        "max_queued_bytes",
        "max_inflight_messages",
        "max_packet_size",
        "persistence",
        "set_tcp_nodelay",
    )
    embedded = mosquitto_config(LOOPBACK, 1883, DEFAULT_MAX_PAYLOAD_BYTES)
    ours = (FILES / "mosquitto.conf").read_text(encoding="utf-8")
    for name in names:
        pattern = re.compile(rf"^{name} (.*)$", re.MULTILINE)
        assert pattern.findall(ours) == pattern.findall(embedded) != []


@pytest.mark.server
@pytest.mark.parametrize("user", PASSWORDS)
def test_whoever_has_a_password_gets_in_with_it_and_not_with_another(connect, user) -> None:
    assert connect(user).answer == "Success"
    assert connect(user, "wrong").answer == "Not authorized"


@pytest.mark.server
def test_nobody_gets_in_without_a_login(connect) -> None:
    assert connect(None).answer == "Not authorized"
    assert connect("stranger", "").answer == "Not authorized"


@pytest.mark.server
def test_a_gateway_is_heard_by_ingest_and_hears_its_acknowledgement(connect) -> None:
    ingest, gateway = connect("ingest"), connect("smelter/gw-smelter")
    for channel in ("readings", "scans"):
        ingest.subscribe(f"$share/ingest/sidestream/v1/hub/+/+/{channel}")
    for topic in (f"{GATEWAY}/ack", f"{GATEWAY}/cmd", "sidestream/v1/hub/hello"):
        gateway.subscribe(topic)
    gateway.send(f"{GATEWAY}/readings", b"frame")
    assert ingest.take() == b"frame"
    gateway.send(f"{GATEWAY}/scans", b"scan")
    assert ingest.take() == b"scan"
    for topic, payload in ((f"{GATEWAY}/ack", b"ack"), (f"{GATEWAY}/cmd", b"cmd"), ("sidestream/v1/hub/hello", b"hi")):
        ingest.send(topic, payload)
        assert gateway.take() == payload


@pytest.mark.server
def test_a_gateway_neither_speaks_for_another_nor_listens_to_it(connect) -> None:
    """The broker's answer to a subscription is no proof (it may say Granted), so delivery is looked at."""
    ingest, gateway, thief = connect("ingest"), connect("smelter/gw-smelter"), connect("farm/gw-farm")
    ingest.subscribe("sidestream/v1/hub/+/+/readings")
    for topic in (f"{GATEWAY}/readings", f"{GATEWAY}/status", f"{OTHER}/ack", "sidestream/v1/hub/hello"):
        forger = connect("farm/gw-2")
        assert forger.try_to_send(topic, b"forged") in {"Not authorized", "dropped"}
        forger.close()
    for topic in (f"{GATEWAY}/readings", f"{GATEWAY}/ack", "#"):
        thief.subscribe(topic)
    gateway.send(f"{GATEWAY}/readings", b"true")
    ingest.send(f"{GATEWAY}/ack", b"not for the thief")
    ingest.send(f"{OTHER}/ack", b"for the thief")
    assert ingest.take() == b"true"
    assert thief.take() == b"for the thief"
    assert thief.messages.empty()


FIGURE = "sidestream/v1/hub/{}/twin/stream/heat/heat_flow"


@pytest.mark.server
def test_a_party_reads_its_own_figures_and_no_others(connect) -> None:
    """Those that lie retained, and those that come; asked for by name and by every filter that could reach them."""
    publish, early = connect("publish"), connect("smelter/gw-smelter")
    for filter_ in (FIGURE.format("smelter"), FIGURE.format("farm"), "sidestream/v1/hub/+/twin/#", "sidestream/#", "#"):
        early.subscribe(filter_)
    publish.send(FIGURE.format("farm"), b"not for the smelter")
    publish.send(FIGURE.format("smelter"), b"now")
    publish.retain(FIGURE.format("farm"), b"lying: not for the smelter")
    publish.retain(FIGURE.format("smelter"), b"lying")
    heard = [early.take()]
    while heard[-1] != b"lying":
        heard.append(early.take())
    late, owner = connect("smelter/gw-smelter"), connect("farm/gw-2")
    late.subscribe("sidestream/v1/hub/+/twin/#")
    owner.subscribe("sidestream/v1/hub/farm/twin/#")
    assert late.take() == b"lying"
    assert owner.take() == b"lying: not for the smelter"
    assert late.messages.empty()
    assert owner.messages.empty()
    while not early.messages.empty():  # a copy for each filter that matches
        heard.append(early.take())
    assert set(heard) == {b"now", b"lying"}
    for party in ("smelter", "farm"):
        publish.retain(FIGURE.format(party), b"")


@pytest.mark.server
@pytest.mark.parametrize("user", ["ingest", "smelter/gw-smelter"])
def test_only_the_publisher_writes_figures_and_it_writes_nothing_else(connect, user) -> None:
    for party in ("smelter", "farm"):
        forger = connect(user)
        assert forger.try_to_send(FIGURE.format(party), b"forged") in {"Not authorized", "dropped"}
        forger.close()
    for topic in (f"{GATEWAY}/readings", f"{GATEWAY}/ack", "sidestream/v1/hub/hello"):
        publish = connect("publish")
        assert publish.try_to_send(topic, b"forged") in {"Not authorized", "dropped"}
        publish.close()


@pytest.mark.server
def test_a_gateway_cannot_throw_another_off_with_its_client_id(connect) -> None:
    gateway = connect("smelter/gw-smelter", name="hub.smelter.gw-smelter")
    assert connect("farm/gw-farm", name="smelter/gw-smelter").answer == "Success"
    assert connect("farm/gw-2", name="hub.smelter.gw-smelter").answer == "Success"
    gateway.subscribe(f"{GATEWAY}/ack")
    connect("ingest").send(f"{GATEWAY}/ack", b"still here")
    assert gateway.take() == b"still here"
    assert gateway.dropped.empty()


@pytest.mark.server
def test_of_two_gateways_with_one_login_the_second_takes_over(connect) -> None:
    """Whatever their client ids are. (The reason that the client library tells differs with Mosquitto's version.)"""
    first = connect("farm/gw-2", name="a")
    assert connect("farm/gw-2", name="b").answer == "Success"
    first.dropped.get(timeout=PATIENCE_S)


@pytest.mark.server
def test_several_ingest_workers_are_connected_at_once(connect) -> None:
    workers = [connect("ingest", name=f"worker-{number}") for number in range(3)]
    for worker in workers:
        worker.subscribe("sidestream/v1/hub/+/+/status")
    connect("smelter/gw-smelter").send(f"{GATEWAY}/status", b"online")
    assert [worker.take() for worker in workers] == [b"online"] * 3


@pytest.mark.server
def test_thousands_of_messages_for_a_subscriber_that_is_away_wait_for_it(connect) -> None:
    """Mosquitto's default keeps 1000 and drops the rest after acknowledging them."""
    ingest = connect("ingest", name="away", keep_s=300)
    ingest.subscribe("sidestream/v1/hub/+/+/readings")
    ingest.close()
    gateway = connect("smelter/gw-smelter")
    infos = [gateway.publish(f"{GATEWAY}/readings", b"%d" % number) for number in range(5_000)]
    for info in infos:
        info.wait_for_publish(PATIENCE_S)
    back = connect("ingest", name="away", keep_s=300)
    assert [int(back.take()) for _ in range(5_000)] == list(range(5_000))


@pytest.mark.server
def test_the_health_check_of_compose_reads_the_uptime_and_shows_no_password(broker, compose) -> None:
    check = compose["services"]["mosquitto"]["healthcheck"]["test"][1:]
    words = [word.replace("$$", "$") for word in check]
    options = broker.run_dir / "mosquitto_sub"
    options.write_text(
        options.read_text(encoding="utf-8").replace("-p 1884", f"-p {broker.hub_port}"), encoding="utf-8"
    )
    env = {"PATH": SEARCH, "XDG_CONFIG_HOME": str(broker.run_dir)}
    if shutil.which(words[0], path=SEARCH) is None:
        pytest.skip("mosquitto_sub is not installed: apt install mosquitto-clients")
    ran = subprocess.run(words, env=env, capture_output=True, text=True, timeout=15, check=True)
    assert ran.stdout.strip().endswith("seconds")


@pytest.mark.server
def test_passwords_lie_hashed_in_a_file_that_only_the_broker_can_read(broker) -> None:
    file = broker.run_dir / "passwords"
    assert file.stat().st_mode & 0o077 == 0
    text = file.read_text(encoding="utf-8")
    assert {line.split(":")[0] for line in text.splitlines()} == {*PASSWORDS, "health"}
    assert not any(password in text for password in PASSWORDS.values())


@pytest.mark.server
def test_a_restart_takes_the_passwords_of_now(tmp_path) -> None:
    env = run_start(tmp_path, tmp_path / "none.conf")
    for extra in ({}, {"MORE_EDGES": ""}):
        subprocess.run(["sh", FILES / "start.sh"], env={**env, **extra}, capture_output=True, check=False)
    users = [line.split(":")[0] for line in (tmp_path / "passwords").read_text(encoding="utf-8").splitlines()]
    assert users == ["ingest", "publish", "health", "smelter/gw-smelter"]
    assert (tmp_path / "acl").read_text(encoding="utf-8").count("\nuser ") == 4


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"INGEST_PASSWORD": ""}, "password of 'ingest' is empty"),
        ({"EDGE_USER": "gw-smelter"}, "write <party>/<device>"),
        ({"EDGE_USER": "a/b/c"}, "write <party>/<device>"),
        ({"EDGE_USER": "#/gw"}, "has a sign"),
        ({"MORE_EDGES": "farm/gw-farm"}, "write <party>/<device>:<password>"),
        ({"MORE_EDGES": "farm/gw-farm:"}, "is empty"),
        ({"EDGE_PASSWORD": "a:b"}, "colon"),
    ],
)
def test_a_wrong_login_stops_the_broker_with_a_sentence(tmp_path, wrong, told) -> None:
    env = run_start(tmp_path, tmp_path / "none.conf", **wrong)
    ran = subprocess.run(["sh", FILES / "start.sh"], env=env, capture_output=True, text=True, check=False)
    assert ran.returncode == 2
    assert told in ran.stderr
