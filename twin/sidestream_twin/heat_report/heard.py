"""Figures of the asked time on one grid of buckets: energies of streams, means of sensors. Pure.

What is compared is taken over the same time: in each bucket as many seconds as all of the compared figures are known for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from math import sqrt

import numpy as np

from sidestream_store.read.heat import EnergySum, HeatSide, SensorMean
from sidestream_store.twin.hub import HubSensor, TwinHub
from sidestream_twin.core.arrays import FloatArray
from sidestream_twin.core.uncertain import Uncertain
from sidestream_twin.heat_report.told import weakest_of
from sidestream_twin.sensing import accuracy_of


@dataclass(frozen=True, slots=True)
class Grid:
    """`count` buckets of `width_s` from `from_at` on; the last one may reach beyond `to_at`, where the time ends."""

    from_at: datetime
    to_at: datetime
    width_s: int

    @property
    def length_s(self) -> float:
        """The asked time."""
        return (self.to_at - self.from_at).total_seconds()

    @property
    def count(self) -> int:
        """Buckets, the last one perhaps not full."""
        return int(-(-self.length_s // self.width_s))

    def place(self, at: datetime) -> int:
        """The bucket that begins then."""
        return int((at - self.from_at).total_seconds() // self.width_s)


@dataclass(frozen=True, slots=True, eq=False)
class Energy:
    """A stream's energy per bucket, J; a bucket of which nothing is known has `valued_s` 0."""

    total_j: FloatArray
    variance_j2: FloatArray
    systematic_j: FloatArray
    seen_s: FloatArray
    valued_s: FloatArray
    origins: tuple[str | None, ...]

    @property
    def power_w(self) -> FloatArray:
        """Mean power of each bucket; NaN where nothing is known."""
        return np.divide(self.total_j, self.valued_s, out=np.full_like(self.total_j, np.nan), where=self.valued_s > 0)

    def over(self, seconds: FloatArray) -> Uncertain:
        """Energy of so many seconds of each bucket; none may be of a bucket of which nothing is known."""
        share = np.divide(seconds, self.valued_s, out=np.zeros_like(seconds), where=self.valued_s > 0)
        return Uncertain(
            float(np.sum(self.total_j * share)),
            sqrt(float(np.sum(self.variance_j2 * share**2))),
            float(np.sum(self.systematic_j * share)),
        )

    def origin(self, seconds: FloatArray) -> str:
        """The least trusted origin among these buckets."""
        return weakest_of(word for word, part in zip(self.origins, seconds, strict=True) if word and part > 0)


@dataclass(frozen=True, slots=True, eq=False)
class Means:
    """A sensor's mean of each bucket, SI; NaN where it gave none. `n` readings."""

    sensor: HubSensor
    value: FloatArray
    n: FloatArray

    def weighted(self, weight: FloatArray) -> Uncertain:
        """Mean with these weights over the buckets that have one; what the sensor errs always stays, noise averages out."""
        used = (weight > 0) & np.isfinite(self.value)
        mean = float(np.average(self.value[used], weights=weight[used]))
        accuracy, _ = accuracy_of(self.sensor)
        read = accuracy.of((mean - self.sensor.si_offset) / self.sensor.si_factor)
        factor = abs(self.sensor.si_factor)
        spread = read.sd_random * factor / sqrt(max(float(np.sum(self.n[used])), 1.0))
        return Uncertain(mean, spread, read.sd_systematic * factor)


@dataclass(frozen=True, slots=True, eq=False)
class Heard:
    """Everything that a report rests on. `paired`: energy of steps in which meter and register both have a figure."""

    hub: TwinHub
    side: HeatSide
    grid: Grid
    energies: Mapping[tuple[str, str], Energy]
    means: Mapping[str, Means]
    paired: Mapping[tuple[str, str], float]

    def completeness(self, energy: Energy, seconds: FloatArray) -> float:
        """Share of the asked time that these seconds really saw."""
        share = np.divide(seconds, energy.valued_s, out=np.zeros_like(seconds), where=energy.valued_s > 0)
        return min(float(np.sum(energy.seen_s * share)) / self.grid.length_s, 1.0)

    def mean(self, sensor: HubSensor) -> FloatArray:
        """A sensor's means; NaN throughout where it gave none."""
        found = self.means.get(sensor.id)
        return found.value if found is not None else np.full(self.grid.count, np.nan)


def energies_of(rows: Iterable[EnergySum], grid: Grid) -> dict[tuple[str, str], Energy]:
    """Rows on the grid, by stream and quantity."""
    found = {}
    for key, parts in groupby(rows, key=lambda row: (row.subject, row.quantity)):
        columns = np.zeros((5, grid.count))
        origins: list[str | None] = [None] * grid.count
        for row in parts:
            at = grid.place(row.bucket)
            columns[:, at] = row.total, row.variance_random, row.sd_systematic, row.seen_s, row.valued_s
            origins[at] = row.origin
        total, variance, systematic, seen, valued = columns
        found[key] = Energy(total, variance, systematic, seen, valued, tuple(origins))
    return found


def means_of(rows: Iterable[SensorMean], sensors: Iterable[HubSensor], grid: Grid) -> dict[str, Means]:
    """Rows on the grid, by sensor, in SI."""
    known = {sensor.id: sensor for sensor in sensors}
    found = {}
    for name, parts in groupby(rows, key=lambda row: row.sensor):
        value, n = np.full(grid.count, np.nan), np.zeros(grid.count)
        sensor = known[name]
        for row in parts:
            at = grid.place(row.bucket)
            value[at], n[at] = row.mean * sensor.si_factor + sensor.si_offset, row.n
        found[name] = Means(sensor, value, n)
    return found


def common_s(*energies: Energy) -> FloatArray:
    """In each bucket the seconds for which all are known, as far as that can be told from how long each one is."""
    return np.asarray(np.min([energy.valued_s for energy in energies], axis=0))
