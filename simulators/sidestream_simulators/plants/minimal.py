"""The minimal hub: one heat meter between a boiler house and a greenhouse. Synthetic figures."""

from __future__ import annotations

from random import Random

from sidestream_simulators.physics import Snapshot
from sidestream_simulators.signals import Shape, Signal
from sidestream_simulators.water import Water

SHAPES = {
    "flow_kg_s": Shape(4.0, 0.8, 240.0, 0.05),
    "supply_k": Shape(353.15, 3.0, 600.0, 0.1),
    "return_k": Shape(323.15, 2.0, 420.0, 0.1),
}


class MinimalPlant:
    """One circuit, `heat`."""

    def __init__(self, seed: int, speed: float) -> None:
        self._water = Water()
        self._signals = {name: Signal(shape, Random(f"{seed}/{name}"), speed) for name, shape in SHAPES.items()}

    def step(self, now_s: float, dt_s: float) -> Snapshot:
        """See `Plant.step`."""
        now = {name: signal.step(now_s, dt_s) for name, signal in self._signals.items()}
        return Snapshot(water={"heat": self._water.circuit(now["flow_kg_s"], now["supply_k"], now["return_k"])})
