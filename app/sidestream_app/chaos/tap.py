"""Listens on the line: the frames of this run, and what the hub has said of them. Bounded."""

from __future__ import annotations

import random
import threading
from collections import deque
from dataclasses import dataclass

from pydantic import ValidationError

from sidestream_app.chaos.wire import Pairs, Wire
from sidestream_contracts.errors import ContractError
from sidestream_contracts.frame import FrameKey, parse_key
from sidestream_contracts.messages import Acknowledgement
from sidestream_contracts.topics import hub_filter

MOST_FRAMES = 2_000


@dataclass(frozen=True, slots=True)
class Heard:
    """A frame as it was on the line."""

    topic: str
    payload: bytes
    pairs: Pairs
    key: FrameKey

    @property
    def lane(self) -> tuple[str, str, str]:
        """Device's topic without its channel, epoch, lane: what an acknowledgement speaks of."""
        return self.topic.rpartition("/")[0], self.key.epoch, self.key.lane


class Tap:
    """Keeps the newest frames heard, and the newest acknowledgement of each device, epoch and lane."""

    def __init__(self, port: int, hub: str, devices: tuple[str, ...]) -> None:
        self._devices = devices
        self._lock = threading.Lock()
        self._frames: deque[Heard] = deque(maxlen=MOST_FRAMES)
        self._acks: dict[tuple[str, str, str], Acknowledgement] = {}
        self.wire = Wire(
            port, "chaos-tap", [hub_filter(hub, channel) for channel in ("readings", "scans", "ack")], self._hear
        )

    def frames(self) -> list[Heard]:
        """What was heard lately, oldest first."""
        with self._lock:
            return list(self._frames)

    def acknowledged(self, draw: random.Random, most: int) -> list[Heard]:
        """Some of the frames that the hub says it has committed."""
        with self._lock:
            mine = [frame for frame in self._frames if self._has(frame)]
        return draw.sample(mine, min(most, len(mine)))

    def close(self) -> None:
        """Hears no more."""
        self.wire.close()

    def _has(self, frame: Heard) -> bool:
        ack = self._acks.get(frame.lane)
        return ack is not None and covers(ack, frame.key.seq)

    def _hear(self, topic: str, payload: bytes, pairs: Pairs) -> None:
        device, _, channel = topic.rpartition("/")
        with self._lock:
            if channel == "ack":
                ack = read_acknowledgement(payload)
                if ack is not None:
                    self._acks[device, ack.epoch, ack.lane] = ack
            elif device.rpartition("/")[2] in self._devices:
                try:
                    self._frames.append(Heard(topic, payload, pairs, parse_key(list(pairs))))
                except ContractError:
                    return  # ours, and bad on purpose


def covers(ack: Acknowledgement, seq: int) -> bool:
    """Whether the hub says there that it has frame `seq`."""
    return seq <= ack.upto or any(low <= seq <= high for low, high in ack.also)


def read_acknowledgement(payload: bytes) -> Acknowledgement | None:
    """The acknowledgement in `payload`, or None where it is none."""
    try:
        return Acknowledgement.model_validate_json(payload)
    except ValidationError:
        return None
