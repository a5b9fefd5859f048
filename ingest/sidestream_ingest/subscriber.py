"""The MQTT side: arrivals in, acknowledgements out. The network thread only queues; it never waits and never decides.

Each arrival carries the generation of the connection it came by, because MQTT message ids restart with a connection and
a late PUBACK could acknowledge somebody else's message. The broker is only a pipe: an arrival that finds the queue full
is not taken; the hub does not acknowledge it, and the edge sends it again.
"""

from __future__ import annotations

import queue
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import paho.mqtt.client as mqtt
import structlog
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from sidestream_contracts.errors import ConfigurationError
from sidestream_contracts.messages import Acknowledgement, Hello
from sidestream_contracts.topics import Channel, DeviceAddress, hello_topic, hub_filter

_IN_FLIGHT = 500
"""Unacknowledged messages the broker may have under way to this worker (MQTT 5 receive maximum)."""
_QUEUE = 500
_SHARED: tuple[Channel, ...] = ("readings", "scans")
"""Channels whose messages the workers share; each worker hears every status, which is saved idempotently."""
_log = structlog.get_logger("ingest.mqtt")


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """Where the broker is and who this worker is to it."""

    host: str
    port: int
    username: str | None = None
    password: str | None = None
    ca_file: str | None = None
    keepalive_s: int = 10


@dataclass(frozen=True, slots=True)
class Arrival:
    """One PUBLISH as it came."""

    generation: int
    mid: int
    qos: int
    topic: str
    payload: bytes
    properties: tuple[tuple[str, str], ...]
    received_at: datetime


class Subscriber:
    """One connection to the broker, kept up by itself; `take` gives what arrived."""

    def __init__(self, broker: BrokerAddress, hub: str, worker: str) -> None:
        self._hub, self._worker, self._broker = hub, worker, broker
        self._arrivals: queue.Queue[Arrival] = queue.Queue(_QUEUE)
        self._generation = 0
        self._failure: ConfigurationError | None = None
        self.refused = 0
        self._client = self._make_client()

    def _make_client(self) -> mqtt.Client:
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=f"sidestream-ingest-{self._worker}",
            protocol=mqtt.MQTTv5,
            manual_ack=True,
        )
        client.suppress_exceptions = True  # an exception would end the network thread while is_connected() stays true
        client.reconnect_delay_set(min_delay=1, max_delay=5)
        if self._broker.username:
            client.username_pw_set(self._broker.username, self._broker.password)
        if self._broker.ca_file:
            client.tls_set(self._broker.ca_file)
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        client.on_log = self._on_log
        return client

    def start(self) -> None:
        """Connects in the background and keeps connecting for ever."""
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = 0
        properties.ReceiveMaximum = _IN_FLIGHT
        self._client.connect_async(
            self._broker.host,
            self._broker.port,
            keepalive=self._broker.keepalive_s,
            clean_start=True,
            properties=properties,
        )
        self._client.loop_start()

    def stop(self) -> None:
        """Leaves the broker; arrivals that were not acknowledged come again from the edge."""
        self._client.disconnect()
        self._client.loop_stop()

    def check(self) -> None:
        """Raises what makes waiting for messages pointless, if anything does."""
        if self._failure is not None:
            raise self._failure

    def is_connected(self) -> bool:
        """Whether the broker is there now."""
        return self._client.is_connected()

    @property
    def connections(self) -> int:
        """How often the broker has been connected to since the start."""
        return self._generation

    def backlog(self) -> tuple[int, int]:
        """Messages that wait in the queue, and the bytes of their payloads."""
        with self._arrivals.mutex:
            waiting = list(self._arrivals.queue)
        return len(waiting), sum(len(arrival.payload) for arrival in waiting)

    def take(self, most: int, flush_s: float, wait_s: float) -> list[Arrival]:
        """Waits up to `wait_s` for a first arrival, then up to `flush_s` for more, and gives at most `most`."""
        try:
            batch = [self._arrivals.get(timeout=wait_s)]
        except queue.Empty:
            return []
        deadline = time.monotonic() + flush_s
        while len(batch) < most:
            try:
                batch.append(self._arrivals.get(timeout=max(0.0, deadline - time.monotonic())))
            except queue.Empty:
                break
        return batch

    def release(self, arrivals: list[Arrival]) -> None:
        """PUBACK for arrivals of the connection that is up now; those of an earlier one are left alone."""
        for arrival in arrivals:
            if arrival.qos and arrival.generation == self._generation:
                self._client.ack(arrival.mid, arrival.qos)

    def acknowledge(self, device: DeviceAddress, ack: Acknowledgement) -> None:
        """Tells a device what is committed (QoS 0: if it is lost, the edge sends again and is told again)."""
        if self._client.is_connected():
            self._client.publish(device.topic("ack"), ack.model_dump_json(), qos=0)

    def _on_connect(self, client: mqtt.Client, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            _log.error("the broker refuses the connection", broker=self.where(), reason=str(reason))
            return
        self._generation += 1
        _log.info("connected to the broker", broker=self.where(), connection=self._generation)
        # A group of its own for each channel: rumqttd confuses two filters in one group and forgets to deliver the second.
        shared = [f"$share/ingest-{channel}/{hub_filter(self._hub, channel)}" for channel in _SHARED]
        client.subscribe([(topic, SubscribeOptions(qos=1)) for topic in (*shared, hub_filter(self._hub, "status"))])

    def _on_subscribe(self, client: mqtt.Client, _data: Any, _mid: int, reasons: Any, _properties: Any) -> None:
        refused = [str(reason) for reason in reasons if reason.is_failure]
        if refused:
            self._failure = ConfigurationError(
                f"The broker {self.where()} refuses a subscription to hub {self._hub!r} ({', '.join(refused)}); "
                "check the access rules for this login."
            )
            return
        hello = Hello(worker=self._worker, at=datetime.now(UTC))
        client.publish(hello_topic(self._hub), hello.model_dump_json(), qos=0)

    def _on_disconnect(self, _client: mqtt.Client, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        _log.warning("lost the broker", broker=self.where(), reason=str(reason))

    def _on_message(self, client: mqtt.Client, _data: Any, message: mqtt.MQTTMessage) -> None:
        properties = getattr(message.properties, "UserProperty", ()) if message.properties else ()
        arrival = Arrival(
            self._generation,
            message.mid,
            message.qos,
            _clean(message.topic),
            bytes(message.payload),
            tuple((_clean(name), _clean(value)) for name, value in properties),
            datetime.now(UTC),
        )
        try:
            self._arrivals.put_nowait(arrival)
        except queue.Full:
            # Safe: only the hub's own acknowledgement lets the edge forget it. Without PUBACK the broker would keep one of
            # its places for it as long as the connection lives, and with none left deliver nothing more.
            self.refused += 1
            client.ack(message.mid, message.qos)

    def _on_log(self, _client: mqtt.Client, _data: Any, level: int, text: str) -> None:
        if level == mqtt.MQTT_LOG_ERR:
            _log.error("MQTT client", message=text)

    def where(self) -> str:
        """The broker's address, for people."""
        return f"{self._broker.host}:{self._broker.port}"


def _clean(text: str) -> str:
    """The text without NUL, which MQTT forbids, some brokers pass on, and PostgreSQL can't store."""
    return text.replace("\x00", "\N{REPLACEMENT CHARACTER}")
