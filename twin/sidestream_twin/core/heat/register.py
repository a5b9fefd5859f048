"""Heat computed from flow and temperatures beside the heat meter's own register: do they agree, and if not, why not?

Two ways from the same pulses to one number. What usually parts them is not wear but setting up: thermometers swapped,
the volume meter set to the wrong leg, a unit or pulse value mistaken. Each leaves its own ratio.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from math import hypot, sqrt

from sidestream_twin.core.errors import ModelError
from sidestream_twin.core.uncertain import Uncertain

_UNITS = (3.6, 4.1868, 10.0, 100.0, 1000.0, 3600.0)
"""kWh for MJ, kcal for kJ, pulse values, kWh for MWh, kWh for kJ; each may be mistaken either way."""
_WRONG_LEG = (0.004, 0.06)
"""Water between 30 and 110 K of difference is that much denser in the return."""


class Cause(StrEnum):
    """What the ratio looks like."""

    NONE = "they agree"
    SWAPPED = "the thermometers of supply and return are swapped"
    UNIT = "a unit or pulse value is mistaken"
    WRONG_LEG = "the volume meter may be set to the wrong leg"
    OTHER = "not explained by a setting; a meter is off"


@dataclass(frozen=True, slots=True)
class RegisterCheck:
    """``ratio`` is computed over register, ``difference_j`` with the deviation of both; ``factor`` for a mistaken unit."""

    ratio: float
    difference_j: Uncertain
    cause: Cause
    factor: float | None = None


def check_register(computed_j: Uncertain, register_j: Uncertain) -> RegisterCheck:
    """Return whether computed and registered heat of the same time agree within two deviations, else the likely cause.

    A wrong leg is told only where the deviations are fine enough to see it. Raises ModelError when the register stood
    still, because there is nothing to compare with.
    """
    if not register_j.value > 0:
        raise ModelError(f"the register rose by {register_j.value} J; choose a time in which heat was delivered")
    gap = Uncertain(
        computed_j.value - register_j.value,
        hypot(computed_j.sd_random, register_j.sd_random),
        hypot(computed_j.sd_systematic, register_j.sd_systematic),
    )
    ratio, doubt = computed_j.value / register_j.value, 2.0 * gap.sd / register_j.value
    if abs(ratio - 1.0) <= doubt:
        return RegisterCheck(ratio, gap, Cause.NONE)
    factor = _unit(abs(ratio), doubt)
    if factor is not None:
        return RegisterCheck(ratio, gap, Cause.UNIT if ratio > 0 else Cause.SWAPPED, factor)
    if ratio < 0:
        return RegisterCheck(ratio, gap, Cause.SWAPPED)
    low, high = _WRONG_LEG
    leg = low - doubt <= abs(ratio - 1.0) <= high and doubt < high
    return RegisterCheck(ratio, gap, Cause.WRONG_LEG if leg else Cause.OTHER)


def is_beyond_both(computed_j: Uncertain, register_j: Uncertain) -> bool:
    """Return whether no error that both meters may have explains the difference: their class limits and three sigma of noise.

    A deviation of a class is limit/√3 (GUM 4.3.7), so both limits together are √3 of the systematic deviations' sum.
    """
    limits = sqrt(3.0) * (computed_j.sd_systematic + register_j.sd_systematic)
    return abs(computed_j.value - register_j.value) > limits + 3.0 * hypot(computed_j.sd_random, register_j.sd_random)


def _unit(ratio: float, doubt: float) -> float | None:
    """The mistaken factor that explains the ratio, within the doubt or 2 %; 1 where none is needed."""
    for factor in (unit**power for unit in _UNITS for power in (1, -1)):
        if abs(ratio / factor - 1.0) <= max(doubt, 0.02):
            return factor
    return None
