"""From the height of a filling to its mass: a vessel's shape and the bulk density of what is in it.

What the height errs goes through the slope of the shape; what the density errs is a share of the whole mass, and the
same each time, so it belongs with the level sensor's own systematic error.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sidestream_twin.core.arrays import FloatArray
from sidestream_twin.core.errors import ModelError
from sidestream_twin.core.series import Series


@dataclass(frozen=True, slots=True)
class Vessel:
    """Volume, m³, over height, m, straight between the given points and beyond them; density with its deviation, kg/m³.

    Raises ModelError unless heights and volumes rise, there are two of them at least, and the density is above zero.
    """

    heights_m: tuple[float, ...]
    volumes_m3: tuple[float, ...]
    density_kg_m3: float
    density_sd_kg_m3: float = 0.0

    def __post_init__(self) -> None:
        shape = np.array([self.heights_m, self.volumes_m3]) if len(self.heights_m) == len(self.volumes_m3) else None
        if shape is None or shape.shape[1] < 2 or not (np.diff(shape) > 0).all() or not self.density_kg_m3 > 0:
            msg = (
                f"a vessel with volumes {self.volumes_m3} m3 at heights {self.heights_m} m and {self.density_kg_m3} kg/m3 "
                "can't be: give two or more points, each higher and larger than the one before, and a density above 0"
            )
            raise ModelError(msg)

    @classmethod
    def upright(cls, area_m2: float, density_kg_m3: float, density_sd_kg_m3: float = 0.0) -> Vessel:
        """A vessel of one cross-section over its whole height."""
        return cls((0.0, 1.0), (0.0, area_m2), density_kg_m3, density_sd_kg_m3)

    def masses(self, levels: Series) -> Series:
        """The mass in kg at each level in m, with both deviations."""
        volume, slope = self._volumes(levels.value)
        return replace(
            levels,
            value=volume * self.density_kg_m3,
            sd_random=levels.sd_random * slope * self.density_kg_m3,
            sd_systematic=np.hypot(levels.sd_systematic * slope * self.density_kg_m3, volume * self.density_sd_kg_m3),
        )

    def _volumes(self, heights_m: FloatArray) -> tuple[FloatArray, FloatArray]:
        at, volume = np.array(self.heights_m), np.array(self.volumes_m3)
        part = np.clip(np.searchsorted(at, heights_m, side="right") - 1, 0, at.size - 2)
        slope = (np.diff(volume) / np.diff(at))[part]
        return volume[part] + slope * (heights_m - at[part]), slope
