"""What the outbox keeps beside its frames: the spool of readings that wait for a frame, and marks of what was taken.

Both are written in the caller's transaction, so that they can't say anything else than the frames do.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from sidestream_contracts.frame import Lane
from sidestream_edge.measurement import Mark

MessageChannel = Literal["readings", "scans"]
RING = 128
"""Marks kept of each sensor."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A frame that has no key yet."""

    lane: Lane
    channel: MessageChannel
    payload: bytes


def put_marks(db: sqlite3.Connection, marks: Iterable[tuple[str, Mark]]) -> None:
    """The newest marks take the places of the oldest."""
    db.executemany(
        "INSERT OR REPLACE INTO mark VALUES (?, ?, ?, ?, ?, ?)",
        [(driver, m.sensor, m.n % RING, m.n, m.t, m.val) for driver, m in marks],
    )


def put_spool(db: sqlite3.Connection, drafts: Sequence[Draft]) -> None:
    """The drafts stand last in the spool."""
    db.executemany("INSERT INTO spool (channel, payload) VALUES (?, ?)", [(d.channel, d.payload) for d in drafts])


def take_spool(db: sqlite3.Connection) -> list[Draft]:
    """All that is spooled, oldest first; the spool is empty afterwards."""
    rows = db.execute("SELECT channel, payload FROM spool ORDER BY id").fetchall()
    db.execute("DELETE FROM spool")
    return [Draft("bulk", channel, payload) for channel, payload in rows]
