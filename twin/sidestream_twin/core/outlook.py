"""What will flow in and out of a stock, as far as what flowed lately tells: a pattern, and how the net strays from it.

The pattern is the mean of each hour of the week or of the day, where there are three of each and it explains more than the
plain mean does; else the mean. What is left of the net flow is a first-order autoregressive process (G. E. P. Box, G. M.
Jenkins, Time Series Analysis, 1976, ch. 3): it starts from where it is now, fades with its correlation, and its sum
spreads as such sums do, first with time and later with its root. How well a mean is known, and what meters err, stays for
the whole horizon.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from math import hypot, sqrt

import numpy as np

from sidestream_twin.core.arrays import BoolArray, FloatArray, IntArray
from sidestream_twin.core.errors import ModelError

WEEK_H = 168
FEWEST = 8
"""Buckets from which a flow's spread can be told at all."""
_ENOUGH_PER_HOUR = 3
_BETTER = 0.95
_MOST_CORRELATED = 0.98


class Basis(StrEnum):
    """What a flow's forecast rests on."""

    HOUR_OF_WEEK = "hour_of_week"
    HOUR_OF_DAY = "hour_of_day"
    RECENT = "recent"
    AGREED = "agreed"


@dataclass(frozen=True, slots=True, eq=False)
class FlowHistory:
    """n buckets of k flows into (+) and out of (-) a stock, kg/s, oldest first: ``flows`` (k, n), NaN where not known.

    ``hour`` (n): 0 to 167, hour of the local week in which a bucket begins. ``contiguous`` (n): whether a bucket follows
    on the one before. ``systematic`` (k): standard deviation of each flow's meter, kg/s.
    """

    bucket_s: float
    flows: FloatArray
    hour: IntArray
    contiguous: IntArray
    systematic: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class FlowModel:
    """Means of k flows by hour of the week (k, 168), kg/s; the net's straying from them: sd, correlation and value now.

    ``mean_sd``: how well the net's mean is known; ``systematic``: what the meters of all flows together err; kg/s.
    """

    basis: Basis
    bucket_s: float
    buckets: int
    means: FloatArray
    sd: float
    correlation: float
    straying: float
    mean_sd: float
    systematic: float


def fit(history: FlowHistory) -> FlowModel | None:
    """The pattern of the flows and how their net strays from it; None with fewer than ``FEWEST`` buckets of all flows.

    Raises ModelError when the sizes differ.
    """
    flows = history.flows
    if flows.shape[1:] != history.hour.shape or history.systematic.shape != flows.shape[:1]:
        raise ModelError("a history needs an hour for each bucket and a meter's deviation for each flow; sizes differ")
    known = np.isfinite(flows).all(axis=0)
    if np.count_nonzero(known) < FEWEST:
        return None
    flows, hour, follows = flows[:, known], history.hour[known], history.contiguous[known].astype(np.bool_)
    follows[1:] &= np.diff(np.flatnonzero(known)) == 1
    basis, means = _pattern(flows, hour)
    left = (flows - means[:, hour]).sum(axis=0)
    free = max(left.size - _parameters(basis), 1)
    sd = sqrt(float((left**2).sum()) / free)
    correlation = _correlation(left, follows)
    mean_sd = sd * sqrt((1 + correlation) / (1 - correlation) / left.size)
    systematic = float(np.sqrt((history.systematic**2).sum()))
    return FlowModel(basis, history.bucket_s, left.size, means, sd, correlation, float(left[-1]), mean_sd, systematic)


def _parameters(basis: Basis) -> int:
    return {Basis.HOUR_OF_WEEK: WEEK_H, Basis.HOUR_OF_DAY: 24}.get(basis, 1)


