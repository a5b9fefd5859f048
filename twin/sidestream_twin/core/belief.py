"""What is believed of a stock's mass and of the biases of its instruments, together: one normal distribution.

A bias is counted in standard deviations of its source: measured = true + bias · sd_systematic, with prior N(0, 1). That
a level read high is then known together with the mass it was read of, and what two instruments disagree on is shared
out between their biases as their classes say. Updates are those of the Kalman filter, the covariance in Joseph's form
(P. D. Joseph; G. J. Bierman, Factorization Methods, 1977, ch. II): it stays positive in the face of rounding.

Biases don't stay for ever: they drift as a stationary first-order Gauss-Markov process (A. Gelb, Applied Optimal
Estimation, 1974, 3.8), so what was learned of one a long time ago counts for less, and the prior comes back.

Every update is made of sums and products element by element, none of reductions, so the bits depend on nothing but the
values.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import exp, sqrt

import numpy as np

from sidestream_twin.core.arrays import FloatArray
from sidestream_twin.core.uncertain import Uncertain

_NOTHING_LEFT = 1e-12
"""A variance of a bias (prior 1) from which nothing more can follow from it."""


@dataclass(frozen=True, slots=True, eq=False)
class Belief:
    """Mean (1 + k) and covariance (1 + k, 1 + k) of the mass, kg, and of the k biases of ``sources``, sorted."""

    sources: tuple[str, ...]
    mean: FloatArray
    covariance: FloatArray

    @classmethod
    def of_mass(cls, mass_kg: float, variance_kg2: float) -> Belief:
        """A mass alone."""
        return cls((), np.array([mass_kg]), np.array([[variance_kg2]]))

    def with_source(self, source: str) -> Belief:
        """The same, and a bias of which nothing but its prior is known; unchanged where the source is among them."""
        place = bisect_left(self.sources, source)
        if place < len(self.sources) and self.sources[place] == source:
            return self
        covariance = np.insert(np.insert(self.covariance, place + 1, 0.0, axis=0), place + 1, 0.0, axis=1)
        covariance[place + 1, place + 1] = 1.0
        sources = (*self.sources[:place], source, *self.sources[place:])
        return Belief(sources, np.insert(self.mean, place + 1, 0.0), covariance)

    def without(self, gone: Iterable[str]) -> Belief:
        """The same less some biases: what they did to the mass stays in its variance."""
        places = [1 + self.sources.index(source) for source in gone]
        if not places:
            return self
        keep = [place for place in range(self.mean.size) if place not in places]
        sources = tuple(self.sources[place - 1] for place in keep[1:])
        return Belief(sources, self.mean[keep], self.covariance[np.ix_(keep, keep)])

    def forgetting(self, source: str, variance: float = 1.0) -> Belief:
        """The same, but the bias of ``source`` may have become another: its spread is that of its prior, or as given."""
        if source not in self.sources:
            return self
        place = 1 + self.sources.index(source)
        covariance = self.covariance.copy()
        covariance[place, :] = 0.0
        covariance[:, place] = 0.0
        covariance[place, place] = variance
        return Belief(self.sources, self.mean, covariance)

    def aged(self, seconds: float, lasting_s: Callable[[str], float]) -> Belief:
        """The same ``seconds`` later, when each bias has drifted back to its prior by ``lasting_s`` of its source."""
        factors = [exp(-seconds / lasting_s(source)) for source in self.sources]
        if all(factor == 1.0 for factor in factors):
            return self
        factor = np.array([1.0, *factors])
        covariance = self.covariance * np.multiply.outer(factor, factor)
        covariance.flat[:: factor.size + 1] += 1.0 - factor**2
        return Belief(self.sources, self.mean * factor, covariance)

    def moved(self, amount_kg: float, sd_random: float, source: str, effect_kg: float) -> Belief:
        """The mass after ``amount_kg`` (signed) came by a meter that errs by ``effect_kg`` per unit of its bias.

        ``effect_kg`` has the sign of the movement.
        """
        known = self.with_source(source) if effect_kg else self
        mean, covariance = known.mean.copy(), known.covariance.copy()
        mean[0] += amount_kg
        if effect_kg:
            place = 1 + known.sources.index(source)
            mean[0] -= effect_kg * mean[place]
            covariance[0, :] -= effect_kg * covariance[place, :]
            covariance[:, 0] -= effect_kg * covariance[:, place]
        covariance[0, 0] += sd_random**2
        return Belief(known.sources, mean, covariance)

    def expecting(self, sd_random: float, source: str, effect_kg: float) -> Expectation:
        """What an instrument with these deviations should show."""
        known = self.with_source(source) if effect_kg else self
        shared = known.covariance[:, 0]
        value = known.mean[0]
        if effect_kg:
            place = 1 + known.sources.index(source)
            shared = shared + effect_kg * known.covariance[:, place]
            value = value + effect_kg * known.mean[place]
            variance = shared[0] + effect_kg * shared[place] + sd_random**2
        else:
            variance = shared[0] + sd_random**2
        return Expectation(known, float(value), float(variance), shared, source, effect_kg, sd_random)

    @property
    def systematic_variance(self) -> float:
        """The part of the mass's variance, kg², that would vanish if every bias were known."""
        left: list[list[float]] = self.covariance.tolist()  # small enough for plain numbers to be the faster way
        size = range(len(left))
        whole = left[0][0]
        for place in size[1:]:
            column = [row[place] for row in left]
            if column[place] > _NOTHING_LEFT:
                scaled = [value / column[place] for value in column]
                left = [[left[n][m] - column[n] * scaled[m] for m in size] for n in size]
        return max(whole - max(left[0][0], 0.0), 0.0)

    @property
    def quantity(self) -> Uncertain:
        """Mass with its two deviations, kg; systematic is what would vanish if every bias were known."""
        whole, systematic = float(self.covariance[0, 0]), self.systematic_variance
        return Uncertain(float(self.mean[0]), sqrt(max(whole - systematic, 0.0)), sqrt(systematic))

    def bias(self, source: str) -> tuple[float, float]:
        """Mean and standard deviation of a source's bias, in its own standard deviations."""
        place = 1 + self.sources.index(source)
        return float(self.mean[place]), sqrt(max(float(self.covariance[place, place]), 0.0))


@dataclass(frozen=True, slots=True, eq=False)
class Expectation:
    """What an observation should be: value and variance, and ``shared``, its covariance with all that is believed."""

    belief: Belief
    value_kg: float
    variance_kg2: float
    shared: FloatArray
    source: str
    effect_kg: float
    sd_random: float

    def met_by(self, seen_kg: float) -> Belief:
        """What is believed after ``seen_kg`` was seen."""
        if not self.variance_kg2 > 0:
            return self.belief  # as sure as can be, and so is the instrument: nothing can be learned
        gain = self.shared / self.variance_kg2
        mean = self.belief.mean + gain * (seen_kg - self.value_kg)
        once = self.belief.covariance - np.multiply.outer(gain, self.shared)
        across = once[:, 0]
        if self.effect_kg:
            across = across + self.effect_kg * once[:, 1 + self.belief.sources.index(self.source)]
        twice = once - np.multiply.outer(across, gain) + self.sd_random**2 * np.multiply.outer(gain, gain)
        return Belief(self.belief.sources, mean, (twice + twice.T) / 2)
