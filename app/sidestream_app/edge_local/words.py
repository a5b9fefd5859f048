"""A reading in words: value with its unit, quality, and when it was measured."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from sidestream_contracts.frame import Quality
from sidestream_edge.measurement import Reading, Scan

_QUALITY: Mapping[int, str] = {Quality.GOOD: "good", Quality.UNCERTAIN: "uncertain", Quality.BAD: "bad"}


def quality_word(q: int) -> str:
    """The word for a quality; one that this version does not know, by its number."""
    return _QUALITY.get(q, f"quality {q}")


def reading_line(reading: Reading, driver: str, units: Mapping[str, str | None], age_s: float) -> str:
    """One line for people."""
    unit = units.get(reading.sensor)
    value = "no value" if reading.val is None else f"{reading.val:.12g}{f' {unit}' if unit and unit != '1' else ''}"
    return f"{_time(reading.t)}  {reading.sensor:<24} {value:<24} {quality_word(reading.q)}{_age(age_s)}  [{driver}]"


def scan_line(scan: Scan, driver: str, age_s: float) -> str:
    """One line for people; nothing in a code can steer the terminal."""
    code = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in scan.code)
    strength = f"  {scan.rssi:g} dBm" if scan.rssi is not None else ""
    return f"{_time(scan.t)}  {scan.sensor:<24} {code:<24} {quality_word(scan.q)}{strength}{_age(age_s)}  [{driver}]"


def _time(t_us: int) -> str:
    return datetime.fromtimestamp(t_us / 1e6, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _age(age_s: float) -> str:
    """Said only where the source's time is not the time of passing."""
    if age_s > 60:
        return f", measured {age_s:.0f} s ago"
    return f", {-age_s:.0f} s in the future" if age_s < -5 else ""
