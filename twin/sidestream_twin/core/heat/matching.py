"""Which company's waste heat could serve which other's need: how much would arrive, over what distance, for how long.

A pair of streams is joined by a loop of water: supply as warm as source and need allow, return as cold as the need
allows, half of ΔTmin in either exchanger. The loop is a buried pre-insulated pair of the smallest size that carries the
flow; what it loses is taken off, and its drop of temperature widens ΔTmin. A first look, not a design: pumps, back-up,
storage and money are not in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from sidestream_twin.core.arrays import FloatArray
from sidestream_twin.core.errors import ModelError
from sidestream_twin.core.heat.mismatch import YEAR_H, common_hours, mismatch
from sidestream_twin.core.heat.pipe import Trench, buried_pair
from sidestream_twin.core.heat.pipe_sizes import PipeSize, pipe_for
from sidestream_twin.core.heat.streams import HeatStream, Side
from sidestream_twin.core.heat.targets import heat_targets

_CAPACITY_J_KG_K = 4190.0
_LEAST_SPREAD_K = 20.0
_WHOLE = 1e-6
_HOUR_S = 3600.0


@dataclass(frozen=True, slots=True, eq=False)
class Offer:
    """A stream of a party: how many hours a year it runs at its full duty, or what it had or needed (W) in each step."""

    stream: HeatStream
    party: str
    hours_per_year: float = YEAR_H
    profile_w: FloatArray | None = None


@dataclass(frozen=True, slots=True)
class Ground:
    """How a pipe would be laid: temperature and place in the ground, conductivity of its insulation, hours per step."""

    dt_min_k: float
    ground_k: float = 281.15
    soil_w_mk: float = 1.6
    depth_m: float = 0.8
    insulation_w_mk: float = 0.026
    step_h: float = 1.0


@dataclass(frozen=True, slots=True)
class Loop:
    """The pipes of a match."""

    length_m: float
    size: PipeSize
    parallel: int
    supply_k: float
    return_k: float
    loss_w: float
    drop_k: float


@dataclass(frozen=True, slots=True)
class Match:
    """What one source could do for one need. Where only hours a year are known, least and most differ.

    ``recoverable_w``: what temperatures allow at full duty; ``delivered_w``: what of it would arrive; ``loop`` is None
    where no distance is known, and then nothing is taken off. ``whole_h``: hours a year in which all of the need's duty
    would be covered, ``some_h``: at least some of it.
    """

    source: Offer
    need: Offer
    loop: Loop | None
    recoverable_w: float
    delivered_w: float
    whole_h: tuple[float, float]
    some_h: tuple[float, float]
    energy_j: tuple[float, float]
    by_profile: bool

    @property
    def share_of_need(self) -> float:
        """Delivered, of the need's full duty."""
        return self.delivered_w / self.need.stream.duty_w


@dataclass(frozen=True, slots=True)
class _Reach:
    """What of two streams lies at temperatures that the other can use; ``both`` is what can pass at once."""

    source: float
    need: float
    both_w: float


def matches(offers: Sequence[Offer], lengths_m: dict[tuple[str, str], float | None], ground: Ground) -> list[Match]:
    """Return the matches between different parties in which heat would arrive, most energy a year first.

    ``lengths_m`` by (source id, need id); a pair without one has no known distance. Ties stand in order of ids.
    """
    heat_targets([offer.stream for offer in offers], ground.dt_min_k)  # refuses what contradicts itself
    pairs = (
        (source, need)
        for source in offers
        for need in offers
        if source.stream.side is Side.HOT and need.stream.side is Side.COLD and source.party != need.party
    )
    found = [match(source, need, lengths_m.get((source.stream.id, need.stream.id)), ground) for source, need in pairs]
    return _ranked(each for each in found if each is not None)


def match(source: Offer, need: Offer, length_m: float | None, ground: Ground) -> Match | None:
    """Return what the source could do for the need; None where temperatures forbid it or the way eats it all."""
    reach = _reach(source.stream, need.stream, ground.dt_min_k)
    if reach is None:
        return None
    recoverable, loop = reach.both_w, None
    if length_m is not None:
        loop = _loop(source.stream, need.stream, reach, length_m, ground)
        reach = _reach(source.stream, need.stream, ground.dt_min_k + loop.drop_k)
    if reach is None:
        return None
    loss = loop.loss_w if loop else 0.0
    delivered = min(reach.both_w, max(0.0, reach.source * source.stream.duty_w - loss))
    if not delivered > 0:
        return None
    if source.profile_w is not None and need.profile_w is not None:
        times = _by_profile(source.profile_w, need.profile_w, reach, loss, ground.step_h)
    else:
        times = _by_hours(source, need, delivered)
    whole, some, energy = times
    both = source.profile_w is not None and need.profile_w is not None
    return Match(source, need, loop, recoverable, delivered, whole, some, energy, by_profile=both)


