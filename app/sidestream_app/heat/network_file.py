"""The file of `sidestream heat reconcile`: a heat network with what its meters show, in the units that it names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from sidestream_app.heat.units import Units
from sidestream_app.problem_file import Name, ProblemPart
from sidestream_contracts.ids import nearest
from sidestream_contracts.yamlnodes import Problem

Number = Annotated[float, Field(ge=-1e15, le=1e15)]
NotNegative = Annotated[float, Field(ge=0, le=1e15)]
Positive = Annotated[float, Field(gt=0, le=1e15)]
Pressure = Annotated[float, Field(ge=0.01, le=1000)]
Level = Annotated[float, Field(gt=0, lt=1)]
WATER = "water"


class PolynomialPart(ProblemPart):
    """h = a + b·T + c·T² + … in the file's units of enthalpy and temperature."""

    id: Name
    kind: Literal["polynomial"]
    coefficients: Annotated[list[Number], Field(min_length=2, max_length=10)]


class WaterPart(ProblemPart):
    """Water or steam at an absolute pressure, by IAPWS-IF97."""

    id: Name
    kind: Literal["water", "steam"]
    pressure_bar: Pressure = 6.0


class StreamPart(ProblemPart):
    """One stream; what is not measured is left out, a deviation of 0 says exact."""

    id: Name
    from_: Annotated[Name | None, Field(alias="from")] = None
    to: Name | None = None
    fluid: Name = WATER
    flow: Number | None = None
    flow_sd: NotNegative | None = None
    flow_sd_pct: NotNegative | None = None
    temperature: Number | None = None
    temperature_sd: NotNegative | None = None


class JunctionPart(ProblemPart):
    """Where streams mix or split."""

    id: Name
    kind: Literal["junction", "mixer", "splitter"]


class SidePart(ProblemPart):
    """One stream through an exchanger; `heat` is what a meter says it gives off."""

    inlet: Annotated[Name, Field(alias="in")]
    outlet: Annotated[Name, Field(alias="out")]
    heat: Number | None = None
    heat_sd: NotNegative | None = None


class ExchangerPart(ProblemPart):
    """Passes heat between its sides; `loss` goes to the surroundings, exactly 0 where nothing is said, null: unknown."""

    id: Name
    kind: Literal["exchanger"]
    sides: Annotated[list[SidePart], Field(min_length=2, max_length=100)]
    loss: Number | None = 0.0
    loss_sd: NotNegative = 0.0


class PipePart(ProblemPart):
    """A pipe: length, surroundings, and its loss coefficient per metre and kelvin where that is known."""

    id: Name
    kind: Literal["pipe"]
    ambient: Number
    length_m: Positive
    u_w_mk: NotNegative | None = None
    u_sd_w_mk: NotNegative | None = None


class DutyPart(ProblemPart):
    """A consumer takes heat out of the stream through it, a producer adds it."""

    id: Name
    kind: Literal["consumer", "producer"]
    heat: Number | None = None
    heat_sd: NotNegative | None = None


FluidPart = Annotated[PolynomialPart | WaterPart, Field(discriminator="kind")]
NodePart = Annotated[JunctionPart | ExchangerPart | PipePart | DutyPart, Field(discriminator="kind")]


class NetworkFile(ProblemPart):
    """A network; `flow_sd_pct` and `temperature_sd` hold for measurements that bring no deviation of their own."""

    name: str | None = None
    units: Units = Units()
    level: Level = 0.05
    flow_sd_pct: NotNegative | None = None
    temperature_sd: NotNegative | None = None
    fluids: Annotated[list[FluidPart], Field(max_length=10_000, default_factory=list)]
    streams: Annotated[list[StreamPart], Field(min_length=1, max_length=20_000)]
    nodes: Annotated[list[NodePart], Field(max_length=20_000, default_factory=list)]


def network_problems(file: NetworkFile) -> Iterator[Problem]:
    """Names that mean nothing, and measurements without a deviation."""
    yield from _fluid_problems(file)
    for n, stream in enumerate(file.streams):
        at = f"streams.{n}"
        if stream.flow_sd is not None and stream.flow_sd_pct is not None:
            yield Problem(("streams", n), f"{at}: give flow_sd or flow_sd_pct, not both")
        if stream.flow == 0 and stream.flow_sd is None:
            yield Problem(
                ("streams", n), f"{at}: a flow of 0 with a deviation in per cent would be exact; give flow_sd"
            )
        own = stream.flow_sd is not None or stream.flow_sd_pct is not None
        default = file.flow_sd_pct is not None
        yield from _deviation(n, "flow", stream.flow is not None, own=own, default=default)
        default = file.temperature_sd is not None
        own = stream.temperature_sd is not None
        yield from _deviation(n, "temperature", stream.temperature is not None, own=own, default=default)
    yield from _shape_problems(file)
    for n, node in enumerate(file.nodes):
        parts: list[tuple[str, float | None, float | None]] = []
        if isinstance(node, DutyPart):
            parts = [("heat", node.heat, node.heat_sd)]
        elif isinstance(node, ExchangerPart):
            parts = [("heat", side.heat, side.heat_sd) for side in node.sides]
        elif isinstance(node, PipePart):
            parts = [("u", node.u_w_mk, node.u_sd_w_mk)]
        for name, value, sd in parts:
            if (value is None) is not (sd is None):
                yield Problem(("nodes", n), f"nodes.{n}: {name} needs its value and its deviation; 0 says exact")


def _shape_problems(file: NetworkFile) -> Iterator[Problem]:
    into, out_of = Counter(s.to for s in file.streams), Counter(s.from_ for s in file.streams)
    for n, node in enumerate(file.nodes):
        if node.kind == "mixer" and out_of[node.id] > 1:
            many = f"{out_of[node.id]} streams out of it"
            yield Problem(
                ("nodes", n), f"nodes.{n}: a mixer has one, and this has {many}; call it a junction, or mend from"
            )
        if node.kind == "splitter" and into[node.id] > 1:
            many = f"{into[node.id]} streams into it"
            yield Problem(
                ("nodes", n), f"nodes.{n}: a splitter has one, and this has {many}; call it a junction, or mend to"
            )


def _fluid_problems(file: NetworkFile) -> Iterator[Problem]:
    known = {fluid.id for fluid in file.fluids}
    if len(known) < len(file.fluids):
        yield Problem(("fluids",), "fluids: two have the same id; every fluid needs its own")
    for n, stream in enumerate(file.streams):
        if stream.fluid not in known | {WATER}:
            guess = nearest(stream.fluid, known | {WATER})
            hint = f"; did you mean {guess!r}?" if guess else ""
            yield Problem(("streams", n), f"streams.{n}.fluid: {stream.fluid!r} is not among the fluids{hint}")


def _deviation(n: int, name: str, measured: bool, *, own: bool, default: bool) -> Iterator[Problem]:
    if own and not measured:
        yield Problem(
            ("streams", n), f"streams.{n}: has a deviation of its {name} but no {name}; leave both out if unmeasured"
        )
    if measured and not own and not default:
        yield Problem(
            ("streams", n),
            f"streams.{n}: {name} is measured but how well is not said; give {name}_sd (0 says exact), "
            "or one for all beside streams",
        )
