"""What flowed in each step, with how much of the step was seen and how sure the figure is.

Where part of a step was not seen, the total assumes the seen part's mean for the rest, the unseen rest adds to the
random deviation as a rate anywhere between nothing and twice that mean (|mean|/√3), and the step is ``estimated`` once
completeness falls below a threshold. Nothing seen: no value.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntFlag
from math import isnan

import numpy as np

from sidestream_twin.core.arrays import BoolArray, FloatArray, IntArray
from sidestream_twin.core.errors import ModelError
from sidestream_twin.core.quality import Origin, weakest
from sidestream_twin.core.series import Series
from sidestream_twin.core.uncertain import Uncertain

_ROUNDING = 1e-9
COMPLETE = 1.0 - _ROUNDING
"""A share of a step from which rounding, not a gap, is what is missing."""


class CounterEvent(IntFlag):
    """What a counter did within a step: rolled over or was exchanged (resolved), or the rise can't be known (reset, jump)."""

    NONE = 0
    ROLLOVER = 1
    RESET = 2
    JUMP = 4
    SWAP = 8


@dataclass(frozen=True, slots=True)
class GapRules:
    """How far readings may lie apart, and from which completeness a step may be called measured.

    ``unseen_sd``: deviation of the rate in unseen time about the seen mean, in the unit of the rate (counters: unit
    per second). Give range/√12 where the sensor's range is known. None means |mean|/√3, which has nothing to go by where
    the mean is near zero: a step seen only while nothing flowed would claim that nothing flowed.
    """

    max_gap_s: float
    min_completeness: float = 0.95
    unseen_sd: float | None = None

    def __post_init__(self) -> None:
        if not self.max_gap_s > 0 or not 0 < self.min_completeness <= 1:
            msg = f"gap rules {self} can't be: the gap must be above 0 s, the completeness above 0 and at most 1"
            raise ModelError(msg)


@dataclass(frozen=True, slots=True)
class StepTotal:
    """One step's total in rate unit · s, or in counter unit. ``quantity`` and ``origin`` are None when nothing is known."""

    from_s: float
    to_s: float
    quantity: Uncertain | None
    completeness: float
    n: int
    origin: Origin | None
    event: CounterEvent = CounterEvent.NONE


@dataclass(frozen=True, slots=True, eq=False)
class Totals:
    """Totals of n steps as columns of length n; ``value`` and the deviations are NaN where nothing is known.

    ``seen`` is the total of the seen part alone (additive over any cutting into steps); ``completeness`` 0-1 the share
    of the step that was seen; ``samples`` the readings within [from, to); ``estimated`` marks what is not measured.
    """

    bounds_s: FloatArray
    value: FloatArray
    sd_random: FloatArray
    sd_systematic: FloatArray
    seen: FloatArray
    completeness: FloatArray
    samples: IntArray
    estimated: BoolArray
    events: IntArray
    origin: Origin

    def rows(self) -> tuple[StepTotal, ...]:
        """Return the steps one by one, with None in place of NaN."""
        return tuple(self._row(index) for index in range(self.value.size))

    def mean_rates(self) -> Totals:
        """Return the same per second of step: W from J, kg/s from kg."""
        length = np.diff(self.bounds_s)
        return replace(
            self,
            value=self.value / length,
            sd_random=self.sd_random / length,
            sd_systematic=self.sd_systematic / length,
            seen=self.seen / length,
        )

    def _row(self, index: int) -> StepTotal:
        value = float(self.value[index])
        quantity, origin = None, None
        if not isnan(value):
            quantity = Uncertain(value, float(self.sd_random[index]), float(self.sd_systematic[index]))
            origin = weakest((self.origin, Origin.ESTIMATED)) if self.estimated[index] else self.origin
        return StepTotal(
            from_s=float(self.bounds_s[index]),
            to_s=float(self.bounds_s[index + 1]),
            quantity=quantity,
            completeness=float(self.completeness[index]),
            n=int(self.samples[index]),
            origin=origin,
            event=CounterEvent(int(self.events[index])),
        )


@dataclass(frozen=True, slots=True, eq=False)
class SeenSums:
    """What the seen stretches of each step add up to; ``uneven`` marks steps whose spread in time is a guess."""

    seen: FloatArray
    seen_s: FloatArray
    variance: FloatArray
    systematic: FloatArray
    events: IntArray
    uneven: BoolArray


def spread_over_steps(series: Series, bounds: FloatArray, sums: SeenSums, rules: GapRules) -> Totals:
    """Return the seen parts carried over their whole steps, with what that costs in certainty."""
    length = np.diff(bounds)
    share = np.minimum(sums.seen_s / length, 1.0)
    share = np.where(share >= COMPLETE, 1.0, np.where(share <= _ROUNDING, 0.0, share))
    some = share > 0
    factor = np.divide(1.0, share, out=np.full_like(share, np.nan), where=some)
    value = sums.seen * factor
    mean = np.abs(value) / length
    unseen_sd = mean / np.sqrt(3.0) if rules.unseen_sd is None else rules.unseen_sd
    samples = _samples_per_step(series.at_s, bounds)
    estimated = (share < rules.min_completeness) | (samples == 0) | sums.uneven
    return Totals(
        bounds_s=bounds,
        value=value,
        sd_random=np.hypot(np.sqrt(sums.variance) * factor, (1 - share) * length * unseen_sd),
        sd_systematic=sums.systematic * factor,
        seen=sums.seen,
        completeness=share,
        samples=samples,
        estimated=estimated,
        events=sums.events,
        origin=series.origin,
    )


def _samples_per_step(at: FloatArray, bounds: FloatArray) -> IntArray:
    return np.diff(np.searchsorted(at, bounds, side="left")).astype(np.int64)
