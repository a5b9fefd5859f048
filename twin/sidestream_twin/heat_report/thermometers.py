"""A heat meter's own readings over a time: how much flowed, how warm on the way out and back. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sidestream_twin.core.arrays import FloatArray
from sidestream_twin.core.heat.meter import MeterPosition
from sidestream_twin.core.propagate import propagated
from sidestream_twin.core.uncertain import Uncertain
from sidestream_twin.core.water import liquid_table
from sidestream_twin.heat_report.heard import Heard
from sidestream_twin.heat_report.layout import Meter

_STANDING_M3_S = 1e-9


@dataclass(frozen=True, slots=True)
class Leg:
    """Mean temperatures, K, weighted by flow, and heat capacity flow, W/K, of one meter."""

    supply_k: Uncertain
    return_k: Uncertain
    capacity_w_k: Uncertain


def running(heard: Heard, *meters: Meter) -> FloatArray:
    """Flow of the first meter, m³/s, in the buckets in which it runs and all thermometers are read; 0 in all others."""
    flow, known = np.zeros(heard.grid.count), np.ones(heard.grid.count, dtype=np.bool_)
    for n, meter in enumerate(meters):
        if meter.parts is None:
            return np.zeros(heard.grid.count)
        read = [heard.mean(sensor) for sensor in meter.parts]
        known &= np.isfinite(np.sum(read, axis=0)) & (read[0] > _STANDING_M3_S)
        flow = read[0] if n == 0 else flow
    return np.where(known, flow, 0.0)


def leg_of(heard: Heard, meter: Meter, weight: FloatArray) -> Leg:
    """A meter's readings where `weight`, which must not be nothing, is above zero.

    Mass flow from the density where the flow part sits, heat capacity at the mean of both temperatures (IAPWS-IF97).
    """
    assert meter.parts is not None
    volume, supply, returned = (heard.means[sensor.id] for sensor in meter.parts)
    table = liquid_table(meter.stream.pressure_pa)
    at_supply = MeterPosition(meter.stream.meter_position) is MeterPosition.SUPPLY
    warm, cold = supply.weighted(weight), returned.weighted(weight)
    flow = volume.weighted((weight > 0).astype(np.float64))

    def capacity(m3_s: float, warm_k: float, cold_k: float) -> float:
        density = table.density_kg_m3(warm_k if at_supply else cold_k)
        mean_cp = table.heat_capacity_j_kg_k(0.5 * (warm_k + cold_k))
        return float(m3_s * density[0] * mean_cp[0])

    return Leg(warm, cold, propagated(capacity, (flow, warm, cold)))
