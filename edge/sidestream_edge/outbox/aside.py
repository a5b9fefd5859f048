"""What the outbox keeps beside its frames: the spool of readings that wait for a frame, and marks of what was taken.

Both are written in the caller's transaction, so that they can't say anything else than the frames do.

What is spooled is in parts, and each part becomes a frame of its own. Which part a draft belongs to is decided and stored
when it is spooled: a copy of the file that was made while the spool grew makes the same frames of it, only that its last
one may hold less.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
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


Merge = Callable[[Sequence[Draft]], Sequence[Draft]]


def one_by_one(part: Sequence[Draft]) -> Sequence[Draft]:
    """Each draft of a part of the spool as a frame of its own."""
    return part


def put_marks(db: sqlite3.Connection, marks: Iterable[tuple[str, Mark]]) -> None:
    """The newest marks take the places of the oldest."""
    db.executemany(
        "INSERT OR REPLACE INTO mark VALUES (?, ?, ?, ?, ?, ?)",
        [(driver, m.sensor, m.n % RING, m.n, m.t, m.val) for driver, m in marks],
    )


def put_spool(db: sqlite3.Connection, drafts: Sequence[Draft], part_bytes: int) -> None:
    """The drafts stand last in the spool, in parts of at most `part_bytes` payload where single drafts allow it."""
    part, size = db.execute(
        "SELECT part, sum(length(payload)) FROM spool WHERE part = (SELECT max(part) FROM spool) GROUP BY part"
    ).fetchone() or (1, 0)
    rows = []
    for draft in drafts:
        if size and size + len(draft.payload) > part_bytes:
            part, size = part + 1, 0
        size += len(draft.payload)
        rows.append((draft.channel, draft.payload, part))
    db.executemany("INSERT INTO spool (channel, payload, part) VALUES (?, ?, ?)", rows)


def take_spool(db: sqlite3.Connection) -> list[list[Draft]]:
    """All that is spooled, part by part, oldest first; the spool is empty afterwards."""
    rows = db.execute("SELECT part, channel, payload FROM spool ORDER BY id").fetchall()
    db.execute("DELETE FROM spool")
    return [
        [Draft("bulk", channel, payload) for _, channel, payload in part]
        for _, part in groupby(rows, key=itemgetter(0))
    ]


def spool_size(db: sqlite3.Connection) -> tuple[int, int]:
    """How many drafts are spooled, and their bytes; none in a file of a version that had no spool."""
    if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'spool'").fetchone():
        return 0, 0
    drafts, size = db.execute("SELECT count(*), coalesce(sum(length(payload)), 0) FROM spool").fetchone()
    return drafts, size
