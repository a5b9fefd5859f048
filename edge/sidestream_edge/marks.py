"""Remembers which measurements were taken, so that one which its source says again is not taken again.

A measurement is known by sensor, source time and value. The last 128 of each sensor are kept, durably, in the outbox; a
source that repeats more than that (a whole history) is taken twice.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from sidestream_edge.measurement import Mark, Reading
from sidestream_edge.outbox.aside import RING


@dataclass(slots=True)
class _Taken:
    """Of one sensor: time and value of the newest measurements in the order of their coming, and how many there ever were."""

    last: dict[tuple[int, float | None], None] = field(default_factory=dict)
    count: int = 0

    def add(self, mark: Mark) -> None:
        self.last[mark.t, mark.val] = None
        self.count = max(self.count, mark.n)
        while len(self.last) > RING:
            del self.last[next(iter(self.last))]


class Marks:
    """Of one driver over all its runs, beginning with what the outbox remembers (`stored`, oldest first)."""

    def __init__(self, stored: Iterable[Mark] = ()) -> None:
        self._sensors: dict[str, _Taken] = {}
        self.keep(stored)

    def fresh(self, readings: Iterable[Reading]) -> tuple[list[Reading], list[Mark]]:
        """Those that were not taken before, each once, and the marks to be kept when they have been handed over."""
        found: list[Reading] = []
        marks: list[Mark] = []
        seen: set[tuple[str, int, float | None]] = set()
        added: dict[str, int] = {}
        for reading in readings:
            sensor, key = self._sensors.get(reading.sensor), (reading.sensor, reading.t, reading.val)
            if key in seen or (sensor is not None and (reading.t, reading.val) in sensor.last):
                continue
            seen.add(key)
            added[reading.sensor] = added.get(reading.sensor, sensor.count if sensor else 0) + 1
            found.append(reading)
            marks.append(Mark(reading.sensor, added[reading.sensor], reading.t, reading.val))
        return found, marks

    def told(self) -> list[Mark]:
        """All that is remembered, oldest first of each sensor."""
        return [
            Mark(sensor, taken.count - len(taken.last) + n, t, val)
            for sensor, taken in self._sensors.items()
            for n, (t, val) in enumerate(taken.last, start=1)
        ]

    def keep(self, marks: Iterable[Mark]) -> None:
        """These were handed over."""
        for mark in marks:
            self._sensors.setdefault(mark.sensor, _Taken()).add(mark)

    def newest(self, sensor: str) -> int | None:
        """The latest time (µs UTC) among what is remembered of `sensor`; None where nothing is."""
        taken = self._sensors.get(sensor)
        return max((t for t, _ in taken.last), default=None) if taken else None