def _pattern(flows: FloatArray, hour: IntArray) -> tuple[Basis, FloatArray]:
    """The finest pattern that is often enough seen and leaves less of the net unexplained, per degree of freedom."""
    plain = np.repeat(flows.mean(axis=1)[:, None], WEEK_H, axis=1)
    unexplained = _spread(flows, plain, hour, 1)
    for basis, cycle in ((Basis.HOUR_OF_WEEK, WEEK_H), (Basis.HOUR_OF_DAY, 24)):
        count = np.bincount(hour % cycle, minlength=cycle)
        if count.min() < _ENOUGH_PER_HOUR:
            continue
        sums = np.stack([np.bincount(hour % cycle, weights=flow, minlength=cycle) for flow in flows])
        means = np.tile(sums / count, WEEK_H // cycle)
        if _spread(flows, means, hour, cycle) < _BETTER * unexplained:
            return basis, means
    return Basis.RECENT, plain


def _spread(flows: FloatArray, means: FloatArray, hour: IntArray, parameters: int) -> float:
    left = (flows - means[:, hour]).sum(axis=0)
    return float((left**2).sum()) / (left.size - parameters) if left.size > parameters else np.inf


def _correlation(left: FloatArray, follows: BoolArray) -> float:
    """Of neighbours in time, less the bias that a short series has (M. G. Kendall, Biometrika 41, 1954)."""
    pairs = np.flatnonzero(follows[1:]) + 1
    power = float((left**2).mean())
    if pairs.size < FEWEST or not power > 0:
        return 0.0
    found = float((left[pairs] * left[pairs - 1]).mean()) / power
    return min(max(found + (1 + 4 * found) / pairs.size, 0.0), _MOST_CORRELATED)


@dataclass(frozen=True, slots=True, eq=False)
class Outlook:
    """What will have moved by each of n + 1 instants, counted from the first: mean kg, random variance kg², and
    ``systematic`` kg per deviation of one error that lasts throughout. All begin with 0.
    """

    at_s: FloatArray
    moved: FloatArray
    variance: FloatArray
    systematic: FloatArray

    def with_flow(self, rate_kg_s: FloatArray, sd_kg_s: FloatArray, load_kg: float = 0.0) -> Outlook:
        """The same and one more flow (signed), given for each of the n intervals; loads come at random moments."""
        length = np.diff(self.at_s)
        return Outlook(
            self.at_s,
            self.moved + _summed(rate_kg_s * length),
            self.variance + _summed(np.abs(rate_kg_s) * load_kg * length),
            np.hypot(self.systematic, _summed(sd_kg_s * length)),
        )


def nothing_moves(at_s: FloatArray) -> Outlook:
    """An outlook without any flow."""
    return Outlook(at_s, np.zeros_like(at_s), np.zeros_like(at_s), np.zeros_like(at_s))


def foresee(model: FlowModel, at_s: FloatArray, hour: IntArray, running: FloatArray) -> Outlook:
    """What the flows of a model will have moved by ``at_s`` (n + 1 instants from the end of its history).

    ``hour`` (n): hour of the local week of each interval; ``running`` (k, n): share of it in which each flow runs.
    """
    length = np.diff(at_s)
    buckets = (at_s - at_s[0]) / model.bucket_s
    mean = (model.means[:, hour] * running).sum(axis=0)
    fading = model.correlation
    stray = fading * (1 - fading**buckets) / (1 - fading)
    spread = _sum_of_squares(fading, buckets) * (1 - fading**2) / (1 - fading) ** 2
    return Outlook(
        at_s,
        _summed(mean * length) + model.straying * model.bucket_s * stray,
        np.maximum.accumulate((model.sd * model.bucket_s) ** 2 * spread),
        hypot(model.mean_sd, model.systematic) * (at_s - at_s[0]),
    )


def _sum_of_squares(fading: float, n: FloatArray) -> FloatArray:
    """Σ (1 - φᵏ)² for k from 1 to n, for n that need not be whole."""
    if not fading > 0:
        return n
    ones = fading * (1 - fading**n) / (1 - fading)
    squares = fading**2 * (1 - fading ** (2 * n)) / (1 - fading**2)
    return np.maximum(n - 2 * ones + squares, 0.0)


def _summed(parts: FloatArray) -> FloatArray:
    return np.concatenate(([0.0], np.cumsum(parts)))
