"""One connection to the broker, for publishing retained messages. A lost one is not mended: a new link takes its place.

So nothing that was under way on the old one can arrive after something newer, and no queue grows while the broker is
away. The network thread only notes; it never decides.
"""

from __future__ import annotations

import contextlib
import threading
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from sidestream_contracts.errors import ConfigurationError, TransientError
from sidestream_contracts.twinmessage import twin_filter
from sidestream_ingest.subscriber import BrokerAddress

MOST_UNDER_WAY = 100
_CONNECT_S = 10.0


class Link:
    """An open connection that has subscribed to the hub's figures, so as to learn what lies at the broker."""

    def __init__(self, broker: BrokerAddress, hub: str, name: str) -> None:
        """Connects; TransientError when the broker is away or refuses."""
        self._where = f"{broker.host}:{broker.port}"
        self._hub = hub
        self._lock = threading.Lock()
        self._handed_over = self._confirmed = 0
        self._lying: set[str] = set()
        self._answered, self._lost, self._moved = threading.Event(), threading.Event(), threading.Event()
        self._problem = ""
        self._failure: ConfigurationError | None = None
        self._client = self._make_client(broker, name)
        self._connect(broker)

    def _make_client(self, broker: BrokerAddress, name: str) -> mqtt.Client:
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=f"sidestream-publish-{name}",
            protocol=mqtt.MQTTv5,
            reconnect_on_failure=False,
        )
        client.suppress_exceptions = True  # an exception would end the network thread while is_connected() stays true
        client.max_inflight_messages_set(MOST_UNDER_WAY)
        if broker.username:
            client.username_pw_set(broker.username, broker.password)
        if broker.ca_file:
            client.tls_set(broker.ca_file)
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        client.on_publish = self._on_publish
        return client

    def _connect(self, broker: BrokerAddress) -> None:
        session = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        session.SessionExpiryInterval = 0
        try:
            self._client.connect(broker.host, broker.port, keepalive=10, clean_start=True, properties=session)
        except OSError as error:
            raise TransientError(f"The broker {self._where} can't be reached: {error}.") from error
        self._client.loop_start()
        if not self._answered.wait(_CONNECT_S) or self._problem:
            self.close()
            raise TransientError(f"The broker {self._where} does not let us in: {self._problem or 'no answer'}.")

    @property
    def up(self) -> bool:
        """Whether the connection still holds; ConfigurationError where the broker's rules make it useless."""
        if self._failure is not None:
            raise self._failure
        return not self._lost.is_set()

    def publish(self, topic: str, payload: bytes) -> bool:
        """Hands over one retained message, QoS 1; False where no more may be under way or the link is lost."""
        if self._handed_over - self._confirmed >= MOST_UNDER_WAY or self._lost.is_set():
            return False
        self._handed_over += 1
        return self._client.publish(topic, payload, qos=1, retain=True).rc == mqtt.MQTT_ERR_SUCCESS

    def lying(self) -> set[str]:
        """Topics with a message at the broker that were seen since the last call, whoever put them there."""
        with self._lock:
            seen, self._lying = self._lying, set()
            return seen

    def wait(self, seconds: float) -> None:
        """Returns when something has moved (a PUBACK, a message, the connection's end), or after `seconds`."""
        self._moved.wait(seconds)
        self._moved.clear()

    def drain(self, within_s: float) -> None:
        """Returns when nothing is under way any more, or after `within_s`."""
        for _ in range(max(1, int(within_s / 0.05))):
            if self._handed_over == self._confirmed or self._lost.is_set():
                return
            self.wait(0.05)

    def close(self) -> None:
        """Leaves the broker."""
        with contextlib.suppress(OSError):
            self._client.disconnect()
        self._client.loop_stop()

    def _on_connect(self, client: mqtt.Client, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            self._problem = str(reason)
            self._answered.set()
            return
        client.subscribe(twin_filter(self._hub), options=SubscribeOptions(qos=1, noLocal=True))

    def _on_subscribe(self, _client: mqtt.Client, _data: Any, _mid: int, reasons: Any, _properties: Any) -> None:
        if any(reason.is_failure for reason in reasons):
            self._failure = ConfigurationError(
                f"The broker {self._where} refuses the subscription to {twin_filter(self._hub)!r}; "
                "check the access rules for this login."
            )
        self._answered.set()

    def _on_disconnect(self, _client: mqtt.Client, _data: Any, _flags: Any, _reason: Any, _properties: Any) -> None:
        self._lost.set()
        self._moved.set()

    def _on_message(self, _client: mqtt.Client, _data: Any, message: mqtt.MQTTMessage) -> None:
        if message.payload:
            with self._lock:
                self._lying.add(message.topic)
            self._moved.set()

    def _on_publish(self, _client: mqtt.Client, _data: Any, _mid: int, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            self._failure = ConfigurationError(
                f"The broker {self._where} refuses a figure ({reason}); check the access rules for this login."
            )
        self._confirmed += 1
        self._moved.set()
