"""Who may still put something into the outbox: bulk is refused first, then live, scans never.

Three bounds count: the outbox's own `max_mb`, the age of the oldest frame in it (`max_days`), and what is left of its disk.
The last part of the disk is kept for scans and for the outbox's own work: deleting what the hub has acknowledged needs
room in the write-ahead log too. Nothing that is in the outbox is ever thrown away to make room.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from sidestream_contracts.errors import TransientError
from sidestream_contracts.frame import LANES, Lane

Refusal = Literal["outbox_full", "outbox_old", "disk_low"]

SHARE: dict[Lane, float] = {"scan": float("inf"), "live": 1.0, "bulk": 0.8}
"""Part of `max_mb`, and of `max_days`, up to which a lane may fill the outbox."""

KEPT_FREE: dict[Lane, tuple[float, int]] = {"scan": (0.0, 0), "live": (0.05, 32_000_000), "bulk": (0.1, 64_000_000)}
"""Part of the disk, and bytes at most, that a lane leaves free."""

LOOK_S = 1.0
LOOK_AT_AGE_S = 10.0
NO_AGE_S = 5 * 365.25 * 86_400
"""A frame that seems older was stored while the clock was wrong; it says nothing about how long the hub has been away."""


@dataclass(frozen=True, slots=True)
class Disk:
    """Size of the disk and what is free of it, in bytes."""

    total_bytes: int
    free_bytes: int


@dataclass(frozen=True, slots=True)
class Fullness:
    """How full the outbox and its disk are, which lanes are refused for that and why, how long the oldest frame has waited."""

    size_bytes: int
    max_bytes: int
    disk: Disk
    refused: dict[Lane, Refusal]
    oldest_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Age:
    """How long the oldest frame may have waited, in s, and what tells when the oldest one of a lane was stored."""

    max_s: float
    oldest_at: Callable[[Lane], datetime | None]

    def oldest_s(self) -> float:
        """How long the oldest frame of all has waited, by the clock of the day; 0 where none waits."""
        stored = [at for lane in LANES if (at := self.oldest_at(lane))]
        return (datetime.now(UTC) - min(stored)).total_seconds() if stored else 0.0


class Room:
    """Says no to a lane, and why; looks at the disk at most once a second, at the oldest frame every ten."""

    def __init__(
        self, folder: Path, max_bytes: int, look: Callable[[Path], Disk] | None = None,
        clock: Callable[[], float] = time.monotonic, age: Age | None = None,
    ) -> None:  # fmt: skip
        self._folder = folder
        self.max_bytes = max_bytes
        self._look = look or disk_of
        self._clock = clock
        self._looked_s = float("-inf")
        self._disk = Disk(0, 0)
        self._age = age
        self._asked_s = float("-inf")
        self._oldest_s = 0.0

    def refusal(self, lane: Lane, size_bytes: int) -> Refusal | None:
        """Why nothing more of `lane` is taken while the outbox holds `size_bytes`; None while it is."""
        if size_bytes >= self.max_bytes * SHARE[lane]:
            return "outbox_full"
        if self._age is not None and self.oldest_s >= self._age.max_s * SHARE[lane]:
            return "outbox_old"
        share, most = KEPT_FREE[lane]
        disk = self.disk
        return "disk_low" if disk.free_bytes < min(share * disk.total_bytes, most) else None

    @property
    def disk(self) -> Disk:
        """The disk as it was at most a second ago."""
        now_s = self._clock()
        if now_s - self._looked_s >= LOOK_S:
            self._looked_s, self._disk = now_s, self._look(self._folder)
        return self._disk

    @property
    def oldest_s(self) -> float:
        """How long the oldest frame had waited at most ten seconds ago; 0 where no bound asks for it."""
        now_s = self._clock()
        if self._age is not None and now_s - self._asked_s >= LOOK_AT_AGE_S:
            self._asked_s = now_s
            with suppress(TransientError):  # the disk does not answer now: what was known last holds
                oldest_s = self._age.oldest_s()
                self._oldest_s = oldest_s if oldest_s < NO_AGE_S else 0.0
        return self._oldest_s


def disk_of(folder: Path) -> Disk:
    """The disk that `folder` lies on, as far as this user may fill it."""
    about = os.statvfs(folder)
    return Disk(about.f_blocks * about.f_frsize, about.f_bavail * about.f_frsize)
