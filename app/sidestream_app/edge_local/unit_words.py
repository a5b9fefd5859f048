"""Units as people write them that are no UCUM codes, or another unit's: told before the hub refuses them. Pure.

A gateway has no library of units; the hub checks each code for good (`sidestream hub check`).
"""

from __future__ import annotations

from sidestream_contracts.units import QUANTITIES

_MEANT = {
    "°C": "Cel", "C": "Cel", "degC": "Cel", "°F": "[degF]", "F": "[degF]", "degF": "[degF]", "°K": "K",
    "m³": "m3", "m^3": "m3", "m³/h": "m3/h", "m^3/h": "m3/h", "m3h": "m3/h", "m³/s": "m3/s", "cbm": "m3", "Nm3/h": "m3/h",
    "kWh": "kW.h", "MWh": "MW.h", "GWh": "GW.h", "Wh": "W.h", "KW": "kW", "kw": "kW", "mw": "MW", "kg/hr": "kg/h",
    "l/min": "L/min", "lpm": "L/min", "tons": "t", "ton": "t", "to": "t", "tonnes": "t", "kgs": "kg", "Kg": "kg", "KG": "kg",
    "Bar": "bar", "mBar": "mbar", "psi": "[psi]", "ppm": "[ppm]", "pct": "%", "percent": "%", "pcs": "1", "stk": "1", "-": "1",
    "sec": "s", "secs": "s", "hour": "h", "hours": "h", "mins": "min",
}  # fmt: skip
"""`C` is the coulomb and `F` the farad in UCUM, so these would even be accepted, and then be refused for their quantity."""


def doubt(unit: str | None, quantity: str | None) -> str | None:
    """What is wrong with an announced unit, with what was probably meant; None where nothing is known against it."""
    if unit is None:
        return "no unit is announced; add `unit:` (a UCUM code), so that the hub can hold it against hub.yaml"
    if unit in _MEANT:
        return f"unit {unit!r} is no UCUM code for this; {_MEANT[unit]!r} is probably meant"
    if quantity is not None and quantity not in QUANTITIES:
        return f"quantity {quantity!r} is none that a hub knows; known: {', '.join(QUANTITIES)}"
    return None
