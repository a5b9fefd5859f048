"""Batches in, frames on the disk: what the main loop does with everything that drivers hand over.

Nothing is forgotten on a full disk: what could not be stored is kept in memory, in order, and tried again; the caller takes
nothing more from the bus meanwhile. While the hub takes nothing, live readings are spooled and packed into large frames of
lane bulk (see `diversion`); they are as durable there as in a frame.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

import structlog

from sidestream_contracts.edge import Framing
from sidestream_contracts.errors import TransientError
from sidestream_contracts.frame import LANES, Lane
from sidestream_edge.diversion import Diversion
from sidestream_edge.framing import Coalescer, Flush
from sidestream_edge.measurement import Batch
from sidestream_edge.outbox import Outbox

log = structlog.get_logger()

LOOK_S = 0.1
TEND_S = 10.0
RETRY_STORE_S = 0.5
PACK_BYTES = 48_000
"""Spooled bytes that make a frame of well over a thousand readings."""

MAX_PAYLOAD_BYTES = 1 << 18
PACKET_OVERHEAD_BYTES = 700
"""Topic, user properties and headers of a frame on the wire, generously."""


class Intake:
    """`stored` is told the cursors that have become durable; `wake` that there is something to send."""

    def __init__(
        self, framing: Framing, outbox: Outbox, stored: Callable[[dict[str, str]], None], wake: Callable[[], None]
    ) -> None:
        self._outbox = outbox
        self._stored = stored
        self._wake = wake
        self._coalescer = Coalescer(framing)
        self._diversion = Diversion()
        self._unstored: list[Flush] = []
        self._retry_s = 0.0
        self._look_s = 0.0
        self._tend_s = 0.0
        self.trouble: str | None = outbox.unwritable

    @property
    def is_stuck(self) -> bool:
        """Whether something waits in memory that the disk would not take."""
        return bool(self._unstored)

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits in memory."""
        return not self._unstored and self._coalescer.due_in_s() == float("inf")

    @property
    def is_diverting(self) -> bool:
        """Whether live readings go behind the backlog."""
        return self._diversion.on

    def due_in_s(self) -> float:
        """Seconds until `flush_due` has something to do; infinite while nothing waits."""
        return self._coalescer.due_in_s()

    def add(self, batch: Batch) -> None:
        """Takes a batch in; a frame that is full by that is stored at once."""
        self._coalescer.add(batch)
        if self._coalescer.full(batch.lane):
            self._flush(batch.lane)

    def flush_due(self) -> None:
        """Stores what has waited long enough."""
        for lane in self._coalescer.due():
            self._flush(lane)

    def look(self) -> None:
        """Decides where live readings go, and looks after the outbox; to be called every turn, does little."""
        now_s = time.monotonic()
        if now_s >= self._look_s:
            self._look_s = now_s + LOOK_S
            self._divert()
        if now_s >= self._tend_s and not self._unstored:
            self._tend_s = now_s + (TEND_S if self.trouble is None else RETRY_STORE_S)
            self._attempt(self._outbox.tend)

    def store(self) -> None:
        """Stores what waits in memory, oldest first, until the disk refuses."""
        while self._unstored and time.monotonic() >= self._retry_s:
            flush = self._unstored[0]
            if not self._attempt(partial(self._put, flush)):
                return
            self._unstored.pop(0)
            self._stored(flush.cursors)
            if self._outbox.spooled.size_bytes >= PACK_BYTES:
                self._attempt(
                    self._outbox.pack
                )  # by itself: what is spooled must not be spooled again where this fails
            self._wake()

    def finish(self) -> int:
        """Stores all that is in memory as far as the disk lets it; how many readings are lost by that."""
        for lane in LANES:
            self._flush(lane)
        self._retry_s = 0.0
        self.store()
        lost = sum(flush.readings for flush in self._unstored)
        if lost:
            log.error("readings lost: they could not be stored before the end", readings=lost, why=self.trouble)
        return lost

    def _put(self, flush: Flush) -> None:
        if flush.lane == "live" and self._diversion.on:
            part_bytes = min(PACK_BYTES, self._max_bytes() * 3 // 4)  # merging may add a little
            self._outbox.spool(flush.drafts, flush.cursors, flush.marks, part_bytes)
        else:
            self._outbox.append(flush.drafts, flush.cursors, flush.marks)

    def _divert(self) -> None:
        before, frames = self._diversion.on, self._outbox.frames("live")
        try:
            oldest_at = self._outbox.oldest_at("live") if frames else None
        except TransientError as error:
            log.warning("can't look at the outbox now", why=str(error))
            return
        oldest_s = (datetime.now(UTC) - oldest_at).total_seconds() if oldest_at else 0.0
        if self._diversion.look(frames, oldest_s, self._outbox.unacknowledged_s) != before:
            log.info("live readings go behind the backlog" if not before else "live readings are sent at once again")
        if not self._diversion.on and self._outbox.spooled.frames and self._attempt(self._outbox.pack):
            self._wake()

    def _flush(self, lane: Lane) -> None:
        flush = self._coalescer.flush(lane, self._max_bytes())
        if flush is not None:
            self._unstored.append(flush)
            self.store()

    def _max_bytes(self) -> int:
        return min(MAX_PAYLOAD_BYTES, (self._outbox.packet_limit or MAX_PAYLOAD_BYTES) - PACKET_OVERHEAD_BYTES)

    def _attempt(self, work: Callable[[], None]) -> bool:
        """Whether `work` on the outbox could be done; if not, why stands in `trouble` and is logged once."""
        try:
            work()
        except TransientError as error:
            self._retry_s = time.monotonic() + RETRY_STORE_S
            if self.trouble is None:
                log.error(str(error))  # noqa: TRY400  the sentence says it all
            self.trouble = str(error)
            return False
        if self.trouble is not None:
            log.info("the outbox takes readings again")
            self.trouble = None
        return True
