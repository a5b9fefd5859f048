"""Heat of the Kvinesdal-like hub: furnace gas → boiler → hot-water main → power, fish farm, local network, dump cooler.

The boiler gives what the gas brings; the receivers take what they ask for; the dump cooler takes what is left, and if
too little is left the power unit is throttled. Pipes lose heat to the ground over their length. Synthetic figures.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random

from sidestream_simulators.physics import Snapshot
from sidestream_simulators.signals import Shape, Signal
from sidestream_simulators.water import Circuit, Water

GROUND_K = 278.15
BOILER_EFFECTIVENESS = 0.78
ORC_ELECTRIC = 0.105  # share of the heat taken in that becomes electricity
ORC_LOSS = 0.02  # share that leaves by casing and generator
DUMP_MIN_W = 200e3  # the cooler always turns over, so that its return leg never freezes
_CP_J_KG_K = 4200.0  # only sets how fast a pipe cools; the energy itself follows from IF97

SHAPES = {
    "gas_w": Shape(10.6e6, 0.9e6, 300.0, 0.08e6),
    "main_k": Shape(381.15, 1.5, 500.0, 0.08),
    "orc_kg_s": Shape(29.0, 1.2, 420.0, 0.12),
    "orc_return_k": Shape(353.15, 0.8, 350.0, 0.06),
    "fish_kg_s": Shape(6.5, 0.5, 260.0, 0.04),
    "fish_return_k": Shape(328.15, 1.0, 380.0, 0.06),
    "village_kg_s": Shape(6.2, 0.7, 340.0, 0.05),
    "village_return_k": Shape(333.15, 1.0, 450.0, 0.06),
    "school_kg_s": Shape(3.6, 0.5, 220.0, 0.04),
    "school_return_k": Shape(330.15, 1.0, 310.0, 0.06),
    "dump_return_k": Shape(343.15, 0.8, 400.0, 0.06),
    "cooling_supply_k": Shape(309.15, 0.5, 460.0, 0.05),
    "cooling_return_k": Shape(299.15, 0.5, 520.0, 0.05),
    "main_pa": Shape(600e3, 2e3, 200.0, 300.0),
    "furnace_w": Shape(27e6, 1.5e6, 300.0, 0.2e6),
    "gas_in_k": Shape(893.15, 35.0, 300.0, 3.0),
    "gas_out_k": Shape(483.15, 8.0, 300.0, 1.0),
    "basin_k": Shape(289.95, 0.3, 600.0, 0.02),
    "outdoor_k": Shape(275.15, 2.0, 900.0, 0.05),
}


@dataclass(frozen=True, slots=True)
class Pipe:
    """A pair of pipes in the ground: `length_m` with `loss_w_m_k` (per metre and kelvin above the ground) each way."""

    length_m: float
    loss_w_m_k: float

    def end_k(self, start_k: float, mass_flow_kg_s: float) -> float:
        """Temperature at the far end of water that entered at `start_k`: it nears the ground's exponentially."""
        fall = math.exp(-self.loss_w_m_k * self.length_m / (mass_flow_kg_s * _CP_J_KG_K))
        return GROUND_K + (start_k - GROUND_K) * fall


FISH_PIPE = Pipe(600.0, 0.5)
NET_PIPE = Pipe(1200.0, 0.5)
VILLAGE_PIPE = Pipe(400.0, 0.35)
SCHOOL_PIPE = Pipe(1900.0, 0.35)


