"""What ingest hands to the store: frames that were checked, with what of them can be used and what can't."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sidestream_contracts.errors import ContractError
from sidestream_contracts.frame import ClockSync, FrameKey
from sidestream_store.quarantine import Message, Quarantined

LedgerKey = tuple[int, str, str, int]
"""Device number, epoch (hex), first letter of the lane, seq."""
LaneKey = tuple[int, str, str]
"""Device number, epoch (hex), first letter of the lane: where one gap-free count of frames lives."""


@dataclass(frozen=True, slots=True, eq=False)
class Readings:
    """Usable measurements as columns of one length; a value is in the sensor's own unit, NaN where there is none."""

    time_us: NDArray[np.int64]
    sensor_id: NDArray[np.int32]
    value: NDArray[np.float64]
    quality: NDArray[np.int16]

    def __len__(self) -> int:
        return len(self.time_us)

    @classmethod
    def of(cls, rows: Iterable[tuple[int, int, float | None, int]]) -> Readings:
        """Columns from rows of time in µs UTC, sensor number, value, quality."""
        time_us, sensor_id, value, quality = zip(*rows, strict=True) if (rows := list(rows)) else ((), (), (), ())
        return cls(
            np.array(time_us, np.int64),
            np.array(sensor_id, np.int32),
            np.array(value, np.float64),
            np.array(quality, np.int16),
        )

    @classmethod
    def joined(cls, parts: Sequence[Readings]) -> Readings:
        """All rows of the parts, in order."""
        if not parts:
            return NO_READINGS
        return cls(
            np.concatenate([p.time_us for p in parts]),
            np.concatenate([p.sensor_id for p in parts]),
            np.concatenate([p.value for p in parts]),
            np.concatenate([p.quality for p in parts]),
        )

    def rows(self) -> list[tuple[int, int, float | None, int]]:
        """The rows as plain numbers, for a few of them."""
        columns = (self.time_us.tolist(), self.sensor_id.tolist(), self.value.tolist(), self.quality.tolist())
        return [(t, s, None if v != v else v, q) for t, s, v, q in zip(*columns, strict=True)]  # noqa: PLR0124 NaN


NO_READINGS = Readings.of(())


@dataclass(frozen=True, slots=True)
class Scan:
    """One usable scan."""

    time_us: int
    sensor_id: int
    code: str
    rssi_dbm: float | None
    quality: int


@dataclass(frozen=True, slots=True)
class Sending:
    """What the edge said of its own clock when it sent the frame, µs UTC; None and `unknown` where it said nothing."""

    at_us: int | None = None
    clock: ClockSync = "unknown"


UNSAID = Sending()


@dataclass(frozen=True, slots=True)
class CheckedFrame:
    """A frame with what of it can be used and what can't; an unreadable one has only quarantine."""

    device_id: int
    key: FrameKey
    kind: str
    message: Message
    recorded: bool = False
    readings: Readings = NO_READINGS
    scans: tuple[Scan, ...] = ()
    quarantine: tuple[Quarantined, ...] = ()
    extra: dict[str, Any] | None = None
    sending: Sending = UNSAID

    @property
    def ledger_key(self) -> LedgerKey:
        """What makes it the same frame."""
        return (self.device_id, self.key.epoch, self.key.lane[0], self.key.seq)

    def refused(self, error: ContractError) -> CheckedFrame:
        """The same frame with nothing usable left: the database would not take what it brings."""
        count = len(self.readings) + len(self.scans) + sum(q.readings for q in self.quarantine)
        entry = self.message.quarantined(error.reason, str(error), count)
        return CheckedFrame(
            self.device_id, self.key, "unusable", self.message, quarantine=(entry,), sending=self.sending
        )


@dataclass(frozen=True, slots=True, eq=False)
class Brought:
    """Frames that bring readings, the number each has in the ledger, and all their readings as one.

    `order`: where the readings stand when they are sorted by sensor, then by time.
    """

    frames: Sequence[CheckedFrame]
    frame_ids: NDArray[np.int64]
    readings: Readings
    order: NDArray[np.intp]

    @classmethod
    def by(cls, frames: Sequence[tuple[CheckedFrame, int]]) -> Brought:
        """What these frames, each with its number, bring together."""
        readings = Readings.joined([frame.readings for frame, _ in frames])
        numbers = np.array([number for _, number in frames], np.int64)
        order = np.lexsort((readings.time_us, readings.sensor_id))
        return cls([frame for frame, _ in frames], numbers, readings, order)

    def frame_of_each(self) -> NDArray[np.int64]:
        """For each reading the number of its frame."""
        return np.repeat(self.frame_ids, [len(frame.readings) for frame in self.frames])

    def sensors(self) -> int:
        """How many sensors the readings are of."""
        return 1 + int(np.count_nonzero(np.diff(self.readings.sensor_id[self.order])))
