"""Puts frames on the broker as fast as it confirms them, with a bounded number on the way."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any, Self

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from sidestream_app.bench.ingest.frames import Message
from sidestream_app.embedded.ports import LOOPBACK
from sidestream_contracts.errors import TransientError

_ON_THE_WAY = 400
_PATIENCE_S = 30.0


class Load:
    """One connection to the broker on loopback; a context manager."""

    def __init__(self, port: int) -> None:
        self._room = threading.Semaphore(_ON_THE_WAY)
        self._up = threading.Event()
        self._client = client = mqtt.Client(CallbackAPIVersion.VERSION2, "bench-load", protocol=mqtt.MQTTv5)
        client.max_inflight_messages_set(_ON_THE_WAY)
        client.on_connect = self._on_connect
        client.on_publish = self._on_publish
        client.connect(LOOPBACK, port)
        client.loop_start()

    def __enter__(self) -> Self:
        if not self._up.wait(_PATIENCE_S):
            raise TransientError("The broker of the bench does not answer.")
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def send(self, messages: Iterable[Message]) -> None:
        """Returns when the broker has confirmed every message; TransientError where it stops confirming."""
        for message in messages:
            self._take()
            properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
            properties.UserProperty = message.pairs
            self._client.publish(message.topic, message.payload, qos=1, properties=properties)
        for _ in range(_ON_THE_WAY):
            self._take()
        for _ in range(_ON_THE_WAY):
            self._room.release()

    def _take(self) -> None:
        if not self._room.acquire(timeout=_PATIENCE_S):
            raise TransientError(f"The broker has confirmed nothing for {_PATIENCE_S:.0f} s.")

    def _on_connect(self, *_: Any) -> None:
        self._up.set()

    def _on_publish(self, *_: Any) -> None:
        self._room.release()
