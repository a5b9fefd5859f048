"""Which values of a sensor are not to be believed: beyond its range, a spike among its neighbours, or changed too fast.

Nothing is changed or taken away here: every reading gets its doubts, and whoever computes decides. A value's doubts
depend on no reading further away than ``reach_s``, so that they come out the same in whatever window they are looked for.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sidestream_twin.core.arrays import BoolArray, FloatArray
from sidestream_twin.core.errors import ModelError

_SIDE = 3
"""Readings on either side that a value is held against."""
_LEAST = 2
"""Readings that there must be on either side: at an edge of the signal fewer can't tell a step from a spike."""
_GAUSS = 1.4826
"""The standard deviation of normal noise over its median absolute deviation."""
_WIDTH = 12.0
"""Hampel's threshold, in such deviations: that wide because seven values may lie close together by chance."""


@dataclass(frozen=True, slots=True, eq=False)
class ValueRules:
    """What is plausible of a sensor, in its unit; None: anything is.

    ``spike_floor``: a value nearer to its neighbours than this is no spike, one number for all or one for each reading
    (None: spikes are not looked for). ``resolution``: the value's smallest step. ``reach_s``: a reading further away is
    no neighbour.
    """

    reach_s: float
    low: float | None = None
    high: float | None = None
    spike_floor: FloatArray | None = None
    max_change_per_s: float | None = None
    resolution: float = 0.0

    def __post_init__(self) -> None:
        if not self.reach_s > 0 or (self.max_change_per_s is not None and not self.max_change_per_s > 0):
            raise ModelError("the reach and the fastest change of a sensor must be above zero")


@dataclass(frozen=True, slots=True, eq=False)
class Doubts:
    """Which readings are doubted and why; a reading out of range is not looked at for anything else."""

    range: BoolArray
    spike: BoolArray
    rate: BoolArray


def doubts(at_s: FloatArray, value: FloatArray, rules: ValueRules) -> Doubts:
    """Return the doubts about each of the readings, which must be in order of time."""
    low = -np.inf if rules.low is None else rules.low
    high = np.inf if rules.high is None else rules.high
    beyond = ~((value >= low) & (value <= high))
    inside = np.flatnonzero(~beyond)
    spike, rate = np.zeros_like(beyond), np.zeros_like(beyond)
    if rules.spike_floor is not None:
        floor = np.broadcast_to(rules.spike_floor, value.shape)[inside]
        spike[inside] = _spikes(at_s[inside], value[inside], floor, rules.reach_s)
    if rules.max_change_per_s is not None:
        left = inside[~spike[inside]]  # a spike is told as one, and not as two fast changes
        rate[left] = _fast(at_s[left], value[left], rules, rules.max_change_per_s)
    return Doubts(beyond, spike, rate)


def _spikes(at_s: FloatArray, value: FloatArray, floor: FloatArray, reach_s: float) -> BoolArray:
    """Hampel's identifier over the three readings on either side that are within reach.

    F. R. Hampel, "The influence curve and its role in robust estimation", J. Am. Stat. Assoc. 69 (1974) 383.
    """
    if value.size <= 2 * _LEAST:
        return np.zeros(value.shape, dtype=np.bool_)
    place = np.arange(value.size)[:, None] + np.arange(-_SIDE, _SIDE + 1)
    there = (place >= 0) & (place < value.size)
    place = np.clip(place, 0, value.size - 1)
    there &= np.abs(at_s[place] - at_s[:, None]) <= reach_s
    judged = (there[:, :_SIDE].sum(axis=1) >= _LEAST) & (there[:, _SIDE + 1 :].sum(axis=1) >= _LEAST)
    middle = _median(np.where(there, value[place], np.inf), there)
    off = np.abs(np.where(there, value[place], np.inf) - middle[:, None])
    spread = _GAUSS * _median(off, there)
    result: BoolArray = judged & (np.abs(value - middle) > np.maximum(_WIDTH * spread, floor))
    return result


def _median(columns: FloatArray, there: BoolArray) -> FloatArray:
    """The median of each row's values that are there; those that are not must be infinite."""
    count = there.sum(axis=1)
    ordered = np.sort(columns, axis=1)
    rows = np.arange(columns.shape[0])
    middle: FloatArray = (ordered[rows, (count - 1) // 2] + ordered[rows, count // 2]) / 2
    return middle


def _fast(at_s: FloatArray, value: FloatArray, rules: ValueRules, most_per_s: float) -> BoolArray:
    """Whether the value came from the one before it faster than it can; its rounding may be two steps off."""
    found = np.zeros(value.shape, dtype=np.bool_)
    if value.size > 1:
        spacing = np.diff(at_s)
        near = (spacing > 0) & (spacing <= rules.reach_s)
        found[1:] = near & (np.abs(np.diff(value)) > most_per_s * spacing + 2 * rules.resolution)
    return found
