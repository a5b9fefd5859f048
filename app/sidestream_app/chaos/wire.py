"""An MQTT client under the harness's thumb: for the tap, for extra senders and for a stranger with an edge's identity."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from sidestream_app.embedded.ports import LOOPBACK

Pairs = Sequence[tuple[str, str]]


def _unheard(_topic: str, _payload: bytes, _pairs: Pairs) -> None:
    """The default listener."""


class Wire:
    """Connected to the broker whenever that is there; each message heard is given to `hear`, which must not raise."""

    def __init__(
        self,
        port: int,
        client_id: str,
        topics: Sequence[str] = (),
        hear: Callable[[str, bytes, Pairs], None] = _unheard,
    ) -> None:
        self._topics, self._hear = topics, hear
        self.connects = 0
        self._sending = threading.Lock()
        self._client = client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id, protocol=mqtt.MQTTv5)
        client.suppress_exceptions = True
        client.reconnect_delay_set(min_delay=1, max_delay=1)
        client.on_connect = self._on_connect
        client.on_message = self._on_message
        client.connect_async(LOOPBACK, port, keepalive=10, clean_start=True)
        client.loop_start()

    @property
    def is_up(self) -> bool:
        """Whether the broker is there now."""
        return bool(self._client.is_connected())

    def publish(self, topic: str, payload: bytes, pairs: Pairs = ()) -> bool:
        """Sends once with QoS 1; False where the broker is away, and then nothing is kept for later."""
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        if pairs:
            properties.UserProperty = list(pairs)
        with self._sending:
            return self.is_up and self._client.publish(topic, payload, qos=1, properties=properties).rc == 0

    def close(self) -> None:
        """Leaves the broker."""
        self._client.disconnect()
        self._client.loop_stop()

    def _on_connect(self, client: mqtt.Client, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            return
        self.connects += 1
        if self._topics:
            client.subscribe([(topic, SubscribeOptions(qos=0)) for topic in self._topics])

    def _on_message(self, _client: mqtt.Client, _data: Any, message: mqtt.MQTTMessage) -> None:
        pairs = getattr(message.properties, "UserProperty", ()) if message.properties else ()
        self._hear(message.topic, bytes(message.payload), tuple(pairs))
