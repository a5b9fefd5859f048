"""Batches become frames: readings and scans of several drivers share a frame while lane, kind and clock agree.

Everything of a lane is flushed together with the cursors and marks of its batches, so that the outbox can store all at once.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from sidestream_contracts.edge import Framing
from sidestream_contracts.frame import LANES, Clock, Lane, ReadingsFrame, ScansFrame, encode
from sidestream_edge.measurement import Batch, Mark, Reading, Scan
from sidestream_edge.outbox import Draft

BULK_READINGS = 1000
"""Readings in a frame of the bulk lane, where nobody waits for the single one."""

MERGED_READINGS = 2000
"""Readings in a frame that is made of spooled ones."""

WAITING_S = 0.05
"""How long a live batch with a cursor waits at most: its source goes on only when it is stored."""

_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True)
class Flush:
    """What enters the outbox in one transaction: frames of one lane and how far each driver has come with them."""

    lane: Lane
    drafts: tuple[Draft, ...]
    cursors: dict[str, str]
    readings: int
    marks: tuple[tuple[str, Mark], ...] = ()


@dataclass(slots=True)
class _Pending:
    """Batches of one lane that wait for a frame, until the monotonic `due_s` at the latest."""

    due_s: float = float("inf")
    batches: list[Batch] = field(default_factory=list)
    readings: int = 0


class Coalescer:
    """Holds batches until a frame is full or `max_wait_s` old; loses none, keeps their order in each lane."""

    def __init__(self, framing: Framing, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits: dict[Lane, int] = dict.fromkeys(LANES, framing.max_readings)
        self._limits["bulk"] = max(framing.max_readings, BULK_READINGS)
        self._max_wait_s = framing.max_wait_s
        self._clock = clock
        self._pending: dict[Lane, _Pending] = {lane: _Pending() for lane in LANES}

    def add(self, batch: Batch) -> None:
        """Takes a batch in; an empty one still moves its cursor."""
        pending = self._pending[batch.lane]
        urgent = batch.lane == "live" and batch.cursor is not None
        wait_s = min(self._max_wait_s, WAITING_S) if urgent else self._max_wait_s
        pending.due_s = min(pending.due_s, self._clock() + wait_s)
        pending.batches.append(batch)
        pending.readings += len(batch)

    def full(self, lane: Lane) -> bool:
        """Whether `lane` has a whole frame."""
        return self._pending[lane].readings >= self._limits[lane]

    def due_in_s(self) -> float:
        """Seconds until the next lane is due; infinite while nothing waits."""
        return max(0.0, min(pending.due_s for pending in self._pending.values()) - self._clock())

    def due(self) -> list[Lane]:
        """Lanes whose frame is full or has waited long enough, the most urgent lane first."""
        now_s = self._clock()
        return [
            lane
            for lane, pending in self._pending.items()
            if pending.batches and (self.full(lane) or now_s >= pending.due_s)
        ]

    def flush(self, lane: Lane, max_bytes: int) -> Flush | None:
        """Everything that waits in `lane` as frames of at most `max_bytes` payload, where single readings allow it."""
        pending, self._pending[lane] = self._pending[lane], _Pending()
        if not pending.batches:
            return None
        cursors = {batch.driver: batch.cursor for batch in pending.batches if batch.cursor is not None}
        marks = tuple((batch.driver, mark) for batch in pending.batches for mark in batch.marks)
        drafts = tuple(_drafts(lane, pending.batches, self._limits[lane], max_bytes))
        return Flush(lane, drafts, cursors, pending.readings, marks)


def merged(drafts: Sequence[Draft]) -> tuple[Draft, ...]:
    """The same measurements in the same order as few frames of lane bulk; what the frames are depends on nothing else.

    A frame is no larger than 1.2 times the sum of its drafts: names and keys that were in each stand in it once, but a
    place in a longer list of sensors may take two digits more.
    """
    return tuple(_drafts("bulk", [_batch_of(draft) for draft in drafts], MERGED_READINGS, sys.maxsize))


def _batch_of(draft: Draft) -> Batch:
    body = json.loads(draft.payload)
    names, columns = body["sensors"], zip(body["i"], body["t"], body["val"], body["q"], strict=True)
    if draft.channel == "readings":
        readings = tuple(Reading(names[i], t, val, q) for i, t, val, q in columns)
        return Batch("", "bulk", body["clock"], readings=readings)
    rssi = body["rssi"] or [None] * len(body["i"])
    scans = tuple(Scan(names[i], t, val, dbm, q) for (i, t, val, q), dbm in zip(columns, rssi, strict=True))
    return Batch("", "bulk", body["clock"], scans=scans)


def _drafts(lane: Lane, batches: Sequence[Batch], limit: int, max_bytes: int) -> Iterator[Draft]:
    readings: dict[Clock, list[Reading]] = {}
    scans: dict[Clock, list[Scan]] = {}
    for batch in batches:
        if batch.readings:
            readings.setdefault(batch.clock, []).extend(batch.readings)
        if batch.scans:
            scans.setdefault(batch.clock, []).extend(batch.scans)
    for clock, many in readings.items():
        for n in range(0, len(many), limit):
            for payload in _fit(many[n : n + limit], max_bytes, partial(readings_payload, clock=clock)):
                yield Draft(lane, "readings", payload)
    for clock, codes in scans.items():
        for n in range(0, len(codes), limit):
            for payload in _fit(codes[n : n + limit], max_bytes, partial(scans_payload, clock=clock)):
                yield Draft(lane, "scans", payload)


def _fit(items: Sequence[_Item], max_bytes: int, build: Callable[[Sequence[_Item]], bytes]) -> Iterator[bytes]:
    payload = build(items)
    if len(payload) <= max_bytes or len(items) == 1:
        yield payload
        return
    middle = len(items) // 2
    yield from _fit(items[:middle], max_bytes, build)
    yield from _fit(items[middle:], max_bytes, build)


def readings_payload(readings: Sequence[Reading], clock: Clock) -> bytes:
    """The readings as one frame's bytes."""
    place = {sensor: n for n, sensor in enumerate(dict.fromkeys(r.sensor for r in readings))}
    frame = ReadingsFrame.model_validate(
        {
            "sensors": list(place),
            "i": [place[r.sensor] for r in readings],
            "t": [r.t for r in readings],
            "val": [r.val for r in readings],
            "q": [r.q for r in readings],
            "clock": clock,
        }
    )
    return encode(frame)


def scans_payload(scans: Sequence[Scan], clock: Clock) -> bytes:
    """The scans as one frame's bytes; `rssi` only where some reader told it."""
    place = {sensor: n for n, sensor in enumerate(dict.fromkeys(s.sensor for s in scans))}
    frame = ScansFrame.model_validate(
        {
            "sensors": list(place),
            "i": [place[s.sensor] for s in scans],
            "t": [s.t for s in scans],
            "val": [s.code for s in scans],
            "q": [s.q for s in scans],
            "rssi": [s.rssi for s in scans] if any(s.rssi is not None for s in scans) else None,
            "clock": clock,
        }
    )
    return encode(frame)
