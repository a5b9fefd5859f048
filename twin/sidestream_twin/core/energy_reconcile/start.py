"""A first guess of what no meter tells, from the meters around it; and how far one may expect each unknown to move.

Flows by mass balances alone, temperatures from the nearest that is measured, heats as these two then tell.
"""

from __future__ import annotations

from math import log

import numpy as np

from sidestream_twin.core.arrays import FloatArray
from sidestream_twin.core.energy_reconcile.balances import Balances, conductance_of, flow_of, heat_of, loss_of
from sidestream_twin.core.energy_reconcile.network import Duty, EnergyNetwork, Exchanger, Pipe
from sidestream_twin.core.reconcile import Constraint, Variable, linear_system, reconcile

_GUESSED_K = 333.15
_RISE_J_KG = 4.0e4
"""Heat per kg that a stream may take up or give off, where nothing tells: ten kelvin of water."""


def first_guess(balances: Balances) -> FloatArray:
    """Return a guess of all unknowns: measured where measured, else what follows from the measured neighbours."""
    network = balances.network
    flows, temperatures = _flows(network), _temperatures(network)
    x = np.concatenate([flows, temperatures, np.zeros(len(balances.ids) - 2 * flows.size)])
    at = {stream.id: n for n, stream in enumerate(network.streams)}

    def given_off(inlet: str, outlet: str) -> float:
        warm, cold = (network.streams[at[s]].fluid.enthalpy(float(temperatures[at[s]]))[0] for s in (inlet, outlet))
        return float(flows[at[inlet]]) * (warm - cold)

    for node in network.nodes:
        if isinstance(node, Exchanger):
            for side in node.sides:
                x[balances.column[heat_of(node.id, side.inlet)]] = given_off(side.inlet, side.outlet)
        elif isinstance(node, Pipe | Duty):
            inlet, outlet = network.inlets(node.id)[0], network.outlets(node.id)[0]
            heat = given_off(inlet.id, outlet.id)
            if isinstance(node, Duty):
                x[balances.column[heat_of(node.id)]] = -heat if node.produces else heat
                continue
            x[balances.column[loss_of(node.id)]] = heat
            carried = float(flows[at[inlet.id]]) * inlet.fluid.enthalpy(float(temperatures[at[inlet.id]]))[1]
            over = [float(temperatures[at[s.id]]) - node.ambient_k for s in (inlet, outlet)]
            ratio = over[0] / over[1] if over[1] else 0.0
            x[balances.column[conductance_of(node.id)]] = abs(carried) * (log(ratio) if 1 < ratio < 10 else 0.01)
    measured = np.array([np.nan if v.measured is None else v.measured.value for v in balances.variables])
    return np.where(np.isnan(measured), x, measured)


def reaches(balances: Balances, x: FloatArray) -> FloatArray:
    """Return how far each unknown may be expected to move from the guess: its deviation, or a share of its size."""
    count = len(balances.network.streams)
    flow = _typical_flow(balances.network)
    guessed = np.concatenate([np.full(count, 0.05 * flow), np.full(count, 5.0), np.full(x.size - 2 * count, 0.0)])
    for at in range(2 * count, x.size):
        conducts = balances.ids[at].startswith("conductance")
        guessed[at] = max(0.1 * abs(x[at]), 1e-3 if conducts else 0.05 * flow * _RISE_J_KG)
    sd = np.array([0.0 if v.measured is None else v.measured.sd for v in balances.variables])
    return np.where(sd > 0, sd, guessed)


def _typical_flow(network: EnergyNetwork) -> float:
    known = [abs(s.flow.value) for s in network.streams if s.flow is not None and s.flow.value]
    return float(np.median(known)) if known else 1.0


def _flows(network: EnergyNetwork) -> FloatArray:
    constraints = []
    for node in network.nodes:
        if isinstance(node, Exchanger):
            pairs = [([side.inlet], [side.outlet]) for side in node.sides]
        else:
            pairs = [([s.id for s in network.inlets(node.id)], [s.id for s in network.outlets(node.id)])]
        for n, (inlets, outlets) in enumerate(pairs):
            terms = [(flow_of(s), 1.0) for s in inlets] + [(flow_of(s), -1.0) for s in outlets]
            constraints.append(
                Constraint(f"mass of {node.id}{f', side {n + 1}' if len(pairs) > 1 else ''}", tuple(terms))
            )
    system = linear_system([Variable(flow_of(s.id), s.flow) for s in network.streams], constraints)
    found = reconcile(system).value
    return np.where(np.isnan(found), _typical_flow(network), found)


def _temperatures(network: EnergyNetwork) -> FloatArray:
    """Measured ones spread from node to node into streams of the same substance that have none."""
    known = {s.id: s.temperature.value for s in network.streams if s.temperature is not None}
    everywhere = sum(known.values()) / len(known) if known else _GUESSED_K
    at_node = {node.id: [*network.inlets(node.id), *network.outlets(node.id)] for node in network.nodes}
    while True:
        found = {}
        for stream in network.streams:
            if stream.id in known:
                continue
            near = [
                known[other.id]
                for end in (stream.source, stream.target)
                for other in at_node.get(end or "", ())
                if other.id in known and other.fluid.substance == stream.fluid.substance
            ]
            if near:
                found[stream.id] = sum(near) / len(near)
        if not found:
            break
        known |= found
    return np.array([known.get(s.id, everywhere) for s in network.streams])
