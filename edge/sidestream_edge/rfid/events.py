"""What is read and what is concluded from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

Kind = Literal["enter", "leave", "pass"]


class Read(NamedTuple):
    """A tag read at a place at `t_us` (µs UTC); `rssi_dbm` where the reader tells it."""

    t_us: int
    tag: str
    place: str
    rssi_dbm: float | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """A tag came to a place (its first read there), left it (its last), or passed from `origin` to it.

    `sd_s`: standard deviation of the time. `confidence`: how probable it is, by the reads that were there, that it is so.
    `decided_us`: end of the epoch in which it became certain; an event is always told after it happened. `moved`: it left
    for another place that reads it, and is not just gone.
    """

    kind: Kind
    tag: str
    place: str
    t_us: int
    sd_s: float
    confidence: float
    decided_us: int
    reads: int
    rssi_dbm: float | None = None
    origin: str | None = None
    moved: bool = False
