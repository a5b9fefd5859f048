"""Totals from a cumulative register: the rise between a step's bounds, across rollovers, resets and meter swaps."""

from __future__ import annotations

import numpy as np

from sidestream_twin.core.arrays import FloatLike, IntArray, checked_bounds
from sidestream_twin.core.cuts import Cuts, cut
from sidestream_twin.core.register import CounterRules, stretches
from sidestream_twin.core.series import Series
from sidestream_twin.core.totals import COMPLETE, GapRules, SeenSums, Totals, spread_over_steps


def totals_from_counter(register: Series, bounds_s: FloatLike, rules: GapRules, counter: CounterRules) -> Totals:
    """Return the rise of a cumulative register in each step, never negative beyond the register's resolution.

    A fall is a rollover where ``modulus`` makes it a plausible rise, else a reset: that stretch is unseen and flagged,
    as is a rise faster than ``max_rate``. A bound between two readings takes its linear share of the rise between
    them; how the rise was really spread is taken as Beta-distributed (variance share·(1-share)/3 of its square, which
    is the rectangular distribution in the middle), and beyond ``max_gap_s`` such a step is ``estimated``.
    """
    bounds = checked_bounds(bounds_s)
    between = stretches(register, counter)
    cuts = cut(between.at_s, bounds)
    spacing = np.diff(between.at_s)
    known = ~between.lost[cuts.left]
    share = np.where(known, cuts.length_s / spacing[cuts.left], 0.0)
    seen = cuts.per_step(share * between.rise[cuts.left])
    spread = share * (1 - share) / 3 * between.rise[cuts.left] ** 2
    reading = cuts.variance_per_step(-share, share, between.knot_variance)
    wide = known & (share < COMPLETE) & (spacing[cuts.left] > rules.max_gap_s)
    sums = SeenSums(
        seen=seen,
        seen_s=cuts.per_step(np.where(known, cuts.length_s, 0.0)),
        variance=reading + cuts.per_step(spread),
        systematic=np.abs(seen) * counter.limit_relative / np.sqrt(3.0),
        events=_events_per_step(cuts, between.event),
        uneven=cuts.per_step(wide.astype(np.float64)) > 0,
    )
    return spread_over_steps(register, bounds, sums, rules)


def _events_per_step(cuts: Cuts, event: IntArray) -> IntArray:
    found = np.zeros(cuts.steps, dtype=np.int64)
    np.bitwise_or.at(found, cuts.step, event[cuts.left])
    return found
