"""What a number needs to be told with: its sensor's unit and accuracy, as columns to calculate with at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import psycopg

from sidestream_contracts.frame import Quality
from sidestream_store.read.hub import REGISTERS

Floats = npt.NDArray[np.float64]
MARKS = ("good", "uncertain", "bad", "out_of_range")


@dataclass(frozen=True, slots=True)
class Meter:
    """What is declared of one sensor; `factor` and `offset` lead from its unit to `si_unit`."""

    sensor_id: int
    id: str
    quantity: str
    unit: str
    si_unit: str
    factor: float
    offset: float
    limit_pct: float
    limit_abs: float
    random_pct: float
    random_abs: float
    range_low: float | None
    range_high: float | None


def meters(connection: psycopg.Connection[Any]) -> list[Meter]:
    """Every sensor of the hub, by number."""
    rows = connection.execute(
        "SELECT sensor_id, id, quantity, unit, si_unit, si_factor, si_offset, limit_pct, limit_abs, random_pct, random_abs,"
        " range_low, range_high FROM sidestream_v.sensor ORDER BY sensor_id"
    ).fetchall()
    return [Meter(*row) for row in rows]


class Meters:
    """Sensors as columns; `place` leads from numbers of sensors to rows of the columns."""

    def __init__(self, listed: Sequence[Meter], *, si: bool = False) -> None:
        self.listed = sorted(listed, key=lambda meter: meter.sensor_id)
        self.names = [meter.id for meter in self.listed]
        self.units = [meter.si_unit if si else meter.unit for meter in self.listed]
        self.si = si
        self._numbers = np.array([meter.sensor_id for meter in self.listed], dtype=np.int64)
        self._accuracy = np.array(
            [[m.limit_pct, m.limit_abs, m.random_pct, m.random_abs] for m in self.listed]
        ).reshape(-1, 4)
        self._map = np.array([[m.factor, m.offset] for m in self.listed]).reshape(-1, 2)
        # a register's range says where it turns over, not what is plausible
        self._range = np.array(
            [
                [np.nan, np.nan] if m.quantity in REGISTERS else [_or_nan(m.range_low), _or_nan(m.range_high)]
                for m in self.listed
            ]
        ).reshape(-1, 2)

    def place(self, sensor_ids: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        """Row of each sensor; every one of them must be listed."""
        return np.searchsorted(self._numbers, sensor_ids)

    def converted(self, place: npt.NDArray[np.int64], values: Floats) -> Floats:
        """Values in the unit that is told; untouched, bit for bit, where that is the sensor's own."""
        return values * self._map[place, 0] + self._map[place, 1] if self.si else values

    def sd(
        self,
        place: npt.NDArray[np.int64],
        values: Floats,
        readings: npt.NDArray[Any] | int = 1,
        own: Floats | None = None,
    ) -> Floats:
        """Standard deviation of values given in the sensor's own unit, in the unit that is told; NaN: not known.

        Where a reading came with a deviation of its `own` (not NaN), that counts and not the declared accuracy.
        The class limit is systematic (limit/√3) and does not shrink with the number of readings.
        """
        limit_pct, limit_abs, random_pct, random_abs = self._accuracy[place].T
        systematic = np.hypot(limit_pct / 100 * values, limit_abs) / np.sqrt(3)
        random = np.hypot(random_pct / 100 * values, random_abs) / np.sqrt(np.maximum(readings, 1))
        spread = np.where(self._accuracy[place].any(axis=1), np.hypot(systematic, random), np.nan)
        if own is not None:
            spread = np.where(np.isnan(own), spread, own)
        return spread * self._map[place, 0] if self.si else spread

    def marks(self, place: npt.NDArray[np.int64], values: Floats, quality: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Place in MARKS: whether each value (own unit, NaN: none) may be trusted, as `Sensor.mark` of the read API says it."""
        low, high = self._range[place].T
        outside = (values < low) | (values > high)
        bad = (quality == Quality.BAD) | np.isnan(values)
        return np.where(bad, 2, np.where(outside, 3, np.where(quality == Quality.GOOD, 0, 1)))


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else value
