"""From the file of a heat network to the model that the core reconciles."""

from __future__ import annotations

from collections.abc import Mapping

from sidestream_app.heat.network_file import (
    WATER,
    DutyPart,
    ExchangerPart,
    FluidPart,
    JunctionPart,
    NetworkFile,
    NodePart,
    PolynomialPart,
    StreamPart,
)
from sidestream_app.heat.units import Scale, Scales
from sidestream_twin.core.energy_reconcile import (
    Duty,
    EnergyNetwork,
    Exchanger,
    HeatedStream,
    Junction,
    Pipe,
    ThroughSide,
)
from sidestream_twin.core.energy_reconcile.network import Node
from sidestream_twin.core.heat.fluid import Fluid, LiquidWater, Polynomial, Steam
from sidestream_twin.core.uncertain import Uncertain


def network_of(file: NetworkFile, scales: Scales) -> EnergyNetwork:
    """The network of a file that passed `network_problems`; ModelError where its parts don't fit together."""
    fluids: dict[str, Fluid] = {WATER: LiquidWater()} | {part.id: _fluid(part, scales) for part in file.fluids}
    streams = tuple(_stream(part, file, scales, fluids) for part in file.streams)
    return EnergyNetwork(streams, tuple(_node(part, scales) for part in file.nodes))


def _fluid(part: FluidPart, scales: Scales) -> Fluid:
    if isinstance(part, PolynomialPart):
        per_kelvin = 1.0 / scales.temperature.factor
        si = tuple(scales.enthalpy.factor * c * per_kelvin**n for n, c in enumerate(part.coefficients))
        return Polynomial(part.id, si, scales.temperature.offset)
    pressure_pa = part.pressure_bar * 1e5
    return LiquidWater(pressure_pa) if part.kind == "water" else Steam(pressure_pa)


def _stream(part: StreamPart, file: NetworkFile, scales: Scales, fluids: Mapping[str, Fluid]) -> HeatedStream:
    flow_sd = part.flow_sd
    if flow_sd is None and part.flow is not None:
        percent = part.flow_sd_pct if part.flow_sd_pct is not None else file.flow_sd_pct or 0.0
        flow_sd = abs(part.flow) * percent / 100.0
    temperature_sd = part.temperature_sd if part.temperature_sd is not None else file.temperature_sd
    return HeatedStream(
        part.id,
        part.from_,
        part.to,
        fluids[part.fluid],
        scales.flow.measured(part.flow, flow_sd),
        scales.temperature.measured(part.temperature, temperature_sd),
    )


def _node(part: NodePart, scales: Scales) -> Node:
    if isinstance(part, JunctionPart):
        return Junction(part.id)
    if isinstance(part, DutyPart):
        return Duty(part.id, scales.heat.measured(part.heat, part.heat_sd), part.kind == "producer")
    if isinstance(part, ExchangerPart):
        sides = tuple(ThroughSide(s.inlet, s.outlet, scales.heat.measured(s.heat, s.heat_sd)) for s in part.sides)
        return Exchanger(part.id, sides, scales.heat.measured(part.loss, part.loss_sd))
    per_pipe = Scale(part.length_m)
    conductance: Uncertain | None = per_pipe.measured(part.u_w_mk, part.u_sd_w_mk)
    return Pipe(part.id, scales.temperature.si(part.ambient), conductance)
