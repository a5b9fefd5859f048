"""The way of heat from supplier to receiver: meters and lossy pipes in order, and what follows for both ends. Pure.

Between two meters the loss is their difference; before the first and after the last one it is what hub.yaml lets expect.
Hence supplied = used + lost, whatever is metered.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import fsum, hypot

import numpy as np

from sidestream_store.twin.hub import HubLoss
from sidestream_twin.core.arrays import FloatArray
from sidestream_twin.core.uncertain import Uncertain
from sidestream_twin.figures import Figure
from sidestream_twin.heat_report.heard import Energy, Heard, common_s
from sidestream_twin.heat_report.layout import Exchange, Layout, Meter

ESTIMATED = "estimated"


@dataclass(frozen=True, slots=True)
class Lossy:
    """A pipe on the way that loses heat: a stream or a junction, with the thermometers that its loss follows from."""

    kind: str
    id: str
    loss: HubLoss
    figure: Figure | None

    def heat_w(self, heard: Heard, through_w: FloatArray) -> FloatArray:
        """What it loses by hub.yaml in each bucket while so much enters; NaN where its thermometers are silent."""
        if self.loss.heat_w is not None:
            return np.full(heard.grid.count, self.loss.heat_w)
        if self.loss.share is not None:
            return np.asarray(self.loss.share * through_w)
        if self.figure is None:
            return np.full(heard.grid.count, np.nan)
        supply, returned = (heard.mean(sensor) for sensor in self.figure.sensors)
        return np.asarray(self.conductance_w_k * (supply + returned - 2.0 * self.loss.surroundings_k))

    @property
    def conductance_w_k(self) -> float:
        """U·L of one of its two pipes."""
        return (self.loss.u_w_m_k or 0.0) * (self.loss.length_m or 0.0)

    def expected(self, heard: Heard, through_w: FloatArray, seconds: FloatArray) -> Uncertain:
        """The energy that it loses in so many seconds of each bucket; `heat_w` must be known in all of them."""
        lost_w = np.where(seconds > 0, self.heat_w(heard, through_w), 0.0)
        value = float(np.sum(lost_w * seconds))
        spread = self.loss.sd_share * abs(value)
        if self.figure is not None and self.loss.heat_w is None and self.loss.share is None:
            errors = [heard.means[s.id].weighted(seconds).sd for s in self.figure.sensors if s.id in heard.means]
            spread = hypot(spread, self.conductance_w_k * float(np.sum(seconds)) * hypot(*errors))
        return Uncertain(value, 0.0, spread)


@dataclass(frozen=True, slots=True)
class Way:
    """Lossy pipes before the first meter, between the first and the last, and after the last one."""

    first: Meter | None
    last: Meter | None
    before: tuple[Lossy, ...]
    between: tuple[Lossy, ...]
    after: tuple[Lossy, ...]

    @property
    def two_meters(self) -> bool:
        """Whether each end has a meter of its own."""
        return self.first is not None and self.last is not None and self.first.key != self.last.key

    @property
    def by_design(self) -> tuple[Lossy, ...]:
        """Pipes whose loss no meters tell."""
        return (*self.before, *self.after)


def way_of(layout: Layout, exchange: Exchange) -> Way:
    """Meters and pipes of an exchange in order; of a single meter all pipes lie before or after it."""
    steps: list[Meter | Lossy] = []
    for stream in exchange.streams:
        at_source, at_target = layout.meters(stream)
        steps += [at_source] if at_source else []
        steps += _lossy(layout, "stream", stream.id, stream.loss)
        steps += [at_target] if at_target else []
        node = layout.nodes[stream.target]
        if stream is not exchange.streams[-1]:
            steps += _lossy(layout, "node", node.id, node.loss)
    places = [n for n, step in enumerate(steps) if isinstance(step, Meter)]
    if not places:
        return Way(None, None, (), (), ())
    first, last = places[0], places[-1]
    nearest, farthest = steps[first], steps[last]
    assert isinstance(nearest, Meter)
    assert isinstance(farthest, Meter)
    return Way(nearest, farthest, _pipes(steps[:first]), _pipes(steps[first:last]), _pipes(steps[last:]))


def _lossy(layout: Layout, kind: str, name: str, loss: HubLoss | None) -> list[Lossy]:
    return [Lossy(kind, name, loss, layout.losses.get((kind, name)))] if loss is not None else []


def _pipes(steps: Sequence[Meter | Lossy]) -> tuple[Lossy, ...]:
    return tuple(step for step in steps if isinstance(step, Lossy))


@dataclass(frozen=True, slots=True, eq=False)
class Ends:
    """Heat that left the supplier and that reached the receiver in the same `seconds` of each bucket."""

    seconds: FloatArray
    supplied: Uncertain
    used: Uncertain
    lost: Uncertain
    used_w: FloatArray
    origin_supplied: str
    origin_used: str
    origin_lost: str
    completeness: float


def ends_of(way: Way, heard: Heard, also_known: FloatArray) -> Ends | None:
    """Both ends over the time in which all of it, and `also_known`, is known; None where that is never.

    What reaches the receiver per bucket: see `arriving_w`.
    """
    metered = _metered(way, heard)
    if metered is None:
        return None
    first, last = metered
    lost_w = [pipe.heat_w(heard, first.power_w) for pipe in way.by_design]
    known = np.isfinite(np.sum([also_known, *lost_w], axis=0))
    seconds = np.where(known, common_s(first, last), 0.0)
    if not seconds.any():
        return None
    entering, leaving = first.over(seconds), last.over(seconds)
    before, after = ([p.expected(heard, first.power_w, seconds) for p in pipes] for pipes in (way.before, way.after))
    gap = [entering, leaving] if way.two_meters else []
    supplied, used = _sum([entering, *before]), _sum([leaving, *(each.scaled(-1.0) for each in after)])
    spread = _sum([*gap, *before, *after])
    return Ends(
        seconds,
        supplied,
        used,
        Uncertain(supplied.value - used.value, spread.sd_random, spread.sd_systematic),
        arriving_w(way, heard),
        ESTIMATED if way.before else first.origin(seconds),
        ESTIMATED if way.after else last.origin(seconds),
        ESTIMATED if way.by_design else max(first.origin(seconds), last.origin(seconds), key=_rank),
        min(heard.completeness(first, seconds), heard.completeness(last, seconds)),
    )


def arriving_w(way: Way, heard: Heard) -> FloatArray:
    """Heat that reaches the receiver in each bucket; NaN where it isn't known."""
    metered = _metered(way, heard)
    if metered is None:
        return np.full(heard.grid.count, np.nan)
    first, last = metered
    lost = [pipe.heat_w(heard, first.power_w) for pipe in way.after]
    return np.asarray(last.power_w - np.sum(lost, axis=0)) if lost else last.power_w


def _metered(way: Way, heard: Heard) -> tuple[Energy, Energy] | None:
    found = [heard.energies.get(meter.key) for meter in (way.first, way.last) if meter]
    known = [energy for energy in found if energy is not None]
    return (known[0], known[1]) if len(known) == 2 else None


def _sum(parts: Sequence[Uncertain]) -> Uncertain:
    """Parts of independent sources."""
    return Uncertain(
        fsum(part.value for part in parts),
        hypot(*(part.sd_random for part in parts)),
        hypot(*(part.sd_systematic for part in parts)),
    )


def _rank(origin: str) -> bool:
    return origin != "measured"
