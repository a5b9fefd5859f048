"""The equations that hold in a heat network, and their slopes, at any guess of its flows, temperatures and duties.

Unknowns x: flow of every stream (kg/s), temperature of every stream (K), then heat of apparatus (W) and conductance of
pipes (W/K). With m flow, h(T) enthalpy, q heat given off:
mass Σm_in = Σm_out; mixing Σm_in·h_in = Σm_out·h_out at one outlet temperature; a side m_in·h_in − m_out·h_out = q;
an exchanger Σq = loss; a pipe T_out − T_a = (T_in − T_a)·exp(−UL/(m·cp)) and q = loss (steady flow, EN 13941-1 annex).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import exp

import numpy as np
from scipy import sparse

from sidestream_twin.core.arrays import FloatArray
from sidestream_twin.core.energy_reconcile.network import (
    Duty,
    EnergyNetwork,
    Exchanger,
    HeatedStream,
    Junction,
    Node,
    Pipe,
)
from sidestream_twin.core.reconcile import Variable
from sidestream_twin.core.uncertain import Uncertain

_STILL_KG_S = 1e-9


def flow_of(stream: str) -> str:
    """Name of a stream's flow among the unknowns."""
    return f"flow of {stream}"


def temperature_of(stream: str) -> str:
    """Name of a stream's temperature among the unknowns."""
    return f"temperature of {stream}"


def heat_of(node: str, side: str | None = None) -> str:
    """Name of the heat of a duty, or of what one side (by its inlet) of an exchanger gives off."""
    return f"heat of {node}" if side is None else f"heat of {side} in {node}"


def loss_of(node: str) -> str:
    """Name of what a pipe or exchanger loses to its surroundings."""
    return f"loss of {node}"


def conductance_of(pipe: str) -> str:
    """Name of a pipe's conductance."""
    return f"conductance of {pipe}"


def unknowns(network: EnergyNetwork) -> tuple[Variable, ...]:
    """Return all unknowns of a network with what is measured of them: flows, temperatures, then apparatus."""
    flows = [Variable(flow_of(s.id), s.flow) for s in network.streams]
    temperatures = [Variable(temperature_of(s.id), s.temperature) for s in network.streams]
    apparatus = [Variable(name, given) for node in network.nodes for name, given in _of_node(node)]
    return (*flows, *temperatures, *apparatus)


def _of_node(node: Node) -> list[tuple[str, Uncertain | None]]:
    if isinstance(node, Exchanger):
        return [*((heat_of(node.id, s.inlet), s.given_w) for s in node.sides), (loss_of(node.id), node.loss_w)]
    if isinstance(node, Pipe):
        return [(loss_of(node.id), None), (conductance_of(node.id), node.conductance_w_k)]
    return [(heat_of(node.id), node.heat_w)] if isinstance(node, Duty) else []


@dataclass(slots=True)
class Rows:
    """Equations as they are written down: name, what is missing to zero, slopes."""

    names: list[str] = field(default_factory=list)
    misses: list[float] = field(default_factory=list)
    slopes: list[tuple[int, int, float]] = field(default_factory=list)

    def add(self, name: str, miss: float, slopes: dict[int, float]) -> None:
        """One equation ``miss = 0`` with its slopes by unknown."""
        row = len(self.names)
        self.names.append(name)
        self.misses.append(miss)
        self.slopes += [(row, column, slope) for column, slope in slopes.items()]


