"""Do the meters agree, which one disagrees most, and what could these tests see at all?

A bias of meter j moves the balances along its signature f_j. With Q = S⁻¹: score = f·Q·r, information = f·Q·f; the
measurement test is |score|/√information (Mah & Tamhane 1982), the same number as the generalised likelihood ratio's
√T (Narasimhan & Mah 1987), which also serves for leaks; estimated bias = score/information with variance
1/information. Detectability σ·√information and adjustability 1 − √(1 − σ²·information) depend on no reading, so
what a meter's neighbours could ever notice is known before there is trouble (do Valle et al. 2018).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.special import chdtrc, chdtri, ndtr, ndtri

from sidestream_twin.core.arrays import FloatArray
from sidestream_twin.core.errors import ModelError
from sidestream_twin.core.reconcile.estimate import Estimate
from sidestream_twin.core.reconcile.operators import weighed_products

UNCHECKABLE = 1e-6
"""Detectability below which a meter counts as checked by nothing: a bias of a million deviations would be unseen."""


@dataclass(frozen=True, slots=True)
class GlobalTest:
    """χ² of all balances at once; passed: nothing says that a meter is wrong."""

    statistic: float
    dof: int
    critical: float
    p_value: float

    @property
    def passed(self) -> bool:
        """Whether the meters agree within their deviations."""
        return self.statistic <= self.critical


@dataclass(frozen=True, slots=True, eq=False)
class Screening:
    """Tests of every meter at overall level ``level``; arrays as ``estimate.system.ids``, NaN: not measured.

    A meter that can't be checked has detectability 0 and no test. ``critical`` is Šidák's: no honest plant exceeds it
    anywhere with more than ``level`` probability.
    """

    level: float
    tests: int
    critical: float
    test: FloatArray
    detectability: FloatArray
    adjustability: FloatArray
    bias: FloatArray
    bias_sd: FloatArray

    def power(self, bias: FloatArray) -> FloatArray:
        """Return the probability that each meter's test exceeds the critical value if it alone is off by ``bias``."""
        shift = np.abs(bias) / self.bias_sd
        return np.asarray(ndtr(shift - self.critical) + ndtr(-shift - self.critical))

    def smallest_detectable(self, power: float = 0.9) -> FloatArray:
        """Return the bias of each meter that its test finds with probability ``power``; ∞ for one that can't be checked."""
        _check_share("power", power)
        shift = shift_for(power, self.critical)
        return np.asarray(
            np.where(np.isnan(self.detectability), np.nan, shift * np.nan_to_num(self.bias_sd, nan=np.inf))
        )


def screen(estimate: Estimate, level: float = 0.05) -> Screening:
    """Return the measurement tests of an estimate; ``level`` is the overall probability of a false alarm."""
    score, information = scores(estimate, estimate.precision)
    measured = estimate.structure.is_measured
    sd = np.where(measured, np.sqrt(estimate.system.variance), np.nan)
    detectability = np.minimum(sd * np.sqrt(information), 1.0)
    detectability[detectability < UNCHECKABLE] = 0.0
    seen = detectability > 0
    root = np.sqrt(np.where(seen, information, np.nan))
    tests = int(np.count_nonzero(seen))
    return Screening(
        level=level,
        tests=tests,
        critical=sidak(level, tests),
        test=np.abs(score) / root,
        detectability=detectability,
        adjustability=1.0 - np.sqrt(1.0 - detectability**2),
        bias=score / root**2,
        bias_sd=1.0 / root,
    )


def scores(estimate: Estimate, precision: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return f·Q·r and f·Q·f of every variable, for a given Q."""
    signatures = estimate.signatures
    score = signatures.T @ (precision @ estimate.imbalance)
    information = weighed_products(signatures, precision @ signatures)
    return np.asarray(score), np.maximum(information, 0.0)


def global_test(estimate: Estimate, level: float = 0.05) -> GlobalTest | None:
    """Return the χ² test of rᵀ·S⁻¹·r; None where no meter checks another."""
    _check_share("level", level)
    dof = estimate.structure.redundancy
    if not dof:
        return None
    statistic = float(estimate.imbalance @ estimate.precision @ estimate.imbalance)
    return GlobalTest(statistic, dof, float(chdtri(dof, level)), float(chdtrc(dof, statistic)))


def sidak(level: float, tests: int) -> float:
    """Return the two-sided normal quantile at which ``tests`` independent tests raise a false alarm with ``level``."""
    _check_share("level", level)
    each = -np.expm1(np.log1p(-level) / max(tests, 1))
    return float(-ndtri(each / 2.0))


@lru_cache(maxsize=256)
def shift_for(power: float, critical: float) -> float:
    """Return how far a unit normal must be shifted to exceed ±critical with probability ``power`` (bisection)."""
    low, high = 0.0, critical + 40.0
    for _ in range(80):
        middle = 0.5 * (low + high)
        if ndtr(middle - critical) + ndtr(-middle - critical) < power:
            low = middle
        else:
            high = middle
    return high


def _check_share(name: str, value: float) -> None:
    if not 0.0 < value < 1.0:
        raise ModelError(f"the {name} is {value}, but it is a probability; give one between 0 and 1, such as 0.05")
