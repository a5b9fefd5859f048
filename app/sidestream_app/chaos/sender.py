"""An extra device that sends what no real edge would: old, shuffled, broken or poisonous frames, with a journal of its own.

Like an edge it keeps each frame until the hub acknowledges it, and sends it again.
"""

from __future__ import annotations

import random
import secrets
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from sidestream_app.chaos.tap import covers, read_acknowledgement
from sidestream_app.chaos.wire import Pairs, Wire
from sidestream_app.demo.counting import Measurement
from sidestream_contracts.frame import FrameKey, Lane, payload_hash
from sidestream_contracts.topics import Channel, DeviceAddress

_AGAIN_AFTER_S = 1.5
_LOOK_S = 0.25
LANE: Lane = "live"


@dataclass(slots=True)
class _Pending:
    topic: str
    payload: bytes
    key: FrameKey
    sent_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Parcel:
    """A payload to send, and what it says was measured (nothing, where it can't be read)."""

    payload: bytes
    measured: tuple[Measurement, ...] = ()
    channel: Channel = "readings"


class Sender:
    """One device with one epoch."""

    def __init__(self, port: int, address: DeviceAddress) -> None:
        self.address, self.epoch = address, secrets.token_hex(16)
        self.journal: list[Measurement] = []
        self._pending: dict[int, _Pending] = {}
        self._seq = 0
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._wire = Wire(port, f"chaos-{address.device}", [address.topic("ack")], self._hear)
        self._thread = threading.Thread(target=self._keep_sending, name="extra-sender", daemon=True)
        self._thread.start()

    @property
    def pending(self) -> int:
        """How many frames the hub has not acknowledged."""
        with self._lock:
            return len(self._pending)

    def send(self, parcels: Sequence[Parcel], draw: random.Random) -> list[str]:
        """Sends all of them in random order and until they are acknowledged; the hashes of their payloads."""
        with self._lock:
            fresh = [self._accept(parcel) for parcel in parcels]
        for pending in draw.sample(fresh, len(fresh)):
            self._put_on_wire(pending)
        return [pending.key.hash for pending in fresh]

    def send_once(self, payload: bytes, pairs: Pairs, topic: str | None = None) -> bool:
        """Sends something that can't be acknowledged because its key can't be read."""
        return self._wire.publish(topic or self.address.topic("readings"), payload, pairs)

    def close(self) -> None:
        """Ends it; what is pending stays unsent."""
        self._stop.set()
        self._thread.join()
        self._wire.close()

    def _accept(self, parcel: Parcel) -> _Pending:
        self._seq += 1
        key = FrameKey(self.epoch, LANE, self._seq, payload_hash(parcel.payload))
        self.journal += parcel.measured
        self._pending[self._seq] = _Pending(self.address.topic(parcel.channel), parcel.payload, key)
        return self._pending[self._seq]

    def _put_on_wire(self, pending: _Pending) -> None:
        if self._wire.publish(pending.topic, pending.payload, pending.key.properties()):
            pending.sent_s = time.monotonic()

    def _keep_sending(self) -> None:
        while not self._stop.wait(_LOOK_S):
            late_s = time.monotonic() - _AGAIN_AFTER_S
            with self._lock:
                due = [pending for pending in self._pending.values() if pending.sent_s < late_s]
            for pending in due:
                self._put_on_wire(pending)

    def _hear(self, _topic: str, payload: bytes, _pairs: Pairs) -> None:
        ack = read_acknowledgement(payload)
        if ack is None or (ack.epoch, ack.lane) != (self.epoch, LANE):
            return
        with self._lock:
            for seq in [seq for seq in self._pending if covers(ack, seq)]:
                del self._pending[seq]
