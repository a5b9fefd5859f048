"""How much heat must be bought and how much must be thrown away at the least: the problem table.

Hot streams are shifted down and cold ones up by half of ΔTmin, so that heat may pass wherever shifted temperatures
allow it. Surpluses cascade from the hottest shifted temperature downwards; the largest deficit on the way is the hot
utility, what arrives at the bottom the cold utility, and where nothing passes is the pinch: no heat should cross it.
Method: Linnhoff & Flower, AIChE J. 24 (1978) 633; Kemp, Pinch Analysis and Process Integration, 2nd ed. 2007, ch. 2.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import fsum, isfinite

from sidestream_twin.core.errors import ModelError
from sidestream_twin.core.heat.streams import HeatStream, Side

_NOTHING = 1e-9
"""A heat flow below this share of all duties is taken for zero: it is what rounding leaves."""
_SAME_K = 1e-6


@dataclass(frozen=True, slots=True)
class Point:
    """A point of a curve: temperature in K and heat flow in W."""

    t_k: float
    heat_w: float


@dataclass(frozen=True, slots=True)
class Targets:
    """The least utilities for one ΔTmin, and the grand composite curve that shows at which temperatures they do.

    ``pinches_k`` are shifted temperatures, hottest first; empty for a threshold problem, where heat is short or left
    over at every temperature. ``grand`` runs from hot to cold with one point each side of an isothermal stream.
    """

    hot_utility_w: float
    cold_utility_w: float
    recovered_w: float
    pinches_k: tuple[float, ...]
    grand: tuple[Point, ...]

    @property
    def is_threshold(self) -> bool:
        """Whether a utility is not needed at all."""
        return self.hot_utility_w == 0 or self.cold_utility_w == 0


def heat_targets(streams: Sequence[HeatStream], dt_min_k: float) -> Targets:
    """Return the least hot and cold utility of streams that may all exchange heat with each other.

    The result does not depend on the order of the streams. Raises ModelError when there are none, two bear one id, or
    ΔTmin is negative.
    """
    _check(streams, dt_min_k)
    scale = _NOTHING * fsum(s.duty_w for s in streams)
    cascade = _cascade(streams, dt_min_k)
    deficit = max(0.0, -min(point.heat_w for point in cascade))
    grand = tuple(Point(p.t_k, _clean(p.heat_w + deficit, scale)) for p in cascade)
    hot, cold = _clean(deficit, scale), grand[-1].heat_w
    wanted = fsum(s.duty_w for s in streams if s.side is Side.COLD)
    return Targets(hot, cold, max(0.0, wanted - hot), _pinches(grand), grand)


def _check(streams: Sequence[HeatStream], dt_min_k: float) -> None:
    if not (isfinite(dt_min_k) and dt_min_k >= 0):
        msg = f"ΔTmin of {dt_min_k} K can't be: heat passes only from warm to cold; give zero or more"
        raise ModelError(msg)
    if not streams:
        raise ModelError("there are no streams; give at least one that has or needs heat")
    twice = [name for name, count in Counter(s.id for s in streams).items() if count > 1]
    if twice:
        msg = f"two streams are called {twice[0]!r}; every stream needs an id of its own"
        raise ModelError(msg)


def _cascade(streams: Sequence[HeatStream], dt_min_k: float) -> list[Point]:
    """Heat that has come down to each shifted temperature when none is added at the top."""
    ends = [(s.low_k + s.shift_k(dt_min_k), s.high_k + s.shift_k(dt_min_k)) for s in streams]
    one = _snapped({t for pair in ends for t in pair})
    loads = [(one[low], one[high], _signed(s)) for s, (low, high) in zip(streams, ends, strict=True)]
    levels = sorted(set(one.values()), reverse=True)
    points: list[Point] = []
    passed: list[float] = []
    for above, here in zip([levels[0], *levels], levels, strict=False):
        passed += [duty * (above - here) / (high - low) for low, high, duty in loads if low <= here < above <= high]
        points.append(Point(here, fsum(passed)))
        jumps = [duty for low, high, duty in loads if low == high == here]
        if jumps:
            passed += jumps
            points.append(Point(here, fsum(passed)))
    return points


def _snapped(levels: set[float]) -> dict[float, float]:
    """Temperatures that differ by rounding only, made one: else steam could not boil what it was meant to boil."""
    one: dict[float, float] = {}
    last = float("inf")
    for level in sorted(levels, reverse=True):
        if last - level > _SAME_K:
            last = level
        one[level] = last
    return one


def _signed(stream: HeatStream) -> float:
    return stream.duty_w if stream.side is Side.HOT else -stream.duty_w


def _pinches(grand: Sequence[Point]) -> tuple[float, ...]:
    """Where nothing passes; not the open ends, where nothing passes because there is nothing beyond."""
    open_ends = {end.t_k for end in (grand[0], grand[-1]) if end.heat_w == 0}
    closed = {point.t_k for point in grand if point.heat_w == 0}
    return tuple(sorted(closed - open_ends, reverse=True))


def _clean(heat_w: float, nothing_w: float) -> float:
    return 0.0 if abs(heat_w) <= nothing_w else heat_w


def composite(streams: Iterable[HeatStream], side: Side, start_w: float = 0.0) -> tuple[Point, ...]:
    """Return the composite curve of one side, coldest point first, at real (not shifted) temperatures.

    ``heat_w`` adds up from ``start_w``; draw the hot curve from 0 and the cold one from the cold utility, and they are
    nowhere closer than ΔTmin. Empty when there is no stream of that side.
    """
    own = [s for s in streams if s.side is side]
    levels = sorted({t for s in own for t in (s.low_k, s.high_k)})
    points: list[Point] = []
    passed = [start_w]
    for below, here in zip(levels[:1] + levels, levels, strict=False):
        passed += [s.duty_w * (here - below) / (s.high_k - s.low_k) for s in own if s.low_k <= below < here <= s.high_k]
        points.append(Point(here, fsum(passed)))
        jumps = [s.duty_w for s in own if s.isothermal and s.low_k == here]
        if jumps:
            passed += jumps
            points.append(Point(here, fsum(passed)))
    return tuple(points)
