"""A stream that gives off or takes up heat, as heat integration sees it: from where to where, and how much on the way.

The heat capacity flow is taken as constant between the two temperatures; a stream whose capacity changes is given in
pieces, and one that condenses or boils as an isothermal piece with its duty.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from math import isfinite

from sidestream_twin.core.errors import ModelError


class Side(StrEnum):
    """Whether a stream has heat to give (hot) or needs it (cold)."""

    HOT = "hot"
    COLD = "cold"


@dataclass(frozen=True, slots=True)
class HeatStream:
    """One stream between two temperatures in K; ``duty_w`` (above 0) is what it gives off or takes up altogether.

    Raises ModelError when a part is not finite or not above zero, or when the temperatures contradict the side.
    """

    id: str
    side: Side
    from_k: float
    to_k: float
    duty_w: float

    def __post_init__(self) -> None:
        temperatures = (self.from_k, self.to_k)
        if not all(isfinite(t) and t > 0 for t in temperatures):
            msg = f"stream {self.id}: {self.from_k} and {self.to_k} K must be finite and above absolute zero"
            raise ModelError(msg)
        if not (isfinite(self.duty_w) and self.duty_w > 0):
            msg = f"stream {self.id}: a duty of {self.duty_w} W carries no heat; give one above zero or leave the stream out"
            raise ModelError(msg)
        rises = self.to_k > self.from_k
        if self.to_k != self.from_k and rises is (self.side is Side.HOT):
            does = "warms up" if rises else "cools down"
            msg = f"stream {self.id} is given as {self.side.value} and {does}; a hot stream cools and a cold one warms"
            raise ModelError(msg)

    @classmethod
    def of_capacity(cls, stream_id: str, from_k: float, to_k: float, capacity_w_k: float) -> HeatStream:
        """Return the stream of a heat capacity flow (mass flow times cp); its side follows from its temperatures.

        Raises ModelError when the temperatures are equal, because a capacity then carries no heat.
        """
        if from_k == to_k:
            msg = (
                f"stream {stream_id} has one temperature, so its heat capacity carries nothing; give its side and duty"
            )
            raise ModelError(msg)
        side = Side.HOT if from_k > to_k else Side.COLD
        return cls(stream_id, side, from_k, to_k, capacity_w_k * abs(to_k - from_k))

    @property
    def isothermal(self) -> bool:
        """Whether all of the duty is at one temperature (condensing, boiling)."""
        return self.from_k == self.to_k

    @property
    def low_k(self) -> float:
        """The colder end."""
        return min(self.from_k, self.to_k)

    @property
    def high_k(self) -> float:
        """The warmer end."""
        return max(self.from_k, self.to_k)

    def shift_k(self, dt_min_k: float) -> float:
        """What is added to its temperatures so that hot and cold may meet at equal ones: -/+ half of the least ΔT."""
        return -dt_min_k / 2 if self.side is Side.HOT else dt_min_k / 2
