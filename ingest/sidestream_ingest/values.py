"""Checks of single values in a frame, each a pure function that returns the value or raises ContractError with its reason."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from sidestream_contracts.errors import ContractError
from sidestream_store.catalogue import Catalogue, KnownSensor

LARGEST = 1e30
"""A value beyond it is no measurement of anything."""
SMALLEST = 1e-100
"""A value closer to zero is kept as 0, which it is by any measure: PostgreSQL fails on squares and quotients that underflow,
and a filter that fades out, or memory that nobody filled, sends such numbers."""
_LARGEST_TIME_US = 2**62
_MAX_CODE = 512
_SPANS = ((365.2425 * 86_400, "years"), (86_400, "days"), (3_600, "hours"), (60, "minutes"))
_EARLIEST_US = int(datetime(1900, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000
_LATEST_US = int(datetime(2100, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000


@dataclass(frozen=True, slots=True)
class Bounds:
    """Which measurement times are taken at the door, µs UTC, and how to say it when one is not."""

    from_us: int
    to_us: int
    recorded: bool

    @staticmethod
    def at_door(catalogue: Catalogue, received_at: datetime, *, recorded: bool) -> Bounds:
        """Recorded frames may be of any time of this and the last century; live ones of about now."""
        return _RECORDED if recorded else _live(received_at, catalogue.late_s, catalogue.early_s)

    def since(self, from_us: int) -> Bounds:
        """The same, but for what was measured before `from_us`."""
        return self if from_us <= self.from_us else Bounds(from_us, self.to_us, self.recorded)


_RECORDED = Bounds(_EARLIEST_US, _LATEST_US, recorded=True)


@lru_cache(maxsize=64)
def _live(received_at: datetime, late_s: float, early_s: float) -> Bounds:
    """Remembered, since all that comes at one moment has the same."""
    now_us = int(received_at.timestamp() * 1_000_000)
    return Bounds(now_us - int(late_s * 1e6), now_us + int(early_s * 1e6), recorded=False)


def is_int(value: Any) -> bool:
    """Whether a JSON value is an integer; `true` is not."""
    return isinstance(value, int) and not isinstance(value, bool)


def time(t: Any, bounds: Bounds) -> int:
    """Measurement time in µs UTC inside `bounds`; ContractError `bad_time`, `time_future`, `time_too_old`, `time_impossible`."""
    if not is_int(t) or not -_LARGEST_TIME_US < t < _LARGEST_TIME_US:
        raise ContractError("bad_time", f"`t` is {str(t)[:80]!r}; it must be integer µs UTC since 1970.")
    if t > bounds.to_us:
        reason = "time_impossible" if bounds.recorded else "time_future"
        raise ContractError(reason, f"Measured {span(t - bounds.to_us)} past the latest time taken; check the clock.")
    if t < bounds.from_us:
        reason = "time_impossible" if bounds.recorded else "time_too_old"
        raise ContractError(
            reason, f"Measured {span(bounds.from_us - t)} before the oldest time taken; check the clock."
        )
    return int(t)


def still_kept(time_us: int, sensor: KnownSensor) -> None:
    """ContractError `time_dropped` where the sensor's readings of that time were dropped by age."""
    if sensor.dropped_from_us <= time_us < sensor.dropped_before_us:
        before_at = datetime.fromtimestamp(sensor.dropped_before_us / 1e6, UTC)
        raise ContractError(
            "time_dropped",
            f"Its sensor's readings from before {before_at:%Y-%m-%d %H:%M} UTC were dropped by age (`retention.readings_days`"
            " in hub.yaml); taken, it would go as well, and change no figure of that time.",
        )


def span(us: int) -> str:
    """A length of time, µs, in the largest unit of which it has two or more, for a person to read."""
    for unit_s, word in _SPANS:
        if us >= 2e6 * unit_s:
            return f"about {us / 1e6 / unit_s:,.0f} {word}"
    return f"{us / 1e6:.1f} s"


def quality(q: Any) -> int:
    """The source's own quality, 0 to 255; ContractError `bad_quality`."""
    if not is_int(q) or not 0 <= q <= 255:
        raise ContractError("bad_quality", f"`q` is {q!r}; it must be 0 good, 1 uncertain or 2 bad.")
    return int(q)


def value(val: Any) -> float | None:
    """A finite float of sane size, or None (closer to zero than SMALLEST is 0); ContractError `not_a_number`, `not_finite`, `out_of_bounds`."""
    if val is None:
        return None
    if isinstance(val, bool) or not isinstance(val, int | float):
        raise ContractError(
            "not_a_number", f"`val` is {str(val)[:80]!r}, a {type(val).__name__}; it must be a JSON number or null."
        )
    if isinstance(val, float) and not math.isfinite(val):
        raise ContractError("not_finite", f"`val` is {val}; a number that is not known is null.")
    if abs(val) > 2 * LARGEST or abs(float(val)) > LARGEST:  # as what is stored, a float; a huge integer is none
        raise ContractError("out_of_bounds", f"`val` is larger than {LARGEST:g}.")
    return float(val) if abs(val) >= SMALLEST else 0.0


def code(val: Any) -> str:
    """A printable code that the database can keep; ContractError `bad_code`."""
    if not isinstance(val, str) or not 0 < len(val) <= _MAX_CODE:
        raise ContractError("bad_code", f"`val` of a scan must be a text of 1 to {_MAX_CODE} characters.")
    if "\x00" in val or not val.isprintable():
        raise ContractError("bad_code", f"The code {val[:80]!r} has characters that can't be printed.")
    return val


def rssi(rssi: Any) -> float | None:
    """Signal strength in dBm, or None; ContractError `bad_rssi`."""
    if rssi is None:
        return None
    number = value(rssi)
    if number is None or not -200 <= number <= 50:
        raise ContractError("bad_rssi", f"`rssi` is {rssi!r}; it is dBm, -200 to 50.")
    return number
