"""Units in which a heat network may be written down, as factors to SI; temperatures have an offset too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sidestream_app.problem_file import ProblemPart
from sidestream_twin.core.uncertain import Uncertain

_FLOW = {"kg/s": 1.0, "g/s": 1e-3, "kg/min": 1 / 60, "kg/h": 1 / 3600, "t/h": 1 / 3.6, "t/d": 1 / 86.4}
_HEAT = {"W": 1.0, "kW": 1e3, "MW": 1e6}
_ENTHALPY = {"J/kg": 1.0, "kJ/kg": 1e3, "MJ/kg": 1e6, "kcal/kg": 4186.8, "Btu/lb": 2326.0}
_TEMPERATURE = {"degC": (273.15, 1.0), "Cel": (273.15, 1.0), "K": (0.0, 1.0), "degF": (459.67 / 1.8, 1 / 1.8)}


class Units(ProblemPart):
    """One unit for each kind of quantity in the file."""

    flow: Literal["kg/s", "g/s", "kg/min", "kg/h", "t/h", "t/d"] = "kg/s"
    temperature: Literal["degC", "Cel", "K", "degF"] = "degC"
    heat: Literal["W", "kW", "MW"] = "kW"
    enthalpy: Literal["J/kg", "kJ/kg", "MJ/kg", "kcal/kg", "Btu/lb"] = "kJ/kg"


@dataclass(frozen=True, slots=True)
class Scale:
    """SI = value * factor + offset."""

    factor: float
    offset: float = 0.0

    def si(self, value: float) -> float:
        """A value in SI."""
        return value * self.factor + self.offset

    def measured(self, value: float | None, sd: float | None) -> Uncertain | None:
        """A measurement in SI; None where there is none."""
        return None if value is None else Uncertain(self.si(value), (sd or 0.0) * self.factor)

    def back(self, si: float) -> float:
        """An SI value in the file's unit, without the digits that rounding left."""
        return float(f"{(si - self.offset) / self.factor:.12g}")


@dataclass(frozen=True, slots=True)
class Scales:
    """The scales of a file."""

    flow: Scale
    temperature: Scale
    heat: Scale
    enthalpy: Scale

    @classmethod
    def of(cls, units: Units) -> Scales:
        """Those of the units that a file names."""
        offset, factor = _TEMPERATURE[units.temperature]
        return cls(
            Scale(_FLOW[units.flow]),
            Scale(factor, offset),
            Scale(_HEAT[units.heat]),
            Scale(_ENTHALPY[units.enthalpy]),
        )
