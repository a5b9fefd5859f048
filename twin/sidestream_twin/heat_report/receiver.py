"""What a receiver could do with the heat that reaches it, by its meter's thermometers and its need in hub.yaml. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sidestream_store.read.heat import Need
from sidestream_twin.core.arrays import FloatArray
from sidestream_twin.core.heat.supply import Need as CoreNeed
from sidestream_twin.core.heat.supply import heat_use
from sidestream_twin.core.propagate import propagated
from sidestream_twin.core.uncertain import Uncertain
from sidestream_twin.core.water import LiquidTable, liquid_table
from sidestream_twin.heat_report.heard import Heard
from sidestream_twin.heat_report.layout import Meter

_LEAST_K = 0.1
"""Below this difference between supply and return no flow can be told from the heat."""
_NO_NEED_K = 1e-3


@dataclass(frozen=True, slots=True, eq=False)
class Reach:
    """Per bucket: the heat hot enough to be used, and what of the stream would be thrown away; NaN where not known."""

    usable_w: FloatArray
    dumped_w: FloatArray
    missed_w: FloatArray
    supply: Uncertain | None
    returned: Uncertain | None
    table: LiquidTable
    need: Need

    def usable(self, used: Uncertain, seconds: FloatArray) -> Uncertain:
        """Energy hot enough to be used, while `used` was taken."""
        return self._spread(self.usable_w, seconds, used, lambda h, warm, cold: h(warm) - h(max(cold, self._floor_k)))

    def dumped(self, used: Uncertain, seconds: FloatArray) -> Uncertain:
        """Energy that was thrown away, while `used` was taken."""
        discard_k = self.need.discard_k or 0.0
        return self._spread(self.dumped_w, seconds, used, lambda h, _, cold: h(cold) - h(discard_k))

    def missed(self, used: Uncertain, seconds: FloatArray) -> Uncertain:
        """Energy that was thrown away although it was hot enough; as unsure as what was usable."""
        could = self.usable(used, seconds)
        return Uncertain(_total(self.missed_w, seconds), could.sd_random, could.sd_systematic)

    @property
    def _floor_k(self) -> float:
        return max((self.need.lowest_k or 0.0) + self.need.dt_min_k, self.need.discard_k or 0.0)

    def _spread(
        self,
        power_w: FloatArray,
        seconds: FloatArray,
        used: Uncertain,
        part: Callable[[Callable[[float], float], float, float], float],
    ) -> Uncertain:
        """The sum over the buckets, with the deviation that it has at their mean temperatures."""

        def enthalpy(t_k: float) -> float:
            return float(self.table.enthalpy_j_kg(t_k)[0])

        def figure(heat: float, warm: float, cold: float) -> float:
            return heat * part(enthalpy, warm, cold) / (enthalpy(warm) - enthalpy(cold))

        assert self.supply is not None
        assert self.returned is not None
        near = propagated(figure, (used, self.supply, self.returned))
        return Uncertain(_total(power_w, seconds), near.sd_random, near.sd_systematic)


def reach_of(heard: Heard, meter: Meter, used_w: FloatArray, need: Need) -> Reach:
    """What the receiver could use of the stream from which it takes `used_w`. The flow follows from that heat.

    NaN where the meter has no thermometers, they are silent, or supply and return are too near each other.
    """
    table = liquid_table(meter.stream.pressure_pa)
    nothing = np.full(heard.grid.count, np.nan)
    if meter.parts is None:
        return Reach(nothing, nothing, nothing, None, None, table, need)
    _, supply, returned = meter.parts
    warm, cold = heard.mean(supply), heard.mean(returned)
    clear = (warm - cold >= _LEAST_K) & (used_w >= 0)
    per_kg = np.where(clear, table.enthalpy_j_kg(warm) - table.enthalpy_j_kg(cold), np.nan)
    flow = used_w / per_kg
    discard = cold if need.discard_k is None else np.full(cold.shape, need.discard_k)
    wanted = CoreNeed(need.lowest_k or _NO_NEED_K, need.dt_min_k)
    use = heat_use(flow, warm, discard, used_w, wanted, pressure_pa=meter.stream.pressure_pa)
    weight = np.where(np.isfinite(flow), flow, 0.0)
    means = [_mean(heard, sensor.id, weight) for sensor in (supply, returned)]
    return Reach(use.usable_w, use.dumped_w, use.missed_w, means[0], means[1], table, need)


def _mean(heard: Heard, sensor: str, weight: FloatArray) -> Uncertain | None:
    found = heard.means.get(sensor)
    return found.weighted(weight) if found is not None and weight.any() else None


def _total(power_w: FloatArray, seconds: FloatArray) -> float:
    return float(np.sum(np.where(seconds > 0, power_w, 0.0) * seconds))
