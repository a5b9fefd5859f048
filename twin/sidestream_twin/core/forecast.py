"""When a stock first reaches a limit: the distribution of that moment, from what lies there and what will flow.

Given the errors that last (of the mass now, of the meters, of the mean flow), the mass strays at random about its mean
path, and the first time it reaches the limit has the distribution of Bachelier and Lévy for Brownian motion with drift
(J. L. Folks, R. S. Chhikara, J. R. Stat. Soc. B 40, 1978), with the drift and the spread that have come about by then.
The errors that last are summed over by equally likely cases. Each limit is judged by itself: that a stock may overflow
before it runs dry makes no difference to the second.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from statistics import NormalDist

import numpy as np
from scipy.special import log_ndtr, ndtr

from sidestream_twin.core.arrays import FloatArray
from sidestream_twin.core.outlook import Outlook
from sidestream_twin.core.uncertain import Uncertain

SHARES = (0.05, 0.25, 0.5, 0.75, 0.95)
"""Ends of the 90 % and the 50 % band, and the middle."""
_STARTS, _LASTING = 25, 11
"""Equally likely cases of the mass now, and of the error of the flow."""
_POSSIBLE = 0.05
_LEAST_VARIANCE = 1e-12


class Event(StrEnum):
    """Which limit is reached."""

    OVERFLOW = "overflow"
    RUN_DRY = "run_dry"

    @property
    def sign(self) -> int:
        """+1 where the mass rises to the limit."""
        return 1 if self is Event.OVERFLOW else -1


class Outcome(StrEnum):
    """What a forecast says; POSSIBLE: between 5 and 50 % within the horizon; REACHED: the mean is beyond it already."""

    REACHED = "reached"
    EXPECTED = "expected"
    POSSIBLE = "possible"
    NOT_WITHIN_HORIZON = "not_within_horizon"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class FirstPassage:
    """Probability that the limit is reached within the horizon, and when, in seconds from now, with the chance of
    ``SHARES``; None where that is beyond the horizon.
    """

    outcome: Outcome
    probability: float
    quantiles_s: tuple[float | None, ...]


def first_passage(mass: Uncertain, limit_kg: float, event: Event, outlook: Outlook) -> FirstPassage:
    """When a stock that holds ``mass`` at the outlook's first instant reaches the limit."""
    reached = _reached_by(mass, limit_kg, event, outlook)
    at_s = outlook.at_s - outlook.at_s[0]
    quantiles = tuple(_time_of(share, at_s, reached) for share in SHARES)
    probability = float(reached[-1])
    return FirstPassage(_outcome(mass, limit_kg, event, probability), probability, quantiles)


def _outcome(mass: Uncertain, limit_kg: float, event: Event, probability: float) -> Outcome:
    if event.sign * (mass.value - limit_kg) >= 0:
        return Outcome.REACHED
    if probability >= 0.5:
        return Outcome.EXPECTED
    return Outcome.POSSIBLE if probability >= _POSSIBLE else Outcome.NOT_WITHIN_HORIZON


def _reached_by(mass: Uncertain, limit_kg: float, event: Event, outlook: Outlook) -> FloatArray:
    """Probability, at each instant, that the limit has been reached by then; never falls."""
    start, lasting = (part.reshape(-1, 1) for part in np.meshgrid(_cases(_STARTS), _cases(_LASTING)))
    distance = event.sign * (limit_kg - mass.value) - mass.sd * start
    drift = event.sign * outlook.moved + outlook.systematic * lasting
    spread = np.sqrt(np.maximum(outlook.variance, _LEAST_VARIANCE))
    log_turned = 2 * distance * drift / spread**2 + log_ndtr((-distance - drift) / spread)
    turned = np.exp(np.minimum(log_turned, 0.0))
    passed = np.where(distance <= 0, 1.0, np.minimum(ndtr((drift - distance) / spread) + turned, 1.0))
    return np.maximum.accumulate(np.asarray(passed.mean(axis=0), dtype=np.float64))


def _cases(count: int) -> FloatArray:
    """Middles of equally likely parts of the unit normal distribution, with its deviation."""
    cases = np.array([NormalDist().inv_cdf((n + 0.5) / count) for n in range(count)])
    return np.asarray(cases / cases.std(), dtype=np.float64)


def _time_of(share: float, at_s: FloatArray, reached: FloatArray) -> float | None:
    if reached[0] >= share:
        return 0.0
    for n, (before, after) in enumerate(pairwise(reached.tolist())):
        if after >= share:
            return float(at_s[n] + (share - before) / (after - before) * (at_s[n + 1] - at_s[n]))
    return None
