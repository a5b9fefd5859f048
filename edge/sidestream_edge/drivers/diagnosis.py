"""What a driver's `diagnose` finds out about its device, for `sidestream edge check` and its like.

A driver may have a module `diagnose` with `diagnose(config, ranges) -> Iterator[Finding]`: it goes to the device once, gently,
and says how far one comes: the way, the device, each value. It never raises for what it finds out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Step = Literal["way", "device", "value"]
"""To the machine or port; to the device on it; to one sensor's value."""

Ranges = Mapping[str, tuple[float | None, float | None]]
"""Smallest and largest value of sensors, by id, as hub.yaml has them; what is not named has no range."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found out, well or not, in a sentence that says what to do where it is not."""

    step: Step
    ok: bool
    text: str
    sensor: str | None = None
    value: float | None = None
    could_mean: tuple[str, ...] = ()
    """Other readings of the same raw data, one a line, where the value may be read wrongly."""
