"""What ingest hands to the store: frames that were checked, with what of them can be used and what can't."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sidestream_contracts.errors import ContractError
from sidestream_contracts.frame import FrameKey
from sidestream_store.quarantine import Message, Quarantined

LedgerKey = tuple[int, str, str, int]
"""Device number, epoch (hex), first letter of the lane, seq."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One usable measurement, in the sensor's own unit."""

    time_us: int
    sensor_id: int
    value: float | None
    quality: int


@dataclass(frozen=True, slots=True)
class Scan:
    """One usable scan."""

    time_us: int
    sensor_id: int
    code: str
    rssi_dbm: float | None
    quality: int


@dataclass(frozen=True, slots=True)
class CheckedFrame:
    """A frame with what of it can be used and what can't; an unreadable one has only quarantine."""

    device_id: int
    key: FrameKey
    kind: str
    message: Message
    recorded: bool = False
    readings: tuple[Reading, ...] = ()
    scans: tuple[Scan, ...] = ()
    quarantine: tuple[Quarantined, ...] = ()
    extra: dict[str, Any] | None = None

    @property
    def ledger_key(self) -> LedgerKey:
        """What makes it the same frame."""
        return (self.device_id, self.key.epoch, self.key.lane[0], self.key.seq)

    def refused(self, error: ContractError) -> CheckedFrame:
        """The same frame with nothing usable left: the database would not take what it brings."""
        count = len(self.readings) + len(self.scans) + sum(q.readings for q in self.quarantine)
        entry = self.message.quarantined(error.reason, str(error), count)
        return CheckedFrame(self.device_id, self.key, "unusable", self.message, quarantine=(entry,))
