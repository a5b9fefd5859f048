"""What a driver hands to the agent: readings and scans, and how far it has come in its source.

A `Batch` is the unit of exactly-once: everything in it, its cursor and its marks enter the outbox in one transaction.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import NamedTuple

from sidestream_contracts.frame import Clock, Lane, Quality


class Reading(NamedTuple):
    """A number measured by `sensor` at `t` (µs UTC); `val` is None where the sensor gave none."""

    sensor: str
    t: int
    val: float | None
    q: int = Quality.GOOD


class Scan(NamedTuple):
    """A code read by `sensor` at `t` (µs UTC), with signal strength in dBm where the reader tells it."""

    sensor: str
    t: int
    code: str
    rssi: float | None = None
    q: int = Quality.GOOD


class Mark(NamedTuple):
    """Says durably that `sensor`'s value of time `t` was taken in; the n-th of that sensor, from 1."""

    sensor: str
    n: int
    t: int
    val: float | None


@dataclass(frozen=True, slots=True)
class Batch:
    """What one driver measured, in order, with the position in its source after the last of it."""

    driver: str
    lane: Lane
    clock: Clock = "live"
    readings: tuple[Reading, ...] = ()
    scans: tuple[Scan, ...] = ()
    cursor: str | None = None
    marks: tuple[Mark, ...] = ()

    def __len__(self) -> int:
        return len(self.readings) + len(self.scans)


def now_us() -> int:
    """The gateway's wall clock in µs since 1970-01-01 UTC."""
    return time.time_ns() // 1000