class HeatSide:
    """The hub's heat, step by step. Streams: see `step`."""

    def __init__(self, seed: int, speed: float) -> None:
        self._water = Water()
        self._signals = {name: Signal(shape, Random(f"{seed}/{name}"), speed) for name, shape in SHAPES.items()}

    def step(self, now_s: float, dt_s: float) -> Snapshot:
        """The truth of the step; energy in equals energy out plus `loss_w` at each node that passes heat on."""
        now = {name: signal.step(now_s, dt_s) for name, signal in self._signals.items()}
        main_k = now["main_k"]
        fish, fish_intake = self._through(FISH_PIPE, now["fish_kg_s"], main_k, now["fish_return_k"])
        net = self._network(main_k, now)
        boiler_w = BOILER_EFFECTIVENESS * now["gas_w"]
        orc = self._power_unit(boiler_w - fish.heat_w - net["net-heat"].heat_w - DUMP_MIN_W, main_k, now)
        taken_w = fish.heat_w + net["net-heat"].heat_w + orc.heat_w
        dump = self._carrying(boiler_w - taken_w, main_k, now["dump_return_k"])
        electric_w, orc_loss_w = ORC_ELECTRIC * orc.heat_w, ORC_LOSS * orc.heat_w
        reject = self._carrying(orc.heat_w - electric_w - orc_loss_w, now["cooling_supply_k"], now["cooling_return_k"])
        boiler = self._mixed(main_k, [fish, net["net-heat"], orc, dump])
        water = {
            "boiler-heat": boiler,
            "orc-heat": orc,
            "orc-reject": reject,
            "fish-heat": fish,
            "fish-intake": fish_intake,
            "dump-heat": dump,
            **net,
        }
        heat = {stream: circuit.heat_w for stream, circuit in water.items()}
        return Snapshot(
            water=water,
            power_w={"offgas": now["gas_w"], "power-out": electric_w},
            loss_w={
                "boiler": now["gas_w"] - heat["boiler-heat"],
                "orc": orc_loss_w,
                "fish-pipe": heat["fish-heat"] - heat["fish-intake"],
                "net-pipe": heat["net-heat"] - heat["net-intake"],
                "net-station": heat["net-intake"] - heat["village-heat"] - heat["school-heat"],
            },
            other=_looked_at(now),
        )

    def _through(self, pipe: Pipe, flow_kg_s: float, near_k: float, far_return_k: float) -> tuple[Circuit, Circuit]:
        """The same water at the near and at the far end of `pipe`."""
        far = self._water.circuit(flow_kg_s, pipe.end_k(near_k, flow_kg_s), far_return_k)
        near = self._water.circuit(flow_kg_s, near_k, pipe.end_k(far_return_k, flow_kg_s))
        return near, far

    def _network(self, main_k: float, now: dict[str, float]) -> dict[str, Circuit]:
        """Main → station → two consumers at 0.4 and 1.9 km; all by the same water."""
        flow_kg_s = now["village_kg_s"] + now["school_kg_s"]
        station_k = NET_PIPE.end_k(main_k, flow_kg_s)
        village_near, village = self._through(VILLAGE_PIPE, now["village_kg_s"], station_k, now["village_return_k"])
        school_near, school = self._through(SCHOOL_PIPE, now["school_kg_s"], station_k, now["school_return_k"])
        intake = self._mixed(station_k, [village_near, school_near])
        net = self._water.circuit(flow_kg_s, main_k, NET_PIPE.end_k(intake.return_k, flow_kg_s))
        return {"net-heat": net, "net-intake": intake, "village-heat": village, "school-heat": school}

    def _power_unit(self, available_w: float, main_k: float, now: dict[str, float]) -> Circuit:
        """What the power unit asks for, throttled to what is available."""
        asked = self._water.circuit(now["orc_kg_s"], main_k, now["orc_return_k"])
        if asked.heat_w <= available_w:
            return asked
        return self._carrying(max(available_w, 0.0), main_k, now["orc_return_k"])

    def _carrying(self, heat_w: float, supply_k: float, return_k: float) -> Circuit:
        """The circuit between these temperatures whose flow carries `heat_w`."""
        unit = self._water.circuit(1.0, supply_k, return_k)
        return self._water.circuit(heat_w / unit.heat_w, supply_k, return_k)

    def _mixed(self, supply_k: float, branches: list[Circuit]) -> Circuit:
        """The trunk of `branches` that leave at `supply_k`: flows add, the returns mix at equal enthalpy."""
        flow_kg_s = sum(branch.mass_flow_kg_s for branch in branches)
        enthalpy_w = sum(branch.mass_flow_kg_s * branch.return_h_j_kg for branch in branches)
        return self._water.circuit(flow_kg_s, supply_k, self._water.temperature_k(enthalpy_w / flow_kg_s))


def _looked_at(now: dict[str, float]) -> dict[str, float]:
    return {
        "gas-temp-in": now["gas_in_k"],
        "gas-temp-out": now["gas_out_k"],
        "furnace-power": now["furnace_w"],
        "main-pressure": now["main_pa"],
        "basin-temp": now["basin_k"],
        "outdoor-temp": now["outdoor_k"],
    }
