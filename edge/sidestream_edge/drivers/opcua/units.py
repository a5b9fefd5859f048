"""Units as OPC UA servers tell them (EUInformation), as UCUM codes. Pure.

The unit id holds a UN/CEFACT Recommendation 20 common code, its letters as bytes of an integer (OPC 10000-8, 5.6.3). Only codes
of what Sidestream measures are known here; another one is compared by its display name, and doubt is said, never assumed away.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

UNECE = "http://www.opcfoundation.org/UA/units/un/cefact"
Match = Literal["same", "other", "unknown"]

_UCUM = {
    "C62": "1", "P1": "%", "59": "[ppm]", "CEL": "Cel", "KEL": "K", "FAH": "[degF]",
    "MTR": "m", "CMT": "cm", "MMT": "mm", "MTQ": "m3", "LTR": "L", "DMQ": "dm3", "CMQ": "cm3", "MLT": "mL",
    "MQH": "m3/h", "MQS": "m3/s", "G51": "L/s", "L2": "L/min", "E32": "L/h", "2J": "cm3/s", "G52": "m3/d", "G53": "m3/min",
    "KGM": "kg", "GRM": "g", "TNE": "t", "KGS": "kg/s", "E93": "kg/h", "F31": "kg/min", "E18": "t/h",
    "PAL": "Pa", "KPA": "kPa", "MPA": "MPa", "A97": "hPa", "BAR": "bar", "MBR": "mbar",
    "WTT": "W", "KWT": "kW", "MAW": "MW", "A90": "GW", "D46": "V.A", "KVA": "kV.A", "MVA": "MV.A",
    "WHR": "W.h", "KWH": "kW.h", "MWH": "MW.h", "GWH": "GW.h", "JOU": "J", "KJO": "kJ", "3B": "MJ", "GV": "GJ", "D30": "TJ",
    "AMP": "A", "4K": "mA", "VLT": "V", "KVT": "kV", "HTZ": "Hz", "KHZ": "kHz", "SEC": "s", "C26": "ms", "MIN": "min", "HUR": "h", "DAY": "d",
    "KMQ": "kg/m3", "GL": "g/L", "M1": "mg/L", "GP": "mg/m3", "D10": "S/m", "H61": "mS/cm", "Q30": "[pH]",
    "MTS": "m/s", "RPM": "{rev}/min", "NU": "N.m", "NEW": "N",
}  # fmt: skip
_SPELT = {"°C": "Cel", "degC": "Cel", "C": "Cel", "°F": "[degF]", "m³": "m3", "m³/h": "m3/h", "m^3/h": "m3/h", "m³/s": "m3/s", "l": "L", "l/s": "L/s",
          "l/h": "L/h", "l/min": "L/min", "kWh": "kW.h", "MWh": "MW.h", "GWh": "GW.h", "Wh": "W.h", "ppm": "[ppm]", "pH": "[pH]", "-": "1", "": "1"}  # fmt: skip
_ALIKE = {
    "dm3": "L",
    "l": "L",
    "l/s": "L/s",
    "l/h": "L/h",
    "l/min": "L/min",
    "cm3": "mL",
    "mbar": "hPa",
    "10*-6": "[ppm]",
}


@dataclass(frozen=True, slots=True)
class ServerUnit:
    """The unit of a variable as its server tells it; `ucum` is None where we don't know it."""

    shown: str
    code: str | None
    ucum: str | None

    @property
    def words(self) -> str:
        """`kW (KWT)`."""
        return f"{self.shown or 'no name'} ({self.code})" if self.code else repr(self.shown)


def server_unit(namespace: str | None, unit_id: int, shown: str | None) -> ServerUnit | None:
    """What an EUInformation says; None where it says nothing."""
    text = (shown or "").strip()
    code = common_code(unit_id) if namespace in (UNECE, None, "") and unit_id > 0 else None
    if code is None and not text:
        return None
    return ServerUnit(text, code, _UCUM.get(code or "") or _SPELT.get(text) or _plain(text))


def common_code(unit_id: int) -> str | None:
    """The letters of a UN/CEFACT common code, two or three of them; None where the number holds no such letters."""
    letters = unit_id.to_bytes(4, "big").lstrip(b"\0")
    return letters.decode("ascii") if 2 <= len(letters) <= 3 and letters.isalnum() else None


def compare(configured: str, unit: ServerUnit) -> Match:
    """Whether `edge.yaml` and the server mean the same unit."""
    if unit.ucum is None:
        return "unknown"
    return "same" if _ALIKE.get(configured, configured) == _ALIKE.get(unit.ucum, unit.ucum) else "other"


def _plain(text: str) -> str | None:
    """A display name that is itself the code of a unit that we know."""
    return text if text in _UCUM.values() else None
