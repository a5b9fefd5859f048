"""What a data sheet promises, as the pair of standard deviations of each reading.

A meter's accuracy class is a limit on an error that stays with the instrument: systematic, limit/√3. Its repeatability
is given as a standard deviation: random. Either may be a share of the reading, a fixed amount, or both.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sidestream_twin.core.arrays import FloatArray, FloatLike, as_floats
from sidestream_twin.core.errors import ModelError
from sidestream_twin.core.uncertain import Uncertain, sd_from_limit


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Error of one sensor: class limits (systematic) and repeatability (random, one standard deviation).

    ``*_relative`` are shares of the reading (0.02 = 2 %), ``*_absolute`` are in the unit of the reading.
    Raises ModelError when one is negative or not finite.
    """

    limit_relative: float = 0.0
    limit_absolute: float = 0.0
    random_relative: float = 0.0
    random_absolute: float = 0.0

    def __post_init__(self) -> None:
        parts = (self.limit_relative, self.limit_absolute, self.random_relative, self.random_absolute)
        if not all(0 <= part < np.inf for part in parts):
            msg = f"accuracy {parts} can't be: each part must be finite and not negative; leave out what isn't known"
            raise ModelError(msg)

    def sd_random(self, value: FloatLike) -> FloatArray:
        """Return the random standard deviation of each reading, in the unit of the reading."""
        return np.hypot(self.random_relative * as_floats(value), self.random_absolute)

    def sd_systematic(self, value: FloatLike) -> FloatArray:
        """Return the systematic standard deviation of each reading, in the unit of the reading."""
        share, amount = sd_from_limit(self.limit_relative), sd_from_limit(self.limit_absolute)
        return np.hypot(share * as_floats(value), amount)

    def of(self, value: float) -> Uncertain:
        """Return one reading with its two standard deviations."""
        return Uncertain(value, float(self.sd_random(value)[0]), float(self.sd_systematic(value)[0]))
