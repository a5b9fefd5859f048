"""What a stream is made of, as far as heat goes: specific enthalpy at a temperature, and its slope.

Water and steam share the zero of IAPWS-IF97, so they may be mixed and condensed into each other; a polynomial has a zero
of its own. Beyond the range in which a fluid exists its enthalpy goes on as a straight line: a solver may pass through
there, an answer may not stay there (``holds_k`` tells).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np

from sidestream_twin.core import water
from sidestream_twin.core.errors import ModelError


class Fluid(Protocol):
    """Something with an enthalpy that rises with temperature; equal ``substance``: enthalpies may be compared."""

    @property
    def substance(self) -> str:
        """What it is, whatever its state."""

    @property
    def holds_k(self) -> tuple[float, float]:
        """Temperatures between which it is what it is called."""

    def enthalpy(self, t_k: float) -> tuple[float, float]:
        """Return specific enthalpy in J/kg and its slope in J/(kg·K)."""


@dataclass(frozen=True, slots=True)
class Polynomial:
    """h = Σ cᵢ·(T − zero)ⁱ in J/kg, with coefficients in J/(kg·Kⁱ); (0, cp) is a constant heat capacity.

    Raises ModelError when there is no coefficient beyond the first or one is not finite.
    """

    name: str
    coefficients: tuple[float, ...]
    zero_k: float = water.ZERO_CELSIUS_K

    def __post_init__(self) -> None:
        if len(self.coefficients) < 2 or not np.isfinite(self.coefficients).all() or not any(self.coefficients[1:]):
            msg = (
                f"fluid {self.name}: enthalpy must change with temperature; give at least (h0, cp), finite and cp not 0"
            )
            raise ModelError(msg)

    @property
    def substance(self) -> str:
        """Its name: two polynomials have two zeros."""
        return self.name

    @property
    def holds_k(self) -> tuple[float, float]:
        """Above absolute zero; what the polynomial was fitted for is not known."""
        return (0.0, float("inf"))

    def enthalpy(self, t_k: float) -> tuple[float, float]:
        """Return specific enthalpy in J/kg and its slope in J/(kg·K)."""
        value = slope = 0.0
        for coefficient in reversed(self.coefficients):
            slope = slope * (t_k - self.zero_k) + value
            value = value * (t_k - self.zero_k) + coefficient
        return value, slope


@dataclass(frozen=True, slots=True)
class LiquidWater:
    """Liquid water at an absolute pressure, from 0 °C to boiling (IAPWS-IF97)."""

    pressure_pa: float = water.DEFAULT_PRESSURE_PA

    @property
    def substance(self) -> str:
        """Water, as steam is."""
        return "water"

    @property
    def holds_k(self) -> tuple[float, float]:
        """From 0 °C to boiling."""
        rows = water.liquid_table(self.pressure_pa).t_k
        return float(rows[0]), float(rows[-1])

    def enthalpy(self, t_k: float) -> tuple[float, float]:
        """Return specific enthalpy in J/kg and its slope in J/(kg·K)."""
        table = water.liquid_table(self.pressure_pa)
        within = float(np.clip(t_k, table.t_k[0], table.t_k[-1]))
        slope = float(np.interp(within, table.t_k, table.heat_capacity))
        return float(np.interp(within, table.t_k, table.enthalpy)) + slope * (t_k - within), slope


@dataclass(frozen=True, slots=True)
class Steam:
    """Superheated or just dry steam at an absolute pressure (IAPWS-IF97)."""

    pressure_pa: float

    @property
    def substance(self) -> str:
        """Water, as the liquid is."""
        return "water"

    @property
    def holds_k(self) -> tuple[float, float]:
        """From boiling to 800 °C."""
        return _boiling_k(self.pressure_pa), 1073.15

    def enthalpy(self, t_k: float) -> tuple[float, float]:
        """Return specific enthalpy in J/kg and its slope in J/(kg·K)."""
        low, high = self.holds_k
        within = float(np.clip(t_k, low + 1e-6, high))
        value = float(water.enthalpy_j_kg(within, self.pressure_pa)[0])
        slope = float(water.heat_capacity_j_kg_k(within, self.pressure_pa)[0])
        return value + slope * (t_k - within), slope


@lru_cache(maxsize=64)
def _boiling_k(pressure_pa: float) -> float:
    return water.saturation_temperature_k(pressure_pa)
