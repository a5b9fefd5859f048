"""A publisher as an edge is one, but under the test's thumb: sends the frames it is given and notes acknowledgements."""

from __future__ import annotations

import threading
import time
from typing import Any

import paho.mqtt.client as mqtt
from frames import GATEWAY
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from sidestream_contracts.frame import FrameKey
from sidestream_contracts.messages import Acknowledgement
from sidestream_contracts.topics import DeviceAddress, hello_topic


class FakeEdge:
    """Listens at a broker on loopback once it is made; `acknowledged` holds (epoch, lane, seq) of all that the hub said it has."""

    def __init__(self, port: int, address: DeviceAddress = GATEWAY) -> None:
        self.address = address
        self.hello = threading.Event()
        self._listening = threading.Event()
        self._acks: list[Acknowledgement] = []
        self._client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id=f"fake-{address.device}", protocol=mqtt.MQTTv5
        )
        self._client.on_connect = self._on_connect
        self._client.on_message = self._on_message
        self._client.on_subscribe = lambda *_: self._listening.set()
        self._client.connect("127.0.0.1", port, clean_start=True)
        self._client.loop_start()
        assert self._listening.wait(10), "the broker did not confirm the subscription"

    def _on_connect(self, client: mqtt.Client, *_: Any) -> None:
        client.subscribe([(self.address.topic("ack"), 0), (hello_topic(self.address.hub), 0)])

    def _on_message(self, _client: mqtt.Client, _data: Any, message: mqtt.MQTTMessage) -> None:
        if message.topic.endswith("/hello"):
            self.hello.set()
        else:
            self._acks.append(Acknowledgement.model_validate_json(message.payload))

    @property
    def acknowledged(self) -> set[tuple[str, str, int]]:
        found = set()
        for ack in list(self._acks):
            ranges = [(1, ack.upto), *ack.also]
            found |= {(ack.epoch, ack.lane, n) for low, high in ranges for n in range(low, high + 1)}
        return found

    def send(self, key: FrameKey | None, payload: bytes, channel: str = "readings", topic: str | None = None) -> None:
        properties = Properties(PacketTypes.PUBLISH)
        if key:
            properties.UserProperty = key.properties()
        wait_for(self._client.is_connected)
        info = self._client.publish(topic or self.address.topic(channel), payload, qos=1, properties=properties)
        info.wait_for_publish(5)

    def send_until_acknowledged(
        self, frames: list[tuple[FrameKey, bytes]], within_s: float = 20, channel: str = "readings"
    ) -> None:
        """Sends again whatever is not acknowledged, as an edge does."""
        deadline = time.monotonic() + within_s
        while left := self._missing(frames):
            assert time.monotonic() < deadline, f"{len(left)} frames are not acknowledged"
            for key, payload in left:
                self.send(key, payload, channel)
            time.sleep(0.3)

    def _missing(self, frames: list[tuple[FrameKey, bytes]]) -> list[tuple[FrameKey, bytes]]:
        there = self.acknowledged
        return [frame for frame in frames if (frame[0].epoch, frame[0].lane, frame[0].seq) not in there]

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def wait_for(condition: Any, within_s: float = 10) -> None:
    """Returns when `condition()` holds; fails with a deadline otherwise."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