class Balances:
    """The equations of one network; ``at(x)`` writes them down at a guess."""

    def __init__(self, network: EnergyNetwork) -> None:
        self.network = network
        self.variables = unknowns(network)
        self.ids = tuple(variable.id for variable in self.variables)
        self.column = {name: at for at, name in enumerate(self.ids)}
        count = len(network.streams)
        self._flow = {s.id: at for at, s in enumerate(network.streams)}
        self._temperature = {s.id: count + at for at, s in enumerate(network.streams)}
        self._ends = {node.id: (network.inlets(node.id), network.outlets(node.id)) for node in network.nodes}

    def at(self, x: FloatArray) -> tuple[Rows, sparse.csr_array]:
        """Return the equations at x and the matrix of their slopes (equations × unknowns)."""
        rows = Rows()
        for node in self.network.nodes:
            inlets, outlets = self._ends[node.id]
            if isinstance(node, Junction):
                self._junction(rows, x, node, inlets, outlets)
            elif isinstance(node, Exchanger):
                self._exchanger(rows, x, node, {s.id: s for s in (*inlets, *outlets)})
            elif isinstance(node, Pipe):
                self._pipe(rows, x, node, inlets[0], outlets[0])
            else:
                self._mass(rows, x, node.id, inlets, outlets)
                heat = {self.column[heat_of(node.id)]: -1.0 if node.produces else 1.0}
                self._energy(rows, x, f"energy of {node.id}", [(inlets[0], 1.0), (outlets[0], -1.0)], heat)
        row, column, slope = zip(*rows.slopes, strict=True) if rows.slopes else ((), (), ())
        shape = (len(rows.names), len(self.ids))
        return rows, sparse.csr_array((slope, (row, column)), shape=shape, dtype=np.float64)

    def _mass(
        self, rows: Rows, x: FloatArray, name: str, inlets: list[HeatedStream], outlets: list[HeatedStream]
    ) -> None:
        slopes = {self._flow[s.id]: 1.0 for s in inlets} | {self._flow[s.id]: -1.0 for s in outlets}
        rows.add(f"mass of {name}", sum(slope * x[at] for at, slope in slopes.items()), slopes)

    def _energy(
        self, rows: Rows, x: FloatArray, name: str, signed: list[tuple[HeatedStream, float]], others: dict[int, float]
    ) -> None:
        """Σ sign·m·h − Σ factor·other = 0."""
        slopes = {at: -factor for at, factor in others.items()}
        miss = sum(slope * x[at] for at, slope in slopes.items())
        for stream, sign in signed:
            flow, temperature = self._flow[stream.id], self._temperature[stream.id]
            enthalpy, capacity = stream.fluid.enthalpy(float(x[temperature]))
            miss += sign * x[flow] * enthalpy
            slopes[flow] = sign * enthalpy
            slopes[temperature] = sign * x[flow] * capacity
        rows.add(name, miss, slopes)

    def _junction(
        self, rows: Rows, x: FloatArray, node: Junction, inlets: list[HeatedStream], outlets: list[HeatedStream]
    ) -> None:
        self._mass(rows, x, node.id, inlets, outlets)
        alike = [*inlets, *outlets] if len(inlets) == 1 else outlets
        first = self._temperature[alike[0].id]
        for stream in alike[1:]:
            other = self._temperature[stream.id]
            rows.add(f"temperature of {stream.id} at {node.id}", x[first] - x[other], {first: 1.0, other: -1.0})
        if len(inlets) > 1:
            signed = [(s, 1.0) for s in inlets] + [(s, -1.0) for s in outlets]
            self._energy(rows, x, f"energy of {node.id}", signed, {})

    def _exchanger(self, rows: Rows, x: FloatArray, node: Exchanger, streams: dict[str, HeatedStream]) -> None:
        heats = []
        for side in node.sides:
            inlet, outlet = streams[side.inlet], streams[side.outlet]
            name = f"{side.inlet} in {node.id}"
            self._mass(rows, x, name, [inlet], [outlet])
            heats.append(self.column[heat_of(node.id, side.inlet)])
            self._energy(rows, x, f"energy of {name}", [(inlet, 1.0), (outlet, -1.0)], {heats[-1]: 1.0})
        slopes = dict.fromkeys(heats, 1.0) | {self.column[loss_of(node.id)]: -1.0}
        rows.add(f"energy of {node.id}", sum(slope * x[at] for at, slope in slopes.items()), slopes)

    def _pipe(self, rows: Rows, x: FloatArray, node: Pipe, inlet: HeatedStream, outlet: HeatedStream) -> None:
        self._mass(rows, x, node.id, [inlet], [outlet])
        loss = {self.column[loss_of(node.id)]: 1.0}
        self._energy(rows, x, f"energy of {node.id}", [(inlet, 1.0), (outlet, -1.0)], loss)
        warm, cold = self._temperature[inlet.id], self._temperature[outlet.id]
        flow, conductance = self._flow[inlet.id], self.column[conductance_of(node.id)]
        _, capacity = inlet.fluid.enthalpy(0.5 * float(x[warm] + x[cold]))
        carried = max(float(x[flow]), _STILL_KG_S) * capacity
        kept = exp(float(np.clip(-x[conductance] / carried, -50.0, 50.0)))
        over = float(x[warm]) - node.ambient_k
        slopes = {
            cold: 1.0,
            warm: -kept,
            flow: -over * kept * float(x[conductance]) / (carried * max(float(x[flow]), _STILL_KG_S)),
            conductance: over * kept / carried,
        }
        rows.add(f"loss along {node.id}", float(x[cold]) - node.ambient_k - over * kept, slopes)
