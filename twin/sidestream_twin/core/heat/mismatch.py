"""Supply and demand meet only at the same time: what is covered, dumped and unmet, and for how many hours.

Steps in which either is unknown (NaN) are counted as unknown and claimed for neither side.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sidestream_twin.core.arrays import FloatLike, as_floats
from sidestream_twin.core.errors import ModelError

YEAR_H = 8760.0
_WHOLE = 1e-9


@dataclass(frozen=True, slots=True)
class Mismatch:
    """Energies in J and times in s: supply = covered + dumped, demand = covered + unmet."""

    covered_j: float
    dumped_j: float
    unmet_j: float
    whole_s: float
    """Time in which there was demand and all of it was covered."""
    partly_s: float
    """Time in which demand was covered, but not wholly."""
    unmet_s: float
    """Time in which there was demand and nothing of it was covered."""
    dumping_s: float
    """Time in which supply went to waste."""
    unknown_s: float

    @property
    def covered_share(self) -> float | None:
        """Share of the demand that was covered; None without demand."""
        demand = self.covered_j + self.unmet_j
        return self.covered_j / demand if demand > 0 else None

    @property
    def used_share(self) -> float | None:
        """Share of the supply that was used; None without supply."""
        supply = self.covered_j + self.dumped_j
        return self.covered_j / supply if supply > 0 else None


def mismatch(supply_w: FloatLike, demand_w: FloatLike, step_s: FloatLike) -> Mismatch:
    """Return how supply and demand meet, step by step. Raises ModelError on negative heat, or steps of no length."""
    supply = as_floats(supply_w)
    demand, step = as_floats(demand_w, like=supply), as_floats(step_s, like=supply)
    if (supply < 0).any() or (demand < 0).any() or not (step > 0).all():
        raise ModelError(
            "supply and demand can't be below zero and steps must last; split a flow that turns round in two"
        )
    known = ~(np.isnan(supply) | np.isnan(demand))
    covered = np.where(known, np.minimum(supply, demand), 0.0)
    wanted, had = known & (demand > 0), np.where(known, supply, 0.0)
    whole = wanted & (covered >= demand * (1 - _WHOLE))
    none = wanted & (covered == 0)

    def total(values: FloatLike) -> float:
        return float(np.sum(as_floats(values) * step))

    return Mismatch(
        covered_j=total(covered),
        dumped_j=total(had - covered),
        unmet_j=total(np.where(known, demand, 0.0) - covered),
        whole_s=total(whole.astype(np.float64)),
        partly_s=total((wanted & ~whole & ~none).astype(np.float64)),
        unmet_s=total(none.astype(np.float64)),
        dumping_s=total((had > covered).astype(np.float64)),
        unknown_s=total((~known).astype(np.float64)),
    )


def common_hours(one_h: float, other_h: float, year_h: float = YEAR_H) -> tuple[float, float]:
    """Return the least and most hours a year that two things run together if only how long each runs is known."""
    if not (0 <= one_h <= year_h and 0 <= other_h <= year_h):
        raise ModelError(f"{one_h} and {other_h} hours don't both fit in a year of {year_h:g}; give hours per year")
    less_h, more_h = sorted((one_h, other_h))
    return max(0.0, less_h - (year_h - more_h)), less_h
