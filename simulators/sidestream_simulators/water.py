"""Properties of liquid water by IAPWS-IF97 (CoolProp), at one pressure: the law that the simulated plant obeys.

The twin has code of its own for the same standard; the two share nothing but the standard.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import CoolProp
from CoolProp.CoolProp import AbstractState

PRESSURE_PA = 600_000.0
"""Absolute pressure of every simulated water circuit, Pa; the hub files say the same in `pressure_kpa`."""

_NEWTON_STEPS = 3  # IF97's backward equation is good to 25 mK; each step squares what is left


class Water:
    """Liquid water at `pressure_pa`: kg/m3 and J/kg from K, and back. Not to be shared between threads."""

    def __init__(self, pressure_pa: float = PRESSURE_PA) -> None:
        self._pressure_pa = pressure_pa
        self._state: Any = AbstractState("IF97", "Water")

    def density_kg_m3(self, temperature_k: float) -> float:
        """Density in kg/m3 at `temperature_k`."""
        self._state.update(CoolProp.PT_INPUTS, self._pressure_pa, temperature_k)
        return float(self._state.rhomass())

    def enthalpy_j_kg(self, temperature_k: float) -> float:
        """Specific enthalpy in J/kg at `temperature_k`."""
        self._state.update(CoolProp.PT_INPUTS, self._pressure_pa, temperature_k)
        return float(self._state.hmass())

    def temperature_k(self, enthalpy_j_kg: float) -> float:
        """The temperature in K whose enthalpy is `enthalpy_j_kg`, to 1 µK: the inverse of `enthalpy_j_kg`."""
        self._state.update(CoolProp.HmassP_INPUTS, enthalpy_j_kg, self._pressure_pa)
        temperature = float(self._state.T())
        for _ in range(_NEWTON_STEPS):
            self._state.update(CoolProp.PT_INPUTS, self._pressure_pa, temperature)
            temperature -= (float(self._state.hmass()) - enthalpy_j_kg) / float(self._state.cpmass())
        return temperature

    def circuit(self, mass_flow_kg_s: float, supply_k: float, return_k: float) -> Circuit:
        """The circuit that carries `mass_flow_kg_s` out at `supply_k` and back at `return_k`."""
        self._state.update(CoolProp.PT_INPUTS, self._pressure_pa, supply_k)
        supply_h, supply_rho = float(self._state.hmass()), float(self._state.rhomass())
        self._state.update(CoolProp.PT_INPUTS, self._pressure_pa, return_k)
        return_h, return_rho = float(self._state.hmass()), float(self._state.rhomass())
        return Circuit(mass_flow_kg_s, supply_k, return_k, supply_h, return_h, supply_rho, return_rho)


@dataclass(frozen=True, slots=True)
class Circuit:
    """Water that leaves warm, comes back cold, and so carries heat from a stream's source to its target."""

    mass_flow_kg_s: float
    supply_k: float
    return_k: float
    supply_h_j_kg: float
    return_h_j_kg: float
    supply_density_kg_m3: float
    return_density_kg_m3: float

    @property
    def heat_w(self) -> float:
        """Q = m (h_supply - h_return), in W."""
        return self.mass_flow_kg_s * (self.supply_h_j_kg - self.return_h_j_kg)

    def volume_flow_m3_s(self, meter_position: str) -> float:
        """Volume flow through a meter in the `supply` or the `return` leg, m3/s."""
        density = self.return_density_kg_m3 if meter_position == "return" else self.supply_density_kg_m3
        return self.mass_flow_kg_s / density
