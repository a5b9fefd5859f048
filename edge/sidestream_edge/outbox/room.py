"""Who may still put something into the outbox: bulk is refused first, then live, scans never.

Two bounds count, the outbox's own `max_mb` and what is left of its disk. The last part of the disk is kept for scans and
for the outbox's own work: deleting what the hub has acknowledged needs room in the write-ahead log too.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sidestream_contracts.frame import Lane

Refusal = Literal["outbox_full", "disk_low"]

SHARE: dict[Lane, float] = {"scan": float("inf"), "live": 1.0, "bulk": 0.8}
"""Part of `max_mb` up to which a lane may fill the outbox."""

KEPT_FREE: dict[Lane, tuple[float, int]] = {"scan": (0.0, 0), "live": (0.05, 32_000_000), "bulk": (0.1, 64_000_000)}
"""Part of the disk, and bytes at most, that a lane leaves free."""

LOOK_S = 1.0


@dataclass(frozen=True, slots=True)
class Disk:
    """Size of the disk and what is free of it, in bytes."""

    total_bytes: int
    free_bytes: int


@dataclass(frozen=True, slots=True)
class Fullness:
    """How full the outbox and its disk are, and which lanes are refused for that, each with its reason."""

    size_bytes: int
    max_bytes: int
    disk: Disk
    refused: dict[Lane, Refusal]


class Room:
    """Says no to a lane, and why; looks at the disk at most once a second."""

    def __init__(
        self, folder: Path, max_bytes: int, look: Callable[[Path], Disk] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._folder = folder
        self.max_bytes = max_bytes
        self._look = look or disk_of
        self._clock = clock
        self._looked_s = float("-inf")
        self._disk = Disk(0, 0)

    def refusal(self, lane: Lane, size_bytes: int) -> Refusal | None:
        """Why nothing more of `lane` is taken while the outbox holds `size_bytes`; None while it is."""
        if size_bytes >= self.max_bytes * SHARE[lane]:
            return "outbox_full"
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


def disk_of(folder: Path) -> Disk:
    """The disk that `folder` lies on, as far as this user may fill it."""
    about = os.statvfs(folder)
    return Disk(about.f_blocks * about.f_frsize, about.f_bavail * about.f_frsize)
