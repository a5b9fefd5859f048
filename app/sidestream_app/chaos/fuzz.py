"""Bad messages by the hundred thousand through a real ingest worker into a real PostgreSQL, mixed with good neighbours."""

from __future__ import annotations

import random
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sidestream_app.chaos import plant
from sidestream_app.chaos.bodies import body, readings
from sidestream_app.chaos.mutate import Sent, mutated, on_wire
from sidestream_app.chaos.tally import comparable
from sidestream_app.chaos.tap import covers
from sidestream_app.demo.counting import Count, Measurement, count
from sidestream_contracts.messages import Acknowledgement
from sidestream_contracts.topics import DeviceAddress
from sidestream_ingest.arrivals import Arrival
from sidestream_ingest.subscriber import BrokerAddress, Subscriber
from sidestream_ingest.worker import Settings, Worker
from sidestream_store import audit
from sidestream_store.fault_injection import Kept, kept

_BATCH = 500
_BAD_SHARE = 0.7
_ROWS = 5
_WORDS = (
    "`",
    "property",
    "Topic",
    "JSON",
    "UTF-8",
    "Device",
    "Sensor",
    "Frame",
    "Status",
    "Payload",
    "Columns",
    "code",
    "A frame of",
    "database",
    "edge",
)
"""One of them must be in every explanation that does not name a sensor: what of the message is at fault."""


class _Door(Subscriber):
    """Stands where the broker's client is, and notes what the worker says."""

    def __init__(self) -> None:
        super().__init__(BrokerAddress("127.0.0.1", 1), plant.HUB, "fuzz")
        self.acknowledged: dict[tuple[DeviceAddress, str], Acknowledgement] = {}
        self.released = 0

    def acknowledge(self, device: DeviceAddress, ack: Acknowledgement) -> None:
        self.acknowledged[device, ack.epoch] = ack

    def release(self, arrivals: Sequence[Arrival]) -> None:
        self.released += len(arrivals)


@dataclass(slots=True)
class Fuzzer:
    """Sends bad and good messages through one worker, and remembers what it owes."""

    dsn: str
    seed: int
    door: _Door = field(default_factory=_Door)
    good_epoch: str = field(default_factory=lambda: secrets.token_hex(16))
    bad_epoch: str = field(default_factory=lambda: secrets.token_hex(16))
    good: list[Measurement] = field(default_factory=list)
    owed: list[int] = field(default_factory=list)
    bad: int = 0
    good_frames: int = 0

    def run(self, count_: int, tell: Callable[[int], None] = lambda _done: None) -> None:
        """Sends at least `count_` bad messages and half as many good ones; whatever the worker raises comes out here."""
        draw = random.Random(self.seed)  # noqa: S311 - seeded on purpose
        worker = Worker(Settings(self.dsn, BrokerAddress("127.0.0.1", 1)), threading.Event())
        try:
            while self.bad < count_:
                batch = [self._some(draw) for _ in range(_BATCH)]
                worker.handle(self.door, [_arrival(sent, n) for n, sent in enumerate(batch)])
                tell(self.bad)
        finally:
            worker.leave()

    def send(self, messages: Sequence[Sent]) -> None:
        """Sends messages made elsewhere in one batch."""
        worker = Worker(Settings(self.dsn, BrokerAddress("127.0.0.1", 1)), threading.Event())
        try:
            worker.handle(self.door, [_arrival(sent, n) for n, sent in enumerate(messages)])
        finally:
            worker.leave()

    def _some(self, draw: random.Random) -> Sent:
        """A bad message, or now and then a good one."""
        rows, address = _rows(draw), plant.address(plant.EXTRA)
        if draw.random() < _BAD_SHARE:
            return self._bad(draw, rows, address)
        self.good += rows
        self.good_frames += 1
        return on_wire(address, readings(rows), self.good_epoch, self.good_frames)

    def _bad(self, draw: random.Random, rows: Sequence[Measurement], address: DeviceAddress) -> Sent:
        self.bad += 1
        sent = mutated(draw, body(rows), address, self.bad_epoch, len(self.owed) + 1)
        if (
            sent.must_be_answered
            and dict(sent.pairs)["epoch"] == self.bad_epoch
            and sent.topic.startswith(_base(address))
        ):
            self.owed.append(int(dict(sent.pairs)["seq"]))
        return sent

    def neighbours(self) -> Count:
        """The good readings against the database: `lost` and `doubled` must be 0."""
        return count(self.good, comparable(audit.committed(self.dsn, [self.good_epoch]).measurements), [])

    def unanswered(self) -> list[int]:
        """Numbers of bad messages that have a readable key and were not acknowledged."""
        ack = self.door.acknowledged.get((plant.address(plant.EXTRA), self.bad_epoch))
        return [seq for seq in self.owed if ack is None or not covers(ack, seq)]

    def unexplained(self) -> list[Kept]:
        """Entries of the quarantine that don't name device, reason and what of the message is at fault."""
        return [entry for entry in kept(self.dsn) if entry.hash and not _explains(entry)]

    def reasons(self) -> Counter[str]:
        """How many messages or readings are in quarantine for each reason."""
        found: Counter[str] = Counter()
        for entry in kept(self.dsn):
            found[entry.reason] += entry.count
        return found


def _explains(entry: Kept) -> bool:
    named = bool(entry.device) or entry.reason == "bad_topic"
    return named and bool(entry.reason) and (entry.sensor is not None or any(word in entry.detail for word in _WORDS))


def _rows(draw: random.Random) -> list[Measurement]:
    begin_us = time.time_ns() // 1000
    return [(draw.choice(plant.EXTRA_SENSORS), begin_us - n, round(draw.uniform(0, 100), 3)) for n in range(_ROWS)]


def _base(address: DeviceAddress) -> str:
    return address.topic("readings").rpartition("/")[0] + "/"


def _arrival(sent: Sent, mid: int) -> Arrival:
    return Arrival(1, mid, 1, sent.topic, sent.payload, sent.pairs, datetime.now(UTC))
