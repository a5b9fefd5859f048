"""Heat that a water stream carries from supplier to receiver.

Q̇ = rho(T_meter) · V̇ · (h(T_supply) - h(T_return)). A volume meter measures the water as warm as it is where the meter
sits, so the leg that it is mounted in decides which density applies: at 70/35 °C the wrong leg is wrong by 1.6 %.
Heat is positive when it goes to the receiver and negative when the return is the warmer one; it is never clipped.

Deviations by first-order propagation (GUM 5.1.2) over flow and the two temperatures, taken as three instruments that
err independently. The density's own dependence on temperature is left out: it changes the temperature's share of the
deviation by 5e-4 per kelvin of difference.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from sidestream_twin.core.arrays import FloatArray, FloatLike, as_floats
from sidestream_twin.core.errors import ModelError
from sidestream_twin.core.quality import weakest
from sidestream_twin.core.series import Interpolated, Series
from sidestream_twin.core.water import DEFAULT_PRESSURE_PA, liquid_table


class MeterPosition(StrEnum):
    """The leg in which the volume meter sits."""

    SUPPLY = "supply"
    RETURN = "return"


@dataclass(frozen=True, slots=True)
class WaterCircuit:
    """What the water's properties depend on: where volume is measured, and the absolute pressure in Pa."""

    position: MeterPosition
    pressure_pa: float = DEFAULT_PRESSURE_PA


def heat_flow_w(
    volume_flow_m3_s: FloatLike, supply_k: FloatLike, return_k: FloatLike, circuit: WaterCircuit
) -> FloatArray:
    """Return the heat flow in W for each triple; NaN where a temperature is not one of liquid water."""
    return _carried(as_floats(volume_flow_m3_s), as_floats(supply_k), as_floats(return_k), circuit)


def energy_from_volume_j(
    volume_m3: FloatLike, supply_k: FloatLike, return_k: FloatLike, circuit: WaterCircuit
) -> FloatArray:
    """Return the energy in J that volumes carried at their mean temperatures (hourly records of a heat meter)."""
    return _carried(as_floats(volume_m3), as_floats(supply_k), as_floats(return_k), circuit)


def heat_series(flow: Series, supply: Series, returned: Series, circuit: WaterCircuit, max_gap_s: float) -> Series:
    """Return the heat flow in W at each flow reading for which both temperatures are known within ``max_gap_s``.

    flow m³/s, temperatures K. Readings without both temperatures, or that are not liquid water, are counted as
    dropped, so that ``totals_from_rate`` sees the gap. Where one temperature reading serves several flow readings its
    random error repeats; the deviation is widened by √(readings served), so that a sum over them comes out right.
    """
    warm, cold = (_aligned(series, flow.at_s, max_gap_s) for series in (supply, returned))
    table = liquid_table(circuit.pressure_pa)
    meter_k = warm.value if circuit.position is MeterPosition.SUPPLY else cold.value
    mass_flow_kg_s = table.density_kg_m3(meter_k) * flow.value
    per_m3 = heat_flow_w(1.0, warm.value, cold.value, circuit)
    per_warm_k = mass_flow_kg_s * table.heat_capacity_j_kg_k(warm.value)
    per_cold_k = mass_flow_kg_s * table.heat_capacity_j_kg_k(cold.value)

    def deviation(of_flow: FloatArray, of_warm: FloatArray, of_cold: FloatArray) -> FloatArray:
        return np.sqrt((per_m3 * of_flow) ** 2 + (per_warm_k * of_warm) ** 2 + (per_cold_k * of_cold) ** 2)

    return Series.of(
        flow.at_s,
        per_m3 * flow.value,
        deviation(flow.sd_random, warm.sd_random, cold.sd_random),
        deviation(flow.sd_systematic, warm.sd_systematic, cold.sd_systematic),
        weakest((flow.origin, supply.origin, returned.origin)),
    )


@dataclass(frozen=True, slots=True)
class PositionCheck:
    """Energy by volume and temperatures over a record, for both meter positions, beside the meter's own register.

    ``likely`` is the position that agrees with the register, None when both or neither do. ``dropped`` records had a
    volume or temperature that is none, and are not in the two sums.
    """

    register_j: float
    supply_j: float
    return_j: float
    likely: MeterPosition | None
    dropped: int

    def relative_error(self, position: MeterPosition) -> float:
        """Return computed / register - 1 for one position."""
        computed = self.supply_j if position is MeterPosition.SUPPLY else self.return_j
        return computed / self.register_j - 1.0


def check_position(
    volume_m3: FloatLike,
    supply_k: FloatLike,
    return_k: FloatLike,
    *,
    register_j: float,
    pressure_pa: float = DEFAULT_PRESSURE_PA,
    tolerance: float = 0.01,
) -> PositionCheck:
    """Return which leg the volume meter sits in, judged by the meter's own energy register over the whole record.

    Records without a finite volume or liquid water's temperatures are left out and counted. Raises ModelError when the register did not
    rise, because there is nothing to compare with.
    """
    if not register_j > 0:
        msg = f"the energy register rose by {register_j} J; choose a record over which heat was delivered"
        raise ModelError(msg)
    records = [
        energy_from_volume_j(volume_m3, supply_k, return_k, WaterCircuit(position, pressure_pa))
        for position in (MeterPosition.SUPPLY, MeterPosition.RETURN)
    ]
    supply_j, return_j = (float(np.nansum(energy)) for energy in records)
    dropped = int(np.isnan(records[0]).sum())
    undecided = PositionCheck(float(register_j), supply_j, return_j, None, dropped)
    fitting = [position for position in MeterPosition if abs(undecided.relative_error(position)) <= tolerance]
    return replace(undecided, likely=fitting[0]) if len(fitting) == 1 else undecided


def _carried(volume: FloatArray, supply_k: FloatArray, return_k: FloatArray, circuit: WaterCircuit) -> FloatArray:
    table = liquid_table(circuit.pressure_pa)
    meter_k = supply_k if circuit.position is MeterPosition.SUPPLY else return_k
    return table.density_kg_m3(meter_k) * volume * (table.enthalpy_j_kg(supply_k) - table.enthalpy_j_kg(return_k))


def _aligned(series: Series, at_s: FloatArray, max_gap_s: float) -> Interpolated:
    read = series.interpolated(at_s, max_gap_s)
    own_spacing = _spacing_after(at_s, at_s, max_gap_s)
    served = _spacing_after(series.at_s, at_s, max_gap_s) / own_spacing
    return Interpolated(
        read.value, read.sd_random * np.sqrt(np.maximum(served, 1.0)), read.sd_systematic, read.spacing_s
    )


def _spacing_after(at_s: FloatArray, instants: FloatArray, most_s: float) -> FloatArray:
    """Return the distance from the last of ``at_s`` at or before each instant to the next, at most ``most_s``.

    Capped, so that it does not depend on readings further away than anyone who computes a window needs to have.
    """
    after = np.searchsorted(at_s, instants, side="right")
    bounded = np.append(at_s, np.inf)
    before = np.append(-np.inf, at_s)
    spacing: FloatArray = np.minimum(bounded[after] - before[after], most_s)
    return spacing
