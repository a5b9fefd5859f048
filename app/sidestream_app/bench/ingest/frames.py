"""Frames as gateways would send them: 20 gateways of 25 sensors, each sensor once a second, values like those of meters."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec
import numpy as np

from sidestream_contracts.frame import FrameKey, Lane, payload_hash
from sidestream_contracts.hub import HubFile
from sidestream_contracts.topics import DeviceAddress

_STEP_US = 1_000_000


@dataclass(frozen=True, slots=True)
class Message:
    """One frame ready to be published."""

    topic: str
    payload: bytes
    pairs: list[tuple[str, str]]


@dataclass(slots=True)
class Gateway:
    """A device with one epoch; the readings of its frames follow each other in time without a gap."""

    address: DeviceAddress
    sensors: list[str]
    start_us: int
    epoch: str = field(default_factory=lambda: secrets.token_hex(16))
    _seq: int = 0
    _reading: int = 0

    def payload(self, readings: int) -> bytes:
        """The next `readings` readings, sweep by sweep over the sensors."""
        number = np.arange(self._reading, self._reading + readings)
        self._reading += readings
        sweep, index = np.divmod(number, len(self.sensors))
        noise = np.random.default_rng(self._reading).normal(0.0, 0.2, readings)
        used = np.unique(index)
        body = {
            "v": 1,
            "kind": "readings",
            "sensors": [self.sensors[n] for n in used],
            "i": np.searchsorted(used, index).tolist(),
            "t": (self.start_us + sweep * _STEP_US).tolist(),
            "val": np.round(40 + 8 * np.sin(sweep / 900 + index) + noise, 2).tolist(),
            "q": [0] * readings,
            "clock": "live",
        }
        return msgspec.json.encode(body)

    def message(self, readings: int, lane: Lane = "live") -> Message:
        """The next frame of `readings` readings, ready to be published."""
        payload = self.payload(readings)
        self._seq += 1
        key = FrameKey(self.epoch, lane, self._seq, payload_hash(payload))
        return Message(self.address.topic("readings"), payload, key.properties())


def gateways(hub: HubFile, ago_s: float) -> list[Gateway]:
    """Every device of the hub with the sensors that measure; the first readings are `ago_s` old."""
    start_us = int((time.time() - ago_s) * 1e6)
    return [
        Gateway(
            DeviceAddress(hub.hub.id, device.party, device.id),
            [s.id for s in hub.sensors if s.device == device.id and s.quantity != "scan"],
            start_us,
        )
        for device in hub.devices
    ]


def in_turn(senders: list[Gateway], frames: int, readings: int) -> Iterator[Message]:
    """`frames` frames of `readings` readings, one gateway after the other."""
    for number in range(frames):
        yield senders[number % len(senders)].message(readings)