def _reach(source: HeatStream, need: HeatStream, dt_k: float) -> _Reach | None:
    own = _share(source.low_k, source.high_k, need.low_k + dt_k, above=True)
    other = _share(need.low_k, need.high_k, source.high_k - dt_k, above=False)
    both = heat_targets([source, need], dt_k).recovered_w
    return _Reach(own, other, both) if own > 0 and other > 0 and both > 0 else None


def _share(low_k: float, high_k: float, limit_k: float, *, above: bool) -> float:
    """The share of a stream's duty that lies above, or below, a temperature."""
    if low_k == high_k:
        return float(low_k >= limit_k if above else low_k <= limit_k)
    part = (high_k - limit_k if above else limit_k - low_k) / (high_k - low_k)
    return min(1.0, max(0.0, part))


def _loop(source: HeatStream, need: HeatStream, reach: _Reach, length_m: float, ground: Ground) -> Loop:
    if not 0 <= length_m < float("inf"):
        raise ModelError(f"from {source.id} to {need.id} it can't be {length_m} m; give a length of zero or more")
    half = ground.dt_min_k / 2
    back = need.low_k + half
    supply = min(source.high_k - half, max(need.high_k + half, back + _LEAST_SPREAD_K))
    spread = max(supply - back, 1.0)
    carried = reach.both_w / spread
    size, parallel = pipe_for(carried / _CAPACITY_J_KG_K)
    trench = Trench(ground.depth_m + size.casing_m / 2, size.casing_m + 0.15, ground.soil_w_mk)
    pair = buried_pair(size.insulation(ground.insulation_w_mk), trench)
    out, home = pair.losses_w_m(supply, back, ground.ground_k)
    metres = length_m * parallel
    drop = min(max(out, 0.0) * metres / carried, spread)
    return Loop(length_m, size, parallel, supply, back, max(0.0, (out + home) * metres), drop)


Times = tuple[tuple[float, float], tuple[float, float], tuple[float, float]]


def _by_profile(source_w: FloatArray, need_w: FloatArray, reach: _Reach, loss_w: float, step_h: float) -> Times:
    """As it would have been, step by step, blown up to a year; a share of the need that is out of reach is not covered."""
    if source_w.shape != need_w.shape:
        raise ModelError(
            f"profiles of {source_w.size} and {need_w.size} steps can't be laid over each other; give both for the same time"
        )
    carried = np.minimum(np.maximum(reach.source * source_w - loss_w, 0.0), reach.both_w)
    arriving = np.minimum(carried, reach.need * need_w)
    found = mismatch(arriving, need_w, step_h * _HOUR_S)
    known_s = source_w.size * step_h * _HOUR_S - found.unknown_s
    if not known_s > 0:
        return (0.0, 0.0), (0.0, 0.0), (0.0, 0.0)
    year = YEAR_H * _HOUR_S / known_s
    whole = found.whole_s * year / _HOUR_S
    some = (found.whole_s + found.partly_s) * year / _HOUR_S
    return (whole, whole), (some, some), (found.covered_j * year, found.covered_j * year)


def _by_hours(source: Offer, need: Offer, delivered_w: float) -> Times:
    """Between not meeting where they needn't, and meeting whenever they can."""
    least, most = common_hours(_hours(source), _hours(need))
    covers = delivered_w >= need.stream.duty_w * (1 - _WHOLE)
    whole = (least, most) if covers else (0.0, 0.0)
    return whole, (least, most), (least * _HOUR_S * delivered_w, most * _HOUR_S * delivered_w)


def _hours(offer: Offer) -> float:
    """Full-load hours a year, from the profile where only one of the two has one."""
    if offer.profile_w is None:
        return offer.hours_per_year
    known = offer.profile_w[~np.isnan(offer.profile_w)]
    return min(YEAR_H, YEAR_H * float(known.mean()) / offer.stream.duty_w) if known.size else 0.0


def _ranked(found: Iterable[Match]) -> list[Match]:
    return sorted(found, key=lambda m: (-sum(m.energy_j), m.source.stream.id, m.need.stream.id))
