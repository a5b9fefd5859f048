"""What becomes of heat that one company gives another: supplied, usable, used, dumped.

For a stream that arrives at T_supply and would be thrown away at T_discard:
  supplied  ṁ·(h(T_supply) − h(T_discard)): all that the receiver could get to see
  usable    the part of it above T_required + ΔTmin, at which the receiver can still take heat
  used      what the receiver's meter says it took
  dumped    supplied − used: what goes to the air or the fjord
  missed    usable − used: dumped although it could have been used
Hence supplied = used + dumped, always; usable ≤ supplied. ``used`` above ``supplied`` gives a negative ``dumped``, which
is a contradiction between meters and is shown, not clipped.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sidestream_twin.core.arrays import FloatArray, FloatLike, as_floats
from sidestream_twin.core.errors import ModelError
from sidestream_twin.core.water import DEFAULT_PRESSURE_PA, liquid_table


@dataclass(frozen=True, slots=True)
class Need:
    """The lowest temperature (K) at which the receiver takes heat, and the difference its exchanger needs."""

    required_k: float
    dt_min_k: float = 0.0

    def __post_init__(self) -> None:
        if not (self.required_k > 0 and self.dt_min_k >= 0):
            raise ModelError(
                f"a need at {self.required_k} K with ΔTmin {self.dt_min_k} K can't be; give K, and zero or more"
            )


@dataclass(frozen=True, slots=True, eq=False)
class HeatUse:
    """Heat flows in W, one per sample; NaN where it is not known."""

    supplied_w: FloatArray
    usable_w: FloatArray
    used_w: FloatArray

    @property
    def dumped_w(self) -> FloatArray:
        """Supplied and not used."""
        return np.asarray(self.supplied_w - self.used_w)

    @property
    def missed_w(self) -> FloatArray:
        """Usable and not used; nothing where more was used than was above the required temperature."""
        return np.maximum(self.usable_w - self.used_w, 0.0)


def heat_use(
    mass_flow_kg_s: FloatLike,
    supply_k: FloatLike,
    discard_k: FloatLike,
    used_w: FloatLike,
    need: Need,
    *,
    pressure_pa: float = DEFAULT_PRESSURE_PA,
) -> HeatUse:
    """Return what became of the heat of a stream of water, sample by sample.

    A stream that arrives colder than it would be discarded at supplies nothing. Raises ModelError when a flow is negative.
    """
    flow = as_floats(mass_flow_kg_s)
    warm, cold, used = (as_floats(each, like=flow) for each in (supply_k, discard_k, used_w))
    if (flow < 0).any():
        raise ModelError(
            "a stream of waste heat flows from supplier to receiver; turn it round where its flow is negative"
        )
    table = liquid_table(pressure_pa)
    arriving = table.enthalpy_j_kg(warm)
    supplied = flow * np.maximum(arriving - table.enthalpy_j_kg(cold), 0.0)
    floor = table.enthalpy_j_kg(np.maximum(cold, need.required_k + need.dt_min_k))
    out_of_reach = warm < need.required_k + need.dt_min_k
    usable = np.where(out_of_reach, 0.0, flow * np.maximum(arriving - floor, 0.0))
    return HeatUse(supplied, np.where(np.isnan(supplied), np.nan, usable), np.array(used))
