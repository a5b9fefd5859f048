"""The outbox: frames with gap-free keys, drivers' cursors, and what the broker would not carry.

Guarantees: what `append` and `spool` returned from is on the disk (WAL, synchronous=FULL) together with its cursors and
marks; `seq` runs from 1 without a gap in each epoch and lane; only what the hub acknowledged is deleted. The object may be
used by several threads. Raises TransientError when the disk is full or away (nothing changed, try again) and
OutboxCorruptError when the file has become unreadable, OutboxNotDurableError when fsync failed.
"""

from __future__ import annotations

import secrets
import sqlite3
import threading
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from sidestream_contracts import failpoint
from sidestream_contracts.errors import TransientError
from sidestream_contracts.frame import LANES, FrameKey, Lane, ParkedFrame, encode, payload_hash
from sidestream_contracts.messages import Acknowledgement, LaneStatus
from sidestream_edge.measurement import Mark
from sidestream_edge.outbox import aside
from sidestream_edge.outbox.aside import Draft, Merge, MessageChannel
from sidestream_edge.outbox.ballast import Ballast
from sidestream_edge.outbox.keyed import insert_epoch, insert_frames
from sidestream_edge.outbox.places import Backlog, Place, Stored
from sidestream_edge.outbox.room import Age, Fullness, Refusal, Room
from sidestream_edge.outbox.schema import now_text, open_file, upgrade
from sidestream_edge.outbox.trouble import Explained

LimitSource = Literal["announced", "learnt"]

ROW_BYTES = 200
"""What a frame costs beside its payload: key, hash, time, index."""


@dataclass(frozen=True, slots=True)
class _Epoch:
    epoch: str
    prev: str | None


