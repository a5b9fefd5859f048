"""Signals of the bench's meters, a day at a time: daily and faster swings, declared random errors, a meter's resolution.

Half of the meters give scaled integers (a decimal resolution), half 32-bit floats, as real ones do; random doubles would
make any storage look bad, smooth ones would make it look good.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sidestream_contracts.hub import Sensor

DAY_MIN = 1440
_LEVELS = {
    "volume_flow": (40.0, 8.0), "supply_temperature": (85.0, 4.0), "return_temperature": (50.0, 3.0), "power": (600.0, 80.0),
    "mass_flow": (12.0, 3.0), "stock_mass": (40_000.0, 9_000.0), "other": (12.0, 6.0),
}  # fmt: skip
_DECIMALS = {"volume_flow": 3, "energy_register": 2, "mass_flow": 3, "stock_mass": 0}


@dataclass(slots=True)
class Signals:
    """Values of these sensors, the same for the same seed."""

    sensors: Sequence[Sensor]
    seed: int = 1
    _registers: dict[str, float] = field(default_factory=dict)

    def day(self, number: int) -> NDArray[np.float64]:
        """What the sensors show in each minute of day `number`: shape (sensors, 1440), in their own units."""
        return np.stack([self._show(index, sensor, number) for index, sensor in enumerate(self.sensors)])

    def _show(self, index: int, sensor: Sensor, number: int) -> NDArray[np.float64]:
        noise = np.random.default_rng((self.seed, index, number))
        if sensor.role == "energy_register":
            shown = self._registers.get(sensor.id, 1e5 * (index + 1)) + np.cumsum(
                27.0 + noise.normal(0.0, 0.3, DAY_MIN)
            )
            self._registers[sensor.id] = float(shown[-1])
        else:
            mean, swing = _LEVELS[sensor.role]
            at_min = number * DAY_MIN + np.arange(DAY_MIN)
            shown = mean + swing * (
                0.8 * np.sin(2 * np.pi * at_min / DAY_MIN + index) + 0.2 * np.sin(2 * np.pi * at_min / 97 + 2 * index)
            )
            sd = np.hypot(sensor.accuracy.random_pct / 100 * shown, sensor.accuracy.random_abs)
            shown += noise.normal(0.0, 1.0, DAY_MIN) * sd
        if index // 25 % 2:
            return shown.astype(np.float32).astype(np.float64)
        return np.round(shown, _DECIMALS.get(sensor.role, 2))
