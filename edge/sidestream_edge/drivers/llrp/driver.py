"""Reads tags with an LLRP reader for ever, and tells the hub which came, left or passed: each once, however reads flap.

While the reader is away nobody looks, so no tag leaves: what it reads after it has come back decides. Times are those of
the reader's own clock where that is right.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import TypeVar

from sidestream_contracts.edge import EdgeFile
from sidestream_contracts.edge_rfid import LlrpDriver
from sidestream_contracts.errors import TransientError
from sidestream_contracts.frame import Lane
from sidestream_edge.backoff import Backoff
from sidestream_edge.drivers.base import DriverContext
from sidestream_edge.drivers.llrp.link import Link, Notice, open_link
from sidestream_edge.drivers.llrp.portal import Portal, Sighting
from sidestream_edge.measurement import Batch, Scan, now_us

LONGEST_RECONNECT_S = 10.0
TICK_S = 0.05
SETTLE_US = 100_000
"""How long an epoch stays open for reads that are still under way."""

CLOCK_STEP_S = 1.0
"""A jump of the gateway's clock beyond this is not time that has passed."""

RAW_AT_ONCE = 500

_Done = TypeVar("_Done")


class Llrp:
    """One reader; `lane` scan, and bulk for raw reads."""

    type = "llrp"
    lane: Lane = "scan"

    def __init__(self, config: LlrpDriver) -> None:
        self.id = config.id
        self.patience_s = max(10.0, 4 * config.timeout_s)
        self._config = config
        self._where = f"RFID reader {config.id} ({config.host}:{config.port})"
        self._portal = Portal(config)
        self._backoff = Backoff(first_s=0.25, longest_s=LONGEST_RECONNECT_S)
        self._off: set[int] = set()
        self._raw: list[Scan] = []
        self._counted: dict[str, int] = {}
        self._unseen = True

    def run(self, context: DriverContext) -> None:
        """Connects, reads until the reader goes away, connects again."""
        while not context.stopping:
            try:
                asyncio.run(self._session(context))
            except TransientError as error:
                context.problem(str(error))
                context.wait(self._backoff.next_s())

    async def _session(self, context: DriverContext) -> None:
        """From connecting until told to stop; TransientError when the reader can't be had or has gone."""
        opened = await _patiently(open_link(self._config, self._where), context)
        if opened is None:
            return
        link, notices = opened
        try:
            self._off.clear()
            for notice in notices:
                self._note(notice, context)
            self._backoff.reset()
            context.good()
            await self._read(link, context)
        finally:
            await link.close()

    async def _read(self, link: Link, context: DriverContext) -> None:
        self._unseen = True
        step_s = time.time() - time.monotonic()
        while not context.stopping:
            sightings = await link.sightings(TICK_S)
            context.beat()
            if abs(time.time() - time.monotonic() - step_s) > CLOCK_STEP_S:
                step_s, self._unseen = time.time() - time.monotonic(), True
                context.note("clock", f"{self._where}: the gateway's clock was set while tags were read.")
            for notice in link.notices():
                self._note(notice, context)
                self._unseen |= notice.lost
            self._conclude(link, sightings, context)
            self._count(link, context, len(sightings))
            if not link.is_open:
                raise TransientError(f"{self._where} has hung up. Connecting again; check its power and network.")
            await _patiently(link.look_for_life(), context)
            context.good()

    def _conclude(self, link: Link, sightings: Sequence[Sighting], context: DriverContext) -> None:
        """Takes reads in and tells what has become certain; after a time in which nobody looked, from the first read on."""
        now = link.clock.now_us(now_us())
        if self._unseen:
            first_us = min((sighting.t_us for sighting in sightings), default=now - SETTLE_US)
            self._tell(self._portal.skip_to(first_us), context)
            self._unseen = False
        self._raw += self._portal.add(sightings)
        self._tell(self._portal.advance(now - SETTLE_US, self._off), context)
        self._tell_raw(context)

    def _tell(self, scans: tuple[Scan, ...], context: DriverContext) -> None:
        if scans and context.deliver(Batch(self.id, "scan", scans=scans)):
            context.count("events", len(scans))

    def _tell_raw(self, context: DriverContext) -> None:
        """Raw reads can't wait and may be dropped, counted; events never wait for them."""
        if self._raw:
            context.offer(Batch(self.id, "bulk", scans=tuple(self._raw[:RAW_AT_ONCE])))
            del self._raw[:RAW_AT_ONCE]

    def _note(self, notice: Notice, context: DriverContext) -> None:
        if notice.antenna is not None:
            (self._off.discard if notice.connected else self._off.add)(notice.antenna)
            if notice.connected or notice.antenna in self._config.antennas:
                context.note(notice.about, f"{notice.text}.")
        else:
            context.fault(f"reader_{notice.about}", f"{notice.text}.")

    def _count(self, link: Link, context: DriverContext, reads: int) -> None:
        context.count("reads", reads)
        for name, total in (
            ("weak", self._portal.weak),
            ("other_antenna", self._portal.elsewhere),
            ("too_many_tags", self._portal.refused),
        ):
            context.count(name, total - self._counted.get(name, 0))
            self._counted[name] = total
        if reads and not link.clock.is_trusted:
            text = f"{self._where}: its clock is not used ({link.clock.described}); times are the gateway's, told as uncertain."
            context.note("reader-clock", text)


async def _patiently(work: Coroutine[None, None, _Done], context: DriverContext) -> _Done | None:
    """What `work` gives, with a beating heart meanwhile; None when the driver is to return instead."""
    task = asyncio.ensure_future(work)
    while not task.done():
        context.beat()
        if context.stopping:
            task.cancel()
            await asyncio.wait([task])
            return None
        await asyncio.wait([task], timeout=0.1)
    return task.result()


def build(config: LlrpDriver, _base: Path, _edge: EdgeFile) -> Llrp:
    """The driver for one section; touches neither network nor file."""
    return Llrp(config)
