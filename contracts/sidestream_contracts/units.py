"""Quantities the hub knows, their SI unit, and exact factors from any UCUM unit of the same kind.

UCUM codes are parsed by `ucumvert` on top of `pint` (imported late: they take a second and a gateway needs neither).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from sidestream_contracts.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Quantity:
    """A kind of measurement: its SI unit as a UCUM code and what it means."""

    id: str
    si_unit: str
    meaning: str


QUANTITIES: dict[str, Quantity] = {
    q.id: q
    for q in (
        Quantity("mass_flow", "kg/s", "mass passing per time"),
        Quantity("volume_flow", "m3/s", "volume passing per time"),
        Quantity("temperature", "K", "temperature of the medium"),
        Quantity("pressure", "Pa", "absolute pressure"),
        Quantity("power", "W", "heat or electric power"),
        Quantity("energy", "J", "cumulative register of energy"),
        Quantity("volume", "m3", "cumulative register of volume"),
        Quantity("volume_temperature", "m3.K", "cumulative register of volume times temperature above 0 °C (E8, E9)"),
        Quantity("mass", "kg", "weighed or measured mass, or mass in stock"),
        Quantity("level", "m", "height of a filling"),
        Quantity("fraction", "1", "share, e.g. moisture or opening"),
        Quantity("count", "1", "number of things"),
        Quantity("scan", "1", "a code read by a scanner or RFID reader"),
    )
}


@dataclass(frozen=True, slots=True)
class ToSi:
    """`si = value * factor + offset`."""

    factor: float
    offset: float

    def __call__(self, value: float) -> float:
        return value * self.factor + self.offset


@cache
def _registry() -> Any:
    from ucumvert import PintUcumRegistry

    return PintUcumRegistry()


@cache
def to_si(quantity: str, unit: str) -> ToSi:
    """The exact linear map from `unit` (UCUM) to the SI unit of `quantity`; ConfigurationError if they don't fit."""
    known = QUANTITIES[quantity]
    import lark
    import pint

    registry = _registry()
    try:
        source = registry.from_ucum(unit)
        target = registry.from_ucum(known.si_unit).units
        zero = registry.Quantity(0.0, source.units).to(target).magnitude
        one = registry.Quantity(1.0, source.units).to(target).magnitude
    except (lark.exceptions.LarkError, pint.errors.PintError, AttributeError) as error:
        raise ConfigurationError(
            f"unit {unit!r} is not a UCUM unit of {quantity} ({known.meaning}; SI unit {known.si_unit!r})"
        ) from error
    scale = float(source.magnitude)
    return ToSi((one - zero) * scale, float(zero))
