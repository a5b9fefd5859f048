"""Quantities the hub knows, their SI unit, and the factors to it from any UCUM unit of the same kind.

UCUM codes are parsed by `ucumvert` on top of `pint` (imported late: they take a second and a gateway needs neither).
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any

from sidestream_contracts.errors import ConfigurationError

ZERO_CELSIUS_K = 273.15


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


@dataclass(frozen=True, slots=True)
class Conversion:
    """`stored = sent * factor + offset`."""

    factor: float
    offset: float


def conversion(quantity: str, sent: str, stored: str) -> Conversion:
    """The map from one UCUM unit of a quantity to another, each number the nearest to the exact one.

    ConfigurationError where one of them does not measure the quantity.
    """
    if sent == stored:
        return Conversion(1.0, 0.0)
    source, target = to_si(quantity, sent), to_si(quantity, stored)
    factor = _exact(source.factor) / _exact(target.factor)
    offset = (_exact(source.offset) - _exact(target.offset)) / _exact(target.factor)
    return Conversion(float(factor), float(offset))


def _exact(number: float) -> Fraction:
    """The short fraction that is meant by a number that is right to 12 digits, such as 1/3600 or 5/9."""
    short = Fraction(number).limit_denominator(10**9)
    return short if short and abs(float(short) / number - 1) < 1e-11 else Fraction(repr(number))


def meant(quantity: str, written: str) -> str | None:
    """The UCUM code that somebody means who writes this for a unit of the quantity; None where nobody can tell."""
    plain = written.replace(" ", "")
    for code in (written, plain, _SLIPS.get(plain.lower(), "")):
        if code and measures(quantity, code):
            return code
    return None


def measures(quantity: str, unit: str) -> bool:
    """Whether `unit` is a UCUM code that measures `quantity`."""
    try:
        to_si(quantity, unit)
    except ConfigurationError:
        return False
    return True


def same_unit(quantity: str, one: str, other: str) -> bool:
    """Whether both mean the same unit of the quantity, however it is spelled; False where one means none."""
    if one == other:
        return True
    codes = meant(quantity, one), meant(quantity, other)
    if codes[0] is None or codes[1] is None:
        return False
    return to_si(quantity, codes[0]) == to_si(quantity, codes[1])


@cache
def unit_trouble(quantity: str, unit: str, sent_unit: str | None, announced: str | None) -> str | None:
    """Why numbers announced in one unit must not be taken for another, in words; None where nothing contradicts hub.yaml.

    `unit` and `sent_unit` are what hub.yaml says, `announced` is what the edge says; None: it says nothing.
    """
    expected = sent_unit or unit
    if announced is None or announced == expected or (sent_unit and same_unit(quantity, announced, sent_unit)):
        return None
    if measures(quantity, announced) and same_unit(quantity, announced, expected):
        return None
    says = f"hub.yaml says it is sent in {sent_unit!r}" if sent_unit else f"hub.yaml declares {unit!r}"
    return f"The edge announces {announced!r}, and {says}{_contradiction(quantity, unit, announced)}"


def _contradiction(quantity: str, unit: str, announced: str) -> str:
    code = meant(quantity, announced)
    if code is None:
        return f"; {announced!r} is no UCUM unit of {quantity}. Say in hub.yaml what is meant, as `sent_unit`."
    spelled = "" if code == announced else f"; {announced!r} is no UCUM code, {code!r} is probably meant"
    by = conversion(quantity, code, unit)
    if (by.factor, by.offset) == (1.0, 0.0):
        return f"{spelled}. Add `sent_unit: {code}` to the sensor, or correct the unit in edge.yaml."
    shift = f" {'+' if by.offset > 0 else '-'} {abs(by.offset):.6g}" if by.offset else ""
    return (
        f"{spelled}; 1 {code} is {by.factor:.6g}{shift} {unit}. Add `sent_unit: {code}` to the sensor, "
        "or correct the unit in edge.yaml."
    )


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
