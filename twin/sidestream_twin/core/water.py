"""Water and steam by the industrial formulation IAPWS-IF97 (release R7-97), through CoolProp's ``IF97::Water``.

Two ways in: exact single-phase properties for any temperature and pressure, and a table of liquid water at one pressure
for long series. The table has a row each 0.1 K; a straight line between rows is within 1e-6 of the formulation
(a test holds that), and reading it takes nanoseconds per value instead of microseconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from sidestream_twin.core.arrays import FloatArray, FloatLike, as_floats
from sidestream_twin.core.errors import ModelError

DEFAULT_PRESSURE_PA = 6.0e5
"""Absolute pressure of a local heat network where none is stated (the same default as a stream's in ``hub.yaml``).

It hardly matters: 1 bar changes density by 5e-5 and an enthalpy difference by less than 1e-4 of it."""

ZERO_CELSIUS_K = 273.15
_FLUID = "IF97::Water"
_ROW_K = 0.1
_HOTTEST_LIQUID_K = 620.0
_PRESSURES_PA = (1.0e3, 1.0e8)


def density_kg_m3(t_k: FloatLike, p_pa: float) -> FloatArray:
    """Return the density of liquid water or steam at temperature and absolute pressure, kg/m³."""
    return _single_phase("D", t_k, p_pa)


def enthalpy_j_kg(t_k: FloatLike, p_pa: float) -> FloatArray:
    """Return the specific enthalpy of liquid water or steam at temperature and absolute pressure, J/kg."""
    return _single_phase("H", t_k, p_pa)


def heat_capacity_j_kg_k(t_k: FloatLike, p_pa: float) -> FloatArray:
    """Return the isobaric heat capacity of liquid water or steam at temperature and absolute pressure, J/(kg·K)."""
    return _single_phase("C", t_k, p_pa)


def saturation_temperature_k(p_pa: float) -> float:
    """Return the boiling temperature at an absolute pressure, K."""
    return float(_property("T", "P", _checked_pressure(p_pa), "Q", 0.0, _FLUID))


def saturated_enthalpies_j_kg(p_pa: float) -> tuple[float, float]:
    """Return the specific enthalpies of boiling water and of dry saturated steam at an absolute pressure, J/kg."""
    pressure = _checked_pressure(p_pa)
    boiling, dry = (float(_property("H", "P", pressure, "Q", quality, _FLUID)) for quality in (0.0, 1.0))
    return boiling, dry


@dataclass(frozen=True, slots=True, eq=False)
class LiquidTable:
    """Liquid water at one pressure, a row each 0.1 K from 0 °C to just below boiling.

    Reading outside of the rows gives NaN: there is no liquid water there, so nothing is claimed.
    """

    pressure_pa: float
    t_k: FloatArray
    density: FloatArray
    enthalpy: FloatArray
    heat_capacity: FloatArray

    def density_kg_m3(self, t_k: FloatLike) -> FloatArray:
        """Return densities, kg/m³."""
        return self._read(self.density, t_k)

    def enthalpy_j_kg(self, t_k: FloatLike) -> FloatArray:
        """Return specific enthalpies, J/kg."""
        return self._read(self.enthalpy, t_k)

    def heat_capacity_j_kg_k(self, t_k: FloatLike) -> FloatArray:
        """Return isobaric heat capacities, J/(kg·K)."""
        return self._read(self.heat_capacity, t_k)

    def _read(self, column: FloatArray, t_k: FloatLike) -> FloatArray:
        return np.interp(as_floats(t_k), self.t_k, column, left=np.nan, right=np.nan)


@lru_cache(maxsize=64)
def liquid_table(p_pa: float = DEFAULT_PRESSURE_PA) -> LiquidTable:
    """Return the table of liquid water at an absolute pressure; made once per pressure.

    Raises ModelError when the pressure is outside 1 kPa to 100 MPa.
    """
    hottest = _HOTTEST_LIQUID_K
    if _checked_pressure(p_pa) < float(_property("P", "T", _HOTTEST_LIQUID_K, "Q", 0.0, _FLUID)):
        hottest = min(hottest, saturation_temperature_k(p_pa) - 1e-6)
    rows = np.append(np.arange(ZERO_CELSIUS_K, hottest, _ROW_K), hottest)
    return LiquidTable(
        p_pa, rows, density_kg_m3(rows, p_pa), enthalpy_j_kg(rows, p_pa), heat_capacity_j_kg_k(rows, p_pa)
    )


def _property(*asked: Any) -> Any:
    from CoolProp.CoolProp import PropsSI  # two seconds, and most commands that know temperatures never ask

    return PropsSI(*asked)


def _single_phase(output: str, t_k: FloatLike, p_pa: float) -> FloatArray:
    temperature = as_floats(t_k)
    try:
        found = as_floats(_property(output, "T", temperature, "P", _checked_pressure(p_pa), _FLUID))
    except ValueError as error:
        raise ModelError(_outside(temperature, p_pa)) from error
    if not np.isfinite(found).all():
        raise ModelError(_outside(temperature, p_pa))
    return found


def _outside(temperature: FloatArray, p_pa: float) -> str:
    return (
        f"no water properties for {temperature.min():.2f} to {temperature.max():.2f} K at {p_pa:.0f} Pa: "
        "IAPWS-IF97 holds from 273.15 K to 1073.15 K up to 100 MPa; look for a temperature in °C or a pressure in bar"
    )


def _checked_pressure(p_pa: float) -> float:
    if not _PRESSURES_PA[0] <= p_pa <= _PRESSURES_PA[1]:
        msg = f"an absolute pressure of {p_pa} Pa is outside 1 kPa to 100 MPa; give pascal, absolute"
        raise ModelError(msg)
    return p_pa
