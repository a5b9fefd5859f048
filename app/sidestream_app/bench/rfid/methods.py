"""The two ways to say that a tag has left: a silence of fixed length, and SMURF's. Both see time in the same epochs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from sidestream_edge.rfid.events import Read
from sidestream_edge.rfid.smoother import Smoother, Smoothing

EPOCH_S = 0.2
EPOCH_US = round(EPOCH_S * 1e6)
_LONG_AFTER_US = 600_000_000


@dataclass(frozen=True, slots=True)
class Told:
    """An enter or leave of a tag at a place, when it happened as told, and when that was known; µs."""

    is_leave: bool
    tag: str
    place: str
    t_us: int
    decided_us: int


def fixed_window(reads: Sequence[Read], window_s: float) -> list[Told]:
    """A tag enters a place with its first read there, and has left it after `window_s` without one. Reads are in order."""
    epochs = max(1, round(window_s / EPOCH_S))
    told: list[Told] = []
    last: dict[tuple[str, str], Read] = {}
    for read in reads:
        key = (read.tag, read.place)
        before = last.get(key)
        if before is not None and read.t_us // EPOCH_US - before.t_us // EPOCH_US > epochs:
            told.append(_left(before, epochs))
            before = None
        if before is None:
            told.append(Told(False, read.tag, read.place, read.t_us, _end(read)))
        last[key] = read
    return told + [_left(read, epochs) for read in last.values()]


def _left(read: Read, epochs: int) -> Told:
    return Told(True, read.tag, read.place, read.t_us, _end(read) + epochs * EPOCH_US)


def _end(read: Read) -> int:
    return (read.t_us // EPOCH_US + 1) * EPOCH_US


def smurf(reads: Sequence[Read], delta: float) -> list[Told]:
    """What the product tells. Reads are in order."""
    smoother = Smoother(Smoothing(epoch_s=EPOCH_S, delta=delta))
    events = []
    for epoch, some in groupby(reads, key=lambda read: read.t_us // EPOCH_US):
        events += smoother.advance(epoch * EPOCH_US)
        smoother.add(some)
    events += smoother.advance(reads[-1].t_us + _LONG_AFTER_US) if reads else []
    return [Told(e.kind == "leave", e.tag, e.place, e.t_us, e.decided_us) for e in events]
