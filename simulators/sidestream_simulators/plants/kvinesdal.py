"""The Kvinesdal-like hub: its heat and its slag side by side; they share the furnace and nothing else."""

from __future__ import annotations

from sidestream_contracts.hub import HubFile
from sidestream_simulators.physics import Memory, Snapshot
from sidestream_simulators.plants.heat import HeatSide
from sidestream_simulators.plants.slag import SlagSide


class KvinesdalPlant:
    """Both sides in one truth."""

    def __init__(self, hub: HubFile, seed: int, speed: float, memory: Memory) -> None:
        self._heat = HeatSide(seed, speed)
        self._slag = SlagSide(hub, seed, speed, memory)

    def step(self, now_s: float, dt_s: float) -> Snapshot:
        """See `Plant.step`."""
        heat = self._heat.step(now_s, dt_s)
        slag = self._slag.step(now_s, dt_s)
        return Snapshot(
            water=heat.water,
            power_w=heat.power_w,
            mass_flow_kg_s=slag.mass_flow_kg_s,
            stock_kg=slag.stock_kg,
            loss_w=heat.loss_w,
            other={**heat.other, **slag.other},
            scans=slag.scans,
        )
