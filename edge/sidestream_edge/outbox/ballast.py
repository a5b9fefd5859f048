"""Room that the outbox keeps for itself: a file that is given up when the disk is full.

A full disk would otherwise hold the outbox for good: SQLite needs room to delete what the hub has acknowledged, and a
little to be opened at all.
"""

from __future__ import annotations

import os
from pathlib import Path

from sidestream_edge.outbox.room import disk_of

MOST_BYTES = 8 << 20
SHARE = 0.05


class Ballast:
    """The file beside the outbox; `drop` gives its room to the disk, `take` gets it back when there is plenty."""

    def __init__(self, outbox: Path) -> None:
        self._path = outbox.with_name(outbox.name + ".ballast")

    def drop(self) -> bool:
        """Whether something was given up; never raises, because it is called where an error is on its way already."""
        try:
            self._path.unlink()
        except OSError:  # not there, or on a disk that was made read-only after an error
            return False
        return True

    def take(self) -> bool:
        """Whether the file is there afterwards; it is made only where four times its size is free."""
        try:
            if self._path.exists():
                return True
            disk = disk_of(self._path.parent)
            size = min(MOST_BYTES, int(disk.total_bytes * SHARE))
            if disk.free_bytes < 4 * size:
                return False
            with self._path.open("xb") as file:
                os.posix_fallocate(file.fileno(), 0, size)
        except OSError:  # too full after all, read-only, or without fallocate: the outbox works without ballast
            self.drop()
            return False
        return True
