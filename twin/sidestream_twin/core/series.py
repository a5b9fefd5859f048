"""Readings of one sensor over time: sorted, finite, one value per instant.

Whatever order readings arrive in, and however often one is repeated, the series is the same. Between two readings the
value is taken to run straight, as long as they are no further apart than a stated gap; beyond it nothing is claimed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sidestream_twin.core.arrays import FloatArray, FloatLike, as_floats
from sidestream_twin.core.errors import ModelError
from sidestream_twin.core.quality import Origin


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """Readings in strictly rising time, all finite; build it with ``Series.of``.

    ``at_s`` seconds since 1970 UTC; ``value`` in any one unit; both deviations per reading in that unit. The systematic
    deviation is one error shared by all readings of the series. ``dropped`` counts what was given but not finite.
    """

    at_s: FloatArray
    value: FloatArray
    sd_random: FloatArray
    sd_systematic: FloatArray
    origin: Origin = Origin.MEASURED
    dropped: int = 0

    @classmethod
    def of(
        cls,
        at_s: FloatLike,
        value: FloatLike,
        sd_random: FloatLike = 0.0,
        sd_systematic: FloatLike = 0.0,
        origin: Origin = Origin.MEASURED,
    ) -> Series:
        """Build a series from readings in any order; readings of one instant become their mean.

        A deviation may be one number for all. Readings with a part that is not finite are dropped and counted.
        Raises ModelError when sizes differ or a deviation is negative.
        """
        at = as_floats(at_s)
        columns = [as_floats(column, like=at) for column in (value, sd_random, sd_systematic)]
        usable = np.logical_and.reduce([np.isfinite(column) for column in (at, *columns)])
        if (columns[1][usable] < 0).any() or (columns[2][usable] < 0).any():
            raise ModelError("a standard deviation below zero was given for a reading; give its size without sign")
        at, columns = at[usable], [column[usable] for column in columns]
        at, columns = _in_order(at, columns)
        return cls(at, columns[0], columns[1], columns[2], origin, int(usable.size - usable.sum()))

    def __len__(self) -> int:
        return int(self.at_s.size)

    def interpolated(self, at_s: FloatLike, max_gap_s: float) -> Interpolated:
        """Return what the series says at other instants: NaN where no pair of readings within ``max_gap_s`` tells."""
        return _interpolate(self, as_floats(at_s), max_gap_s)


@dataclass(frozen=True, slots=True, eq=False)
class Interpolated:
    """A series read off at given instants; NaN where unknown.

    ``sd_random`` is that of the readings used, not shrunk by having two of them: neighbouring instants share them.
    ``spacing_s`` is the distance of the readings used (of an exact hit: to its next neighbour; 0 for a lone reading).
    """

    value: FloatArray
    sd_random: FloatArray
    sd_systematic: FloatArray
    spacing_s: FloatArray


def _in_order(at: FloatArray, columns: list[FloatArray]) -> tuple[FloatArray, list[FloatArray]]:
    if (np.diff(at) > 0).all():
        return at, columns
    order = np.lexsort((*columns[::-1], at))
    unique, group, count = np.unique(at[order], return_inverse=True, return_counts=True)
    means = [np.bincount(group, weights=column[order], minlength=unique.size) / count for column in columns]
    return unique, means


def _interpolate(series: Series, at: FloatArray, max_gap_s: float) -> Interpolated:
    last = len(series) - 1
    if last < 0:
        nothing = np.full(at.shape, np.nan)
        return Interpolated(nothing, nothing, nothing, nothing)
    left = np.clip(np.searchsorted(series.at_s, at, side="right") - 1, 0, max(last - 1, 0))
    right = np.minimum(left + 1, last)
    spacing = series.at_s[right] - series.at_s[left]
    share = np.divide(at - series.at_s[left], spacing, out=np.zeros_like(at), where=spacing > 0)
    exact = (at == series.at_s[left]) | (at == series.at_s[right])
    known = exact | ((share > 0) & (share < 1) & (spacing <= max_gap_s))

    def blend(column: FloatArray) -> FloatArray:
        return np.where(known, (1 - share) * column[left] + share * column[right], np.nan)

    return Interpolated(
        value=blend(series.value),
        sd_random=np.sqrt(blend(series.sd_random**2)),
        sd_systematic=blend(series.sd_systematic),
        spacing_s=np.where(known, spacing, np.nan),
    )
