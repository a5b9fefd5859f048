"""One weighing per vehicle: the weight rises, stands still, and is told once; armed again when the bridge is empty. Pure.

A vehicle that leaves without having stood still gives no weighing; that is told too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sidestream_contracts.edge_lines import Weighing
from sidestream_edge.drivers.scale.shown import Shown

Phase = Literal["empty", "loaded", "weighed"]


@dataclass(frozen=True, slots=True)
class Weighed:
    """A vehicle stood still at `t` (µs UTC) and weighed `weight`; `code` is what the scale's lines said of it last."""

    t: int
    weight: float
    code: str | None


@dataclass(frozen=True, slots=True)
class Left:
    """The bridge is empty again. `unweighed`: the largest weight of a vehicle that left before it had stood still."""

    unweighed: float | None = None


class Bridge:
    """Follows one bridge; `weighed` says that what lies on it now was told before (a restart)."""

    def __init__(self, config: Weighing, *, weighed: bool = False) -> None:
        self._config = config
        self._phase: Phase = "weighed" if weighed else "empty"
        self._still: tuple[int, float, float] | None = None
        self._largest = 0.0
        self._code: str | None = None

    def see(self, shown: Shown, t: int) -> Weighed | Left | None:
        """What the weight shown at `t` (µs UTC) makes of it."""
        if not shown.is_weight or shown.value is None:
            self._still = None
            return None
        if shown.value < self._config.below:
            return self._emptied()
        if self._phase == "weighed" or (self._phase == "empty" and shown.value < self._config.above):
            return None
        if self._phase == "empty":
            self._phase, self._largest = "loaded", 0.0
        self._code = shown.code or self._code
        self._largest = max(self._largest, shown.value)
        return self._loaded(shown, shown.value, t)

    def _emptied(self) -> Left | None:
        before, self._phase, self._still, self._code = self._phase, "empty", None, None
        if before == "empty":
            return None
        return Left(self._largest if before == "loaded" else None)

    def _loaded(self, shown: Shown, value: float, t: int) -> Weighed | None:
        if shown.state != "stable" or value < self._config.above:
            self._still = None
            return None
        since, low, high = self._still or (t, value, value)
        low, high = min(low, value), max(high, value)
        if high - low > self._config.within:
            since, low, high = t, value, value
        self._still = since, low, high
        if t - since < self._config.stable_s * 1e6:
            return None
        self._phase = "weighed"
        return Weighed(t, value, self._code)
