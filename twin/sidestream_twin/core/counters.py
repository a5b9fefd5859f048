"""Totals from a cumulative register: the rise between a step's bounds, across rollovers, resets and meter swaps.

A register that falls has rolled over where that makes a plausible rise; else it was reset or swapped, and what flowed
meanwhile is unseen: said, never guessed from two registers that have nothing to do with each other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sidestream_twin.core.arrays import FloatArray, FloatLike, IntArray, checked_bounds
from sidestream_twin.core.cuts import Cuts, cut
from sidestream_twin.core.errors import ModelError
from sidestream_twin.core.series import Series
from sidestream_twin.core.totals import COMPLETE, CounterEvent, GapRules, SeenSums, Totals, spread_over_steps


@dataclass(frozen=True, slots=True)
class CounterRules:
    """How a register counts, in its own unit.

    ``modulus``: it starts again from zero there (None: never). ``max_rate``: the most it can rise per second (None:
    not known; give it, or only a fall that makes a rise under a tenth of the modulus is taken for a rollover).
    ``resolution``: its last digit; a fall of no more than that is noise. ``limit_relative``: class limit.
    """

    modulus: float | None = None
    max_rate: float | None = None
    resolution: float = 0.0
    limit_relative: float = 0.0

    def __post_init__(self) -> None:
        above = (self.modulus is None or self.modulus > 0) and (self.max_rate is None or self.max_rate > 0)
        if not above or not self.resolution >= 0 or not self.limit_relative >= 0:
            msg = f"counter rules {self} can't be: modulus and max_rate above zero, the others not negative"
            raise ModelError(msg)


def totals_from_counter(register: Series, bounds_s: FloatLike, rules: GapRules, counter: CounterRules) -> Totals:
    """Return the rise of a cumulative register in each step, never negative beyond the register's resolution.

    A fall is a rollover where ``modulus`` makes it a plausible rise, else a reset: that stretch is unseen and flagged,
    as is a rise faster than ``max_rate``. A bound between two readings takes its linear share of the rise between
    them; how the rise was really spread is taken as Beta-distributed (variance share·(1-share)/3 of its square, which
    is the rectangular distribution in the middle), and beyond ``max_gap_s`` such a step is ``estimated``.
    """
    bounds = checked_bounds(bounds_s)
    cuts = cut(register.at_s, bounds)
    spacing = np.diff(register.at_s)
    rise, event = _rises(np.diff(register.value), spacing, counter)
    lost = (event & (CounterEvent.RESET | CounterEvent.JUMP)) > 0
    known = ~lost[cuts.left]
    share = np.where(known, cuts.length_s / spacing[cuts.left], 0.0)
    seen = cuts.per_step(share * rise[cuts.left])
    spread = share * (1 - share) / 3 * rise[cuts.left] ** 2
    reading = cuts.variance_per_step(-share, share, register.sd_random**2 + counter.resolution**2 / 12)
    wide = known & (share < COMPLETE) & (spacing[cuts.left] > rules.max_gap_s)
    sums = SeenSums(
        seen=seen,
        seen_s=cuts.per_step(np.where(known, cuts.length_s, 0.0)),
        variance=reading + cuts.per_step(spread),
        systematic=np.abs(seen) * counter.limit_relative / np.sqrt(3.0),
        events=_events_per_step(cuts, event),
        uneven=cuts.per_step(wide.astype(np.float64)) > 0,
    )
    return spread_over_steps(register, bounds, sums, rules)


def _rises(raw: FloatArray, spacing: FloatArray, counter: CounterRules) -> tuple[FloatArray, IntArray]:
    limit = np.full_like(raw, np.inf) if counter.max_rate is None else counter.max_rate * spacing
    event = np.zeros(raw.shape, dtype=np.int64)
    falls = raw < -counter.resolution
    rise = raw.copy()
    if counter.modulus is not None:
        # Without a known top speed, more than a tenth of a turn between two readings is likelier a swapped meter.
        plausible = np.minimum(limit, counter.modulus / (10 if counter.max_rate is None else 1))
        rolled = falls & (raw + counter.modulus >= 0) & (raw + counter.modulus <= plausible)
        rise = np.where(rolled, raw + counter.modulus, rise)
        event[rolled] = CounterEvent.ROLLOVER
        falls &= ~rolled
    event[falls] = CounterEvent.RESET
    event[rise > limit + counter.resolution] = CounterEvent.JUMP
    return rise, event


def _events_per_step(cuts: Cuts, event: IntArray) -> IntArray:
    found = np.zeros(cuts.steps, dtype=np.int64)
    np.bitwise_or.at(found, cuts.step, event[cuts.left])
    return found
