"""Quantities the hub knows, their SI unit, and the factors to it from any UCUM unit of the same kind.

UCUM codes are parsed by `ucumvert` on top of `pint` (imported late: they take a second and a gateway needs neither).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from sidestream_contracts.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Quantity:
    """A kind of measurement: its SI unit as a UCUM code, what it means, and UCUM units in which it is often given."""

    id: str
    si_unit: str
    meaning: str
    examples: tuple[str, ...] = ()


QUANTITIES: dict[str, Quantity] = {
    q.id: q
    for q in (
        Quantity("mass_flow", "kg/s", "mass passing per time", ("kg/s", "kg/h", "t/h")),
        Quantity("volume_flow", "m3/s", "volume passing per time", ("m3/h", "L/s", "m3/s")),
        Quantity("temperature", "K", "temperature of the medium", ("Cel", "K", "[degF]")),
        Quantity("pressure", "Pa", "absolute pressure", ("bar", "kPa", "Pa")),
        Quantity("power", "W", "heat or electric power", ("kW", "MW", "W")),
        Quantity("energy", "J", "cumulative register of energy", ("kW.h", "MW.h", "GJ", "J")),
        Quantity("volume", "m3", "cumulative register of volume", ("m3", "L")),
        Quantity(
            "volume_temperature",
            "m3.K",
            "cumulative register of volume times temperature above 0 °C (E8, E9)",
            ("m3.K",),
        ),
        Quantity("mass", "kg", "weighed or measured mass, or mass in stock", ("kg", "t", "g")),
        Quantity("level", "m", "height of a filling", ("m", "cm", "mm")),
        Quantity("fraction", "1", "share, e.g. moisture or opening", ("1", "%", "[ppm]")),
        Quantity("count", "1", "number of things", ("1",)),
        Quantity("scan", "1", "a code read by a scanner or RFID reader", ("1",)),
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
    """The linear map, to 12 digits, from `unit` (UCUM) to the SI unit of `quantity`; ConfigurationError if they don't fit."""
    import lark
    import pint

    registry = _registry()
    try:
        source = registry.from_ucum(unit)
        target = registry.from_ucum(QUANTITIES[quantity].si_unit).units
        zero = registry.Quantity(0.0, source.units).to(target).magnitude
        one = registry.Quantity(1.0, source.units).to(target).magnitude
    except pint.errors.DimensionalityError as error:
        raise ConfigurationError(f"{unit!r} measures something else; {_way_out(quantity, unit)}") from error
    except (lark.exceptions.LarkError, pint.errors.PintError, AttributeError, RecursionError) as error:
        raise ConfigurationError(f"{unit!r} is no UCUM unit; {_way_out(quantity, unit)}") from error
    return ToSi((one - zero) * float(source.magnitude), float(zero))


def _way_out(quantity: str, unit: str) -> str:
    """Units that would do, and the one that is probably meant."""
    known = QUANTITIES[quantity]
    written = unit.replace(" ", "")
    guess = _SLIPS.get(written.lower(), written)
    meant = f"; did you mean {guess!r}?" if guess in known.examples else ""
    return f"for {quantity} ({known.meaning}) write e.g. {', '.join(known.examples)}{meant}"


_SLIPS = {
    "c": "Cel",
    "°c": "Cel",
    "degc": "Cel",
    "celsius": "Cel",
    "f": "[degF]",
    "°f": "[degF]",
    "kelvin": "K",
    "m³": "m3",
    "m^3": "m3",
    "m³/h": "m3/h",
    "m^3/h": "m3/h",
    "m3/hr": "m3/h",
    "m3h": "m3/h",
    "m³/s": "m3/s",
    "lps": "L/s",
    "litre": "L",
    "liter": "L",
    "kw": "kW",
    "mw": "MW",
    "kwh": "kW.h",
    "mwh": "MW.h",
    "tonne": "t",
    "ton": "t",
    "tons": "t",
    "t/hr": "t/h",
    "kg/hr": "kg/h",
    "percent": "%",
    "ppm": "[ppm]",
}
"""How units are often written that are not UCUM codes, lower case."""
