"""Slow, bounded, seeded signals: what drives a simulated plant. A sine for the visible swing, coloured noise on top."""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random

_NOISE_BOUND_SD = 3.0


@dataclass(frozen=True, slots=True)
class Shape:
    """How a signal moves: `mean` ± `swing` with `period_s`, and noise of `noise_sd` that forgets itself in `memory_s`."""

    mean: float
    swing: float
    period_s: float
    noise_sd: float = 0.0
    memory_s: float = 20.0

    @property
    def low(self) -> float:
        """No value is below this."""
        return self.mean - self.swing - _NOISE_BOUND_SD * self.noise_sd

    @property
    def high(self) -> float:
        """No value is above this."""
        return self.mean + self.swing + _NOISE_BOUND_SD * self.noise_sd


class Signal:
    """A value that follows `shape`; the same generator and the same steps give the same values."""

    def __init__(self, shape: Shape, rng: Random, speed: float = 1.0) -> None:
        self._shape = shape
        self._rng = rng
        self._speed = speed
        self._phase = rng.uniform(0.0, 2.0 * math.pi)
        self._noise = rng.gauss(0.0, shape.noise_sd)

    def step(self, now_s: float, dt_s: float) -> float:
        """The value at `now_s` (seconds since the Unix epoch), `dt_s` after the last one; within `shape.low … high`."""
        shape = self._shape
        keep = math.exp(-dt_s * self._speed / shape.memory_s)
        fresh = shape.noise_sd * math.sqrt(1.0 - keep * keep)
        self._noise = self._noise * keep + self._rng.gauss(0.0, fresh)
        bound = _NOISE_BOUND_SD * shape.noise_sd
        angle = 2.0 * math.pi * now_s * self._speed / shape.period_s + self._phase
        return shape.mean + shape.swing * math.sin(angle) + min(max(self._noise, -bound), bound)
