"""Slag of the Kvinesdal-like hub: furnace → feed silo → bagging line → tagged big bags → the road builder's yard.

What the silo can't hold goes to the deposit; some old slag is reclaimed from it. Bulk moves with each step, bags in
whole ones. Kilograms are never made or lost: what the bagging line has not yet closed into a bag is its `fill_kg`.
Synthetic figures, hastened so that a bag is filled every ten seconds.
"""

from __future__ import annotations

import math
from collections import defaultdict
from random import Random

from sidestream_contracts.hub import HubFile
from sidestream_simulators.physics import Lot, Memory, Scan, Snapshot
from sidestream_simulators.plants.bags import BagYard, Moved
from sidestream_simulators.signals import Shape, Signal

SILO_START_KG = 9000.0
SILO_WANTED_KG = 9000.0
SILO_EMPTY_KG = 500.0  # below this the bagging line stands still
TO_DEPOSIT_KG_S = 12.0
TO_DEPOSIT_MAX_KG_S = 40.0
TO_DEPOSIT_GAIN_1_S = 0.004  # kg/s more to the deposit per kg above the wanted level
SILO_AREA_M2 = 3.0
BULK_DENSITY_KG_M3 = 1600.0
BAG_KG, BAG_SD_KG = 500.0, 5.0

SHAPES = {
    "arisings_kg_s": Shape(54.0, 20.0, 240.0, 1.0),
    "reclaim_kg_s": Shape(8.0, 2.0, 400.0, 0.2),
    "bagging_kg_s": Shape(50.0, 2.0, 300.0, 0.4),
    "moisture": Shape(0.03, 0.005, 500.0, 0.0005),
}


class SlagSide:
    """The hub's slag, step by step."""

    def __init__(self, hub: HubFile, seed: int, speed: float, memory: Memory) -> None:
        self._signals = {name: Signal(shape, Random(f"{seed}/{name}"), speed) for name, shape in SHAPES.items()}
        self._rng = Random(f"{seed}/bags")
        self._deposit_kg = memory.stock_kg.get("deposit", _deposit_start_kg(hub, seed))
        self._silo_kg = memory.stock_kg.get("slag-silo", SILO_START_KG)
        self._target_kg = self._draw_target_kg()
        self.fill_kg = memory.stock_kg.get("bagging", 0.0)
        self.bags = BagYard(memory.lots)

    def step(self, now_s: float, dt_s: float) -> Snapshot:
        """The truth of the step; total mass changes by arisings less bags used, and by nothing else."""
        now = {name: signal.step(now_s, dt_s) for name, signal in self._signals.items()}
        flows = self._bulk(now, dt_s)
        moved: Moved = defaultdict(float)
        scans = [*self._fill_bag(moved), *self.bags.step(dt_s, moved)]
        flows.update({stream: moved[stream] / dt_s for stream in ("bagged", "bags-out", "bags-delivered", "bags-used")})
        stocks = {"slag-silo": self._silo_kg, "deposit": self._deposit_kg, **self.bags.stock_kg()}
        return Snapshot(
            mass_flow_kg_s=flows,
            stock_kg={**stocks, "bagging": self.fill_kg},
            other={
                "silo-level": self._silo_kg / BULK_DENSITY_KG_M3 / SILO_AREA_M2,
                "slag-moisture": now["moisture"],
            },
            scans=tuple(scans),
        )

    def _bulk(self, now: dict[str, float], dt_s: float) -> dict[str, float]:
        """Move the bulk of one step; flows in kg/s by stream."""
        excess_kg = self._silo_kg - SILO_WANTED_KG
        deposit = min(max(TO_DEPOSIT_KG_S + TO_DEPOSIT_GAIN_1_S * excess_kg, 0.0), TO_DEPOSIT_MAX_KG_S)
        bagging = now["bagging_kg_s"] if self._silo_kg > SILO_EMPTY_KG else 0.0
        arisings, reclaim = now["arisings_kg_s"], now["reclaim_kg_s"]
        self._silo_kg += (arisings + reclaim - deposit - bagging) * dt_s
        self._deposit_kg += (deposit - reclaim) * dt_s
        self.fill_kg += bagging * dt_s
        return {
            "slag-arisings": arisings,
            "slag-reclaim": reclaim,
            "slag-to-deposit": deposit,
            "slag-to-bagging": bagging,
        }

    def _fill_bag(self, moved: Moved) -> list[Scan]:
        """Close the bag on the line if it is full; it is scanned as it enters the bag store."""
        if self.fill_kg < self._target_kg:
            return []
        mass_kg, self._target_kg = self._target_kg, self._draw_target_kg()
        self.fill_kg -= mass_kg
        moved["bagged"] += mass_kg
        return [self.bags.add(mass_kg)]

    def _draw_target_kg(self) -> float:
        return min(max(self._rng.gauss(BAG_KG, BAG_SD_KG), BAG_KG - 5 * BAG_SD_KG), BAG_KG + 5 * BAG_SD_KG)

    def lots(self) -> dict[str, Lot]:
        """Every bag that is not yet used."""
        return self.bags.lots()


def _deposit_start_kg(hub: HubFile, seed: int) -> float:
    """What really lies in the deposit: the survey's mass, off by up to its limit, which is √3 standard deviations."""
    start = next(node.start for node in hub.nodes if node.id == "deposit")
    if start is None:
        return 0.0
    limit_kg = math.sqrt(3) * start.sd_kg
    return max(start.mass_kg + Random(f"{seed}/deposit").uniform(-limit_kg, limit_kg), 0.0)
