"""A heat network: streams with a flow and a temperature, and what happens to them at nodes.

Junctions split and mix without loss; exchangers pass heat between streams that don't touch; pipes lose it to the ground;
duties are users and producers. A quantity without a measurement is unknown; one with a deviation of 0 is exact.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from sidestream_twin.core.errors import ModelError
from sidestream_twin.core.heat.fluid import Fluid
from sidestream_twin.core.uncertain import Uncertain

EXACTLY_NONE = Uncertain(0.0)


@dataclass(frozen=True, slots=True)
class HeatedStream:
    """A stream from node to node (None: outside); ``flow`` kg/s, ``temperature`` K where it is measured."""

    id: str
    source: str | None
    target: str | None
    fluid: Fluid
    flow: Uncertain | None = None
    temperature: Uncertain | None = None


@dataclass(frozen=True, slots=True)
class Junction:
    """Mixes all that comes in and splits it at one temperature; no heat is lost."""

    id: str


@dataclass(frozen=True, slots=True)
class ThroughSide:
    """One stream through an apparatus: what enters leaves, at another temperature; ``given_w`` is the heat it gives off."""

    inlet: str
    outlet: str
    given_w: Uncertain | None = None


@dataclass(frozen=True, slots=True)
class Exchanger:
    """Streams that pass heat to each other; ``loss_w`` is lost to the surroundings (exactly none where not said)."""

    id: str
    sides: tuple[ThroughSide, ...]
    loss_w: Uncertain | None = EXACTLY_NONE


@dataclass(frozen=True, slots=True)
class Pipe:
    """A pipe in surroundings of ``ambient_k``; ``conductance_w_k`` is its loss per K over its whole length (U·L)."""

    id: str
    ambient_k: float
    conductance_w_k: Uncertain | None = None


@dataclass(frozen=True, slots=True)
class Duty:
    """A user that takes ``heat_w`` from the stream through it, or (``produces``) a producer that adds it."""

    id: str
    heat_w: Uncertain | None = None
    produces: bool = False


Node = Junction | Exchanger | Pipe | Duty


@dataclass(frozen=True, slots=True)
class EnergyNetwork:
    """Streams and nodes that fit together. Raises ModelError, which names what doesn't and what to do."""

    streams: tuple[HeatedStream, ...]
    nodes: tuple[Node, ...]

    def __post_init__(self) -> None:
        if not self.streams:
            raise ModelError("the network has no streams, so there is nothing to reconcile; give at least one")
        check_ids("stream", (stream.id for stream in self.streams))
        check_ids("node", (node.id for node in self.nodes))
        known = {node.id for node in self.nodes}
        for stream in self.streams:
            check_ends(stream, known)
            check_measured(stream)
        for node in self.nodes:
            check_node(node, self.inlets(node.id), self.outlets(node.id))

    def inlets(self, node: str) -> list[HeatedStream]:
        """Streams into a node, in the order given."""
        return [stream for stream in self.streams if stream.target == node]

    def outlets(self, node: str) -> list[HeatedStream]:
        """Streams out of a node, in the order given."""
        return [stream for stream in self.streams if stream.source == node]


def check_ids(kind: str, ids: Iterable[str]) -> None:
    """Ids stand once."""
    twice = [name for name, count in Counter(ids).items() if count > 1]
    if twice:
        raise ModelError(f"{kind} {twice[0]!r} is given twice; every {kind} needs an id of its own")


def check_ends(stream: HeatedStream, known: set[str]) -> None:
    """A stream hangs on nodes that exist, on two different ones if on two."""
    for end in (stream.source, stream.target):
        if end is not None and end not in known:
            raise ModelError(f"stream {stream.id!r} names node {end!r}, which is not there; add it, or mend the id")
    if stream.source == stream.target:
        where = "no node at all" if stream.source is None else f"node {stream.source!r} at both ends"
        raise ModelError(f"stream {stream.id!r} hangs on {where}; say where it comes from and where it goes")


def check_measured(stream: HeatedStream) -> None:
    """Temperatures are such at which the stream's fluid exists, as far as the meter can tell."""
    if stream.temperature is None:
        return
    low, high = stream.fluid.holds_k
    shown, doubt = stream.temperature.value, max(4.0 * stream.temperature.sd, 1.0)
    if not low - doubt <= shown <= high + doubt or shown <= 0:
        raise ModelError(
            f"stream {stream.id!r}: at {shown:g} K there is no {stream.fluid.substance} of the state it is given as "
            f"({low:.2f} to {high:.2f} K); look for a wrong unit, a wrong pressure, or steam given as water"
        )


def check_node(node: Node, inlets: list[HeatedStream], outlets: list[HeatedStream]) -> None:
    """Each kind of node has the streams it needs, of fluids that can be compared."""
    if isinstance(node, Exchanger):
        _check_exchanger(node, inlets, outlets)
    elif isinstance(node, Junction):
        if not inlets or not outlets:
            missing = "into" if not inlets else "out of"
            raise ModelError(f"no stream goes {missing} junction {node.id!r}; it needs one or more in and out")
        _check_one_substance(node.id, [*inlets, *outlets])
        if len({stream.fluid for stream in outlets}) > 1 or (len(inlets) == 1 and inlets[0].fluid != outlets[0].fluid):
            raise ModelError(
                f"junction {node.id!r} can't split a stream into different fluids; give all outlets one fluid"
            )
    else:
        if len(inlets) != 1 or len(outlets) != 1:
            raise ModelError(
                f"node {node.id!r} has {len(inlets)} streams in and {len(outlets)} out; a pipe or a user of heat has "
                "one of each, so put a mixer or splitter beside it"
            )
        _check_one_substance(node.id, [*inlets, *outlets])
        if isinstance(node, Pipe) and not node.ambient_k > 0:
            raise ModelError(
                f"pipe {node.id!r}: its surroundings of {node.ambient_k} K are below absolute zero; mend the unit"
            )


def _check_exchanger(node: Exchanger, inlets: list[HeatedStream], outlets: list[HeatedStream]) -> None:
    if len(node.sides) < 2:
        raise ModelError(f"exchanger {node.id!r} has {len(node.sides)} sides; it passes heat between two or more")
    for verb, streams, named in (
        ("enters", inlets, [side.inlet for side in node.sides]),
        ("leaves", outlets, [side.outlet for side in node.sides]),
    ):
        check_ids(f"side of exchanger {node.id!r}: stream", named)
        for name in sorted({stream.id for stream in streams} ^ set(named)):
            fact = "is no side of it" if name not in named else "is a side of it but not connected so"
            raise ModelError(
                f"exchanger {node.id!r}: stream {name!r} {verb} or should and {fact}; mend sides or from/to"
            )
    fluids = {stream.id: stream for stream in (*inlets, *outlets)}
    for side in node.sides:
        _check_one_substance(node.id, [fluids[side.inlet], fluids[side.outlet]])


def _check_one_substance(node: str, streams: list[HeatedStream]) -> None:
    if len(substances := sorted({stream.fluid.substance for stream in streams})) > 1:
        raise ModelError(
            f"node {node!r} joins {' and '.join(substances)}, whose enthalpies have no common zero; "
            "streams that mix or pass through must be of one fluid"
        )
