"""Time cut at readings and at step bounds, so that each stretch lies between two readings and within one step.

All totals are sums over such stretches. Each is weighted on the two readings at its ends, which gives the value and
its random error from the same weights. A step's sum uses no stretch outside it, so it comes out bit-equal whichever
window it is computed in.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sidestream_twin.core.arrays import FloatArray, IntArray


@dataclass(frozen=True, slots=True, eq=False)
class Cuts:
    """Stretches in time order: stretch i lies between readings ``left[i]`` and ``left[i] + 1``, within step ``step[i]``."""

    steps: int
    step: IntArray
    left: IntArray
    start_s: FloatArray
    stop_s: FloatArray

    @property
    def length_s(self) -> FloatArray:
        """Length of each stretch."""
        return self.stop_s - self.start_s

    def per_step(self, amounts: FloatArray) -> FloatArray:
        """Return the sum of the stretches' amounts in each step."""
        return np.bincount(self.step, weights=amounts, minlength=self.steps).astype(np.float64)

    def variance_per_step(self, on_left: FloatArray, on_right: FloatArray, variance: FloatArray) -> FloatArray:
        """Return the variance of Σ (on_left·x[left] + on_right·x[left+1]) per step, x independent with ``variance``.

        A reading within a step ends one stretch and starts the next, so its two weights add before they are squared.
        """
        alone = on_left**2 * variance[self.left] + on_right**2 * variance[self.left + 1]
        meet = (self.step[1:] == self.step[:-1]) & (self.left[1:] == self.left[:-1] + 1)
        shared = np.zeros_like(alone)
        shared[1:] = np.where(meet, 2 * on_right[:-1] * on_left[1:] * variance[self.left[1:]], 0.0)
        return np.maximum(self.per_step(alone + shared), 0.0)


def cut(at_s: FloatArray, bounds_s: FloatArray) -> Cuts:
    """Cut the time that both the readings (strictly rising) and the steps (strictly rising bounds) span."""
    steps = bounds_s.size - 1
    if at_s.size < 2:
        none = np.empty(0, dtype=np.int64)
        return Cuts(steps, none, none, np.empty(0), np.empty(0))
    first, last = max(at_s[0], bounds_s[0]), min(at_s[-1], bounds_s[-1])
    knots = np.union1d(at_s, bounds_s)
    knots = knots[(knots >= first) & (knots <= last)]
    start, stop = knots[:-1], knots[1:]
    step = np.searchsorted(bounds_s, start, side="right") - 1
    left = np.searchsorted(at_s, start, side="right") - 1
    return Cuts(steps, step.astype(np.int64), left.astype(np.int64), start, stop)