class Outbox:
    """One agent's outbox, opened for one run under a new random epoch that is on the disk before its first frame.

    On a full disk it opens all the same: what it holds can be sent, `unwritable` says why nothing is taken, and the
    epoch is written as soon as there is room.

    What an earlier run has left in the spool gets its keys in that run's epoch, as it would have got them there. So a
    gateway that was put back to an image, and the original that went on, give the same readings the same keys.
    `merge` makes frames of lane bulk of one part of the spool; the same part must always give the same frames.
    """

    def __init__(
        self, path: Path, *, max_bytes: int = 1 << 30, max_age_s: float = float("inf"), journal: bool = False,
        merge: Merge = aside.one_by_one,
    ) -> None:  # fmt: skip
        self._path = path
        self._merge = merge
        self._journal = journal
        self._lock = threading.RLock()
        self._explained = Explained(path)
        self._ballast = Ballast(path)
        self._db, self.set_aside = open_file(path)
        self._room = Room(path.parent, max_bytes, age=Age(max_age_s, self.oldest_at))
        self._acknowledged_s = time.monotonic()
        self.epoch = secrets.token_hex(16)
        self._epoch_id = 0
        self.unwritable: str | None = None
        self._load_epochs()
        self._load_backlog()
        try:
            self._begin_twice()
        except TransientError as error:
            self.unwritable = str(error)

    def _load_epochs(self) -> None:
        rows = self._read("SELECT id, epoch, prev FROM epoch ORDER BY id")
        self._epochs = {n: _Epoch(epoch, prev) for n, epoch, prev in rows}
        self.previous_epoch: str | None = rows[-1][1] if rows else None
        self._assigned: dict[tuple[int, str], int] = {
            (epoch, lane): last for epoch, lane, last in self._read("SELECT epoch_id, lane, last_seq FROM assigned")
        }

    def _load_backlog(self) -> None:
        self._backlog: dict[Lane, Backlog] = dict.fromkeys(LANES, Backlog())
        self.spooled = Backlog(*self._spool_size())
        for lane, frames, size in self._read("SELECT lane, count(*), sum(length(payload)) FROM frame GROUP BY lane"):
            self._backlog[lane] = Backlog(frames, size + frames * ROW_BYTES)
        self.parked, parked_bytes = self._read("SELECT count(*), coalesce(sum(length(payload)), 0) FROM parked")[0]
        self._parked_bytes = int(parked_bytes)
        self._packet_limits: dict[LimitSource, int] = dict(self._read("SELECT source, bytes FROM packet_limit"))

    def _spool_size(self) -> tuple[int, int]:
        with self._lock, self._explained():
            drafts, size = aside.spool_size(self._db)
            return drafts, size + drafts * ROW_BYTES

    def _begin_twice(self) -> None:
        """Once more where the first attempt has given up the ballast."""
        try:
            self._begin()
        except TransientError:
            self._begin()
        self._ballast.take()

    def _begin(self) -> None:
        """The new epoch is on the disk; done before the first frame at the latest."""
        if self._epoch_id:
            return
        packed: dict[int, list[Draft]] = {}
        with self._transaction():
            upgrade(self._db)
            for earlier in sorted(self._epochs)[-1:]:
                packed[earlier] = self._pack_into(earlier)
            epoch_id = insert_epoch(self._db, self.epoch, self.previous_epoch)
            if any(packed.values()):
                failpoint.reach("edge.before_pack")
        if any(packed.values()):
            failpoint.reach("edge.after_pack")
        self._epochs[epoch_id] = _Epoch(self.epoch, self.previous_epoch)
        for earlier, drafts in packed.items():
            self._inserted(earlier, drafts)
            self.spooled = Backlog()
        self._epoch_id, self.unwritable = epoch_id, None

    def append(
        self, drafts: Sequence[Draft], cursors: dict[str, str] | None = None, marks: Sequence[tuple[str, Mark]] = ()
    ) -> None:
        """Frames, cursors and marks (driver, mark) are durable, all or none, when this returns."""
        with self._lock:
            self._begin()
            if self.spooled.frames and any(draft.lane == "bulk" for draft in drafts):
                self.pack()  # else the spool would get other keys here than in a copy that was made before
            with self._transaction():
                self._insert(self._epoch_id, drafts)
                self._insert_beside(cursors or {}, marks)
                failpoint.reach("edge.before_store")
            failpoint.reach("edge.after_store")
            self._inserted(self._epoch_id, drafts)

    def spool(
        self,
        drafts: Sequence[Draft],
        cursors: dict[str, str],
        marks: Sequence[tuple[str, Mark]] = (),
        part_bytes: int = 1 << 18,
    ) -> None:
        """As `append`, but the drafts get no key yet: they wait until `pack` makes larger frames of them.

        Each such frame is made of at most `part_bytes` of what was spooled, where single drafts allow it.
        """
        with self._lock:
            self._begin()
            with self._transaction():
                aside.put_spool(self._db, drafts, part_bytes)
                self._insert_beside(cursors, marks)
            size = sum(len(draft.payload) + ROW_BYTES for draft in drafts)
            self.spooled = Backlog(self.spooled.frames + len(drafts), self.spooled.size_bytes + size)

    def pack(self) -> None:
        """What is spooled stands as frames of lane bulk at the end of that lane; the spool is empty."""
        with self._lock:
            self._begin()
            with self._transaction():
                drafts = self._pack_into(self._epoch_id)
                failpoint.reach("edge.before_pack")
            failpoint.reach("edge.after_pack")
            self._inserted(self._epoch_id, drafts)
            self.spooled = Backlog()

    def _pack_into(self, epoch_id: int) -> list[Draft]:
        drafts = [draft for part in aside.take_spool(self._db) for draft in self._merge(part)]
        self._insert(epoch_id, drafts)
        return drafts

    def _inserted(self, epoch_id: int, drafts: Sequence[Draft]) -> None:
        for draft in drafts:
            self._assigned[epoch_id, draft.lane] = self._assigned.get((epoch_id, draft.lane), 0) + 1
            self._count(draft.lane, 1, len(draft.payload))

    def _insert(self, epoch_id: int, drafts: Sequence[Draft]) -> None:
        """Puts the drafts behind what their lanes hold of that epoch."""
        last = {lane: self._assigned.get((epoch_id, lane), 0) for lane in {draft.lane for draft in drafts}}
        insert_frames(self._db, drafts, epoch_id, last, self._epochs[epoch_id].epoch if self._journal else None)

    def _insert_beside(self, cursors: dict[str, str], marks: Sequence[tuple[str, Mark]]) -> None:
        self._db.executemany("INSERT OR REPLACE INTO cursor VALUES (?, ?)", list(cursors.items()))
        aside.put_marks(self._db, marks)

    def cursor(self, driver: str) -> str | None:
        """How far `driver` had come with what is stored; None before its first batch."""
        rows = self._read("SELECT value FROM cursor WHERE driver = ?", driver)
        return rows[0][0] if rows else None

    def marks(self, driver: str) -> list[Mark]:
        """What `driver` has marked as taken, oldest first; the last 128 of each sensor."""
        if not self._epoch_id:  # not begun on a full disk: a file of an older version may have no such table yet
            return []
        rows = self._read("SELECT sensor, n, t, val FROM mark WHERE driver = ? ORDER BY sensor, n", driver)
        return [Mark(*row) for row in rows]

    def waiting(self, lane: Lane, after: Place | None, limit: int) -> list[Stored]:
        """The oldest frames of `lane` behind `after`, at most `limit`."""
        start = after or Place(0, 0)
        rows = self._read(
            "SELECT epoch_id, seq, channel, payload, hash FROM frame WHERE lane = ? AND (epoch_id, seq) > (?, ?)"
            " ORDER BY epoch_id, seq LIMIT ?",
            lane, start.epoch_id, start.seq, limit,
        )  # fmt: skip
        return [self._stored(lane, row) for row in rows]

    def get(self, lane: Lane, place: Place) -> Stored | None:
        """The frame at `place`; None once it was acknowledged."""
        rows = self._read(
            "SELECT epoch_id, seq, channel, payload, hash FROM frame WHERE lane = ? AND epoch_id = ? AND seq = ?",
            lane, place.epoch_id, place.seq,
        )  # fmt: skip
        return self._stored(lane, rows[0]) if rows else None

    def _stored(self, lane: Lane, row: tuple[int, int, MessageChannel, bytes, str]) -> Stored:
        epoch_id, seq, channel, payload, digest = row
        epoch = self._epochs[epoch_id]
        return Stored(Place(epoch_id, seq), FrameKey(epoch.epoch, lane, seq, digest, epoch.prev), channel, payload)

    def acknowledge(self, ack: Acknowledgement, sent: Collection[Place] = ()) -> list[Place] | None:
        """Deletes what `ack` covers and returns where it stood; None when the acknowledgement must be ignored.

        Ignored are an epoch that this outbox does not hold, and anything above the highest seq ever given out in the
        current epoch: the hub then means another gateway with our identity. In an earlier epoch such an acknowledgement
        says that this gateway was restored from an old image and that the hub remembers more of it than we do; then only
        frames in `sent` (this run has sent them) are deleted, so that nothing is ever deleted unsent.
        """
        epoch_id = next((n for n, epoch in self._epochs.items() if epoch.epoch == ack.epoch), None)
        if epoch_id is None:
            return None
        ranges = [(1, ack.upto), *ack.also]
        beyond = max(high for _, high in ranges) > self._assigned.get((epoch_id, ack.lane), 0)
        if beyond and epoch_id == self._epoch_id:
            return None
        if beyond:
            mine = [place.seq for place in sent if place.epoch_id == epoch_id]
            ranges = [(seq, seq) for seq in mine if any(low <= seq <= high for low, high in ranges)]
        return self._delete(ack.lane, epoch_id, ranges)

    def covered(self, ack: Acknowledgement, places: Collection[Place]) -> list[Place]:
        """Those of `places` that `ack` speaks of."""
        ranges = [(1, ack.upto), *ack.also]
        return [
            place
            for place in places
            if self._epochs[place.epoch_id].epoch == ack.epoch and any(low <= place.seq <= high for low, high in ranges)
        ]

    def _delete(self, lane: Lane, epoch_id: int, ranges: list[tuple[int, int]]) -> list[Place]:
        gone: list[tuple[int, int]] = []
        self._acknowledged_s = time.monotonic()
        with self._transaction():
            for low, high in ranges:
                gone += self._db.execute(
                    "DELETE FROM frame WHERE lane = ? AND epoch_id = ? AND seq BETWEEN ? AND ? RETURNING seq, length(payload)",
                    (lane, epoch_id, low, high),
                ).fetchall()
            failpoint.reach("edge.before_delete")
        failpoint.reach("edge.after_delete")
        with self._lock:
            for _, size in gone:
                self._count(lane, -1, -size)
        return [Place(epoch_id, seq) for seq, _ in gone]

    def park(self, stored: Stored, limit_bytes: int, reason: str) -> Stored:
        """The stand-in that now waits under the same key, while the frame itself is kept apart on the edge."""
        key = stored.key
        stand_in = encode(ParkedFrame(reason=reason, bytes=len(stored.payload), limit=limit_bytes, hash=key.hash))
        with self._transaction():
            kept = self._db.execute(
                "INSERT OR IGNORE INTO parked VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (key.epoch, key.lane, key.seq, stored.channel, stored.payload, key.hash, reason, now_text()),
            ).rowcount
            self._db.execute(
                "UPDATE frame SET payload = ?, hash = ? WHERE lane = ? AND epoch_id = ? AND seq = ?",
                (stand_in, payload_hash(stand_in), key.lane, stored.place.epoch_id, stored.place.seq),
            )
        with self._lock:
            self.parked += kept
            self._parked_bytes += kept * len(stored.payload)
            self._count(key.lane, 0, len(stand_in) - len(stored.payload))
        new_key = FrameKey(key.epoch, key.lane, key.seq, payload_hash(stand_in), key.previous_epoch)
        return Stored(stored.place, new_key, stored.channel, stand_in)

    @property
    def packet_limit(self) -> int | None:
        """The broker's maximum packet size in bytes as far as known, also from an earlier run."""
        return min(self._packet_limits.values(), default=None)

    def remember_packet_limit(self, source: LimitSource, limit_bytes: int | None) -> None:
        """Keeps the limit that the broker announced, or that was learnt from what it would not carry."""
        if self._packet_limits.get(source) == limit_bytes:
            return
        with self._transaction():
            self._db.execute("DELETE FROM packet_limit WHERE source = ?", (source,))
            if limit_bytes is not None:
                self._db.execute("INSERT INTO packet_limit VALUES (?, ?)", (source, limit_bytes))
        self._packet_limits = dict(self._read("SELECT source, bytes FROM packet_limit"))

    def refusal(self, lane: Lane) -> Refusal | None:
        """Why `lane` may not grow now; None while it may. See `room` for who is refused first."""
        return self._room.refusal(lane, self.size_bytes)

    def fullness(self) -> Fullness:
        """How full outbox and disk are; may be asked at any time."""
        refused = {lane: why for lane in LANES if (why := self.refusal(lane)) is not None}
        return Fullness(self.size_bytes, self._room.max_bytes, self._room.disk, refused, self._room.oldest_s)

    def tend(self) -> None:
        """To be called now and then: begins if that could not be done yet, and gets the ballast back.

        TransientError while the disk is still full.
        """
        self._begin()
        self._ballast.take()

    @property
    def unacknowledged_s(self) -> float:
        """Seconds since the hub last acknowledged something, or since the start."""
        return time.monotonic() - self._acknowledged_s

    def oldest_at(self, lane: Lane) -> datetime | None:
        """When the oldest frame that waits in `lane` was stored."""
        rows = self._read("SELECT stored_at FROM frame WHERE lane = ? ORDER BY epoch_id, seq LIMIT 1", lane)
        return datetime.fromisoformat(rows[0][0]) if rows else None

    def frames(self, lane: Lane) -> int:
        """How many frames wait in `lane`."""
        with self._lock:
            return self._backlog[lane].frames

    @property
    def size_bytes(self) -> int:
        """What waits and what is parked, in bytes; the journal is not counted."""
        with self._lock:
            return sum(b.size_bytes for b in self._backlog.values()) + self.spooled.size_bytes + self._parked_bytes

    @property
    def is_empty(self) -> bool:
        """Whether the hub has acknowledged everything."""
        with self._lock:
            return not self.spooled.frames and not any(b.frames for b in self._backlog.values())

    def lanes(self) -> list[LaneStatus]:
        """What waits in each lane, for the status."""
        return [LaneStatus(lane=lane, frames=self.frames(lane), oldest_at=self.oldest_at(lane)) for lane in LANES]

    def close(self) -> None:
        """Ends the use of the file; what is stored stays."""
        with self._lock:
            self._db.close()

    def _count(self, lane: Lane, frames: int, size: int) -> None:
        old = self._backlog[lane]
        self._backlog[lane] = Backlog(old.frames + frames, old.size_bytes + size + frames * ROW_BYTES)

    def _read(self, sql: str, *values: object) -> list[Any]:
        with self._lock, self._explained():
            return self._db.execute(sql, values).fetchall()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._lock, self._explained():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
                    self._ballast.drop()  # so that the next attempt has this room
                raise
            finally:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
