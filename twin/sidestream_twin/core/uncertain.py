"""A value with two standard deviations, because two kinds of error add up differently.

A *random* error is drawn anew for each reading and averages out. A *systematic* one (calibration, mounting) is drawn
once per instrument and stays, so it adds linearly over everything that instrument told, and in quadrature between
instruments. Keeping the pair apart is what lets a month's total be honest: n readings shrink the first by 1/√n and the
second not at all. Method: JCGM 100:2008 (GUM), law of propagation 5.1.2 for independent inputs and 5.2.2 for fully
correlated ones; limits become standard deviations by 4.3.7 (equally likely anywhere within ± limit: limit/√3).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import fsum, hypot, isfinite, sqrt

from sidestream_twin.core.errors import ModelError


def sd_from_limit(limit: float) -> float:
    """Return the standard deviation of an error that is equally likely anywhere within ± ``limit`` (GUM 4.3.7)."""
    if not limit >= 0:
        msg = f"an error limit of {limit} can't be; give the half-width of the band, zero or above"
        raise ModelError(msg)
    return limit / sqrt(3.0)


@dataclass(frozen=True, slots=True)
class Uncertain:
    """A finite value with its random and its systematic standard deviation, all in one unit.

    Raises ModelError when a part is not finite or a standard deviation is negative.
    """

    value: float
    sd_random: float = 0.0
    sd_systematic: float = 0.0

    def __post_init__(self) -> None:
        finite = isfinite(self.value) and isfinite(self.sd_random) and isfinite(self.sd_systematic)
        if not finite or self.sd_random < 0 or self.sd_systematic < 0:
            msg = (
                f"value {self.value} with sd {self.sd_random} (random) and {self.sd_systematic} (systematic) "
                "is no measurement: all must be finite, deviations not negative; use None for what isn't known"
            )
            raise ModelError(msg)

    @property
    def sd(self) -> float:
        """Combined standard deviation: the two kinds are independent of each other."""
        return hypot(self.sd_random, self.sd_systematic)

    def scaled(self, factor: float) -> Uncertain:
        """Return the value in another unit, or multiplied by an exactly known factor."""
        return Uncertain(self.value * factor, self.sd_random * abs(factor), self.sd_systematic * abs(factor))


@dataclass(frozen=True, slots=True)
class Term:
    """One addend of a weighted sum; ``source`` names what its systematic error comes from (as a rule the sensor)."""

    quantity: Uncertain
    source: str
    weight: float = 1.0


def weighted_sum(terms: Iterable[Term]) -> Uncertain:
    """Return Σ weight·value, the same to the last bit in whatever order the terms come.

    Random parts add in quadrature. Systematic parts of one source add linearly with their sign, so they cancel in a
    difference of two readings of one sensor; between sources they add in quadrature. No terms give an exact zero.
    """
    terms = tuple(terms)
    by_source: dict[str, list[float]] = {}
    for term in terms:
        by_source.setdefault(term.source, []).append(term.weight * term.quantity.sd_systematic)
    return Uncertain(
        value=fsum(term.weight * term.quantity.value for term in terms),
        sd_random=sqrt(fsum((term.weight * term.quantity.sd_random) ** 2 for term in terms)),
        sd_systematic=sqrt(fsum(fsum(parts) ** 2 for parts in by_source.values())),
    )


def difference(minuend: Term, subtrahend: Term) -> Uncertain:
    """Return ``minuend - subtrahend``; what one source got wrong in both cancels."""
    negated = Term(subtrahend.quantity, subtrahend.source, -subtrahend.weight)
    return weighted_sum((minuend, negated))
