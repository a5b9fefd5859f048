"""What a scale shows at one moment, whatever protocol it speaks; and what of that each sensor reads. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sidestream_contracts.edge_lines import ScaleSensor
from sidestream_contracts.frame import Quality
from sidestream_edge.measurement import Reading

State = Literal["stable", "unstable", "over", "under", "invalid"]

WORDS: dict[State, str] = {
    "stable": "stands still",
    "unstable": "is moving",
    "over": "shows overload: more lies on it than it can weigh",
    "under": "shows underload: less than its range, is the platform lifted or was something taken away after taring?",
    "invalid": "has no weight to give now",
}

_UCUM = {
    "kg": "kg", "kilogram": "kg", "g": "g", "gr": "g", "mg": "mg", "t": "t", "to": "t", "ton": "t", "tn": "t",
    "lb": "[lb_av]", "lbs": "[lb_av]", "oz": "[oz_av]", "ozt": "[oz_tr]", "n": "N",
}  # fmt: skip
"""Units as scales write them, lower case."""


@dataclass(frozen=True, slots=True)
class Shown:
    """`value` is what the display shows, in `unit` (as the scale writes it; None: it does not say).

    `net`: whether a tare is taken off (None: it does not say). `note`: why a stable weight is doubted all the same.
    """

    state: State
    value: float | None = None
    unit: str | None = None
    net: bool | None = None
    tare: float | None = None
    code: str | None = None
    note: str | None = None

    @property
    def is_weight(self) -> bool:
        """Whether there is a weight at all, stable or not."""
        return self.value is not None and self.state in {"stable", "unstable"}

    @property
    def quality(self) -> Quality:
        """Good when it stands still, uncertain when it moves, bad when there is no weight."""
        if not self.is_weight:
            return Quality.BAD
        return Quality.GOOD if self.state == "stable" and self.note is None else Quality.UNCERTAIN

    def weight(self, reads: str) -> float | None:
        """`shown`, `net`, `gross` or `tare`; None where what the scale says does not tell it."""
        if reads == "tare":
            return self.tare
        if self.value is None or reads == "shown" or self.net is (reads == "net"):
            return self.value
        if reads == "net" and self.tare == 0:
            return self.value
        if self.tare is None or self.net is None:
            return None
        return self.value - self.tare if reads == "net" else self.value + self.tare


def wrong_unit(shown: Shown, unit: str) -> str | None:
    """The unit that the scale itself says, as a UCUM code where it is known, if that is another than `unit`."""
    if shown.unit is None:
        return None
    said = _UCUM.get(shown.unit.strip().lower(), shown.unit.strip())
    return None if said == unit else said


def readings(shown: Shown, sensors: Sequence[ScaleSensor], t: int) -> list[Reading]:
    """A reading of each sensor; `None` with quality bad where there is no weight."""
    found = []
    for sensor in sensors:
        value = shown.weight(sensor.reads) if shown.is_weight else None
        found.append(Reading(sensor.id, t, value, shown.quality if value is not None else Quality.BAD))
    return found
