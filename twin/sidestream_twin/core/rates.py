"""Totals from a rate: the time-weighted integral by trapezoids.

Readings no more than ``max_gap_s`` apart are joined by straight lines; a wider gap is unseen. Holding the last reading
instead would lag half a period behind and put that bias into every balance; trapezoids are symmetric in time and exact
for a straight run. The end of a live step so stays unseen until the next reading comes, which completeness tells.
"""

from __future__ import annotations

import numpy as np

from sidestream_twin.core.arrays import FloatArray, FloatLike, checked_bounds
from sidestream_twin.core.cuts import cut
from sidestream_twin.core.series import Series
from sidestream_twin.core.totals import GapRules, SeenSums, Totals, spread_over_steps


def totals_from_rate(rate: Series, bounds_s: FloatLike, rules: GapRules) -> Totals:
    """Return ∫ rate dt in each step; random deviation shrinks with the number of readings, systematic does not.

    Give readings from ``max_gap_s`` before the first bound to as long after the last, or the ends count as unseen.
    """
    bounds = checked_bounds(bounds_s)
    cuts = cut(rate.at_s, bounds)
    spacing = np.diff(rate.at_s)[cuts.left]
    length = np.where(spacing <= rules.max_gap_s, cuts.length_s, 0.0)
    middle = (cuts.start_s - rate.at_s[cuts.left] + cuts.length_s / 2) / spacing
    on_left, on_right = length * (1 - middle), length * middle

    def integral(column: FloatArray) -> FloatArray:
        return cuts.per_step(on_left * column[cuts.left] + on_right * column[cuts.left + 1])

    sums = SeenSums(
        seen=integral(rate.value),
        seen_s=cuts.per_step(length),
        variance=cuts.variance_per_step(on_left, on_right, rate.sd_random**2),
        systematic=integral(rate.sd_systematic),
        events=np.zeros(cuts.steps, dtype=np.int64),
        uneven=np.zeros(cuts.steps, dtype=np.bool_),
    )
    return spread_over_steps(rate, bounds, sums, rules)
