"""Where a hub's heat goes: meters at both ends of streams, exchanges between parties through the pipes between. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sidestream_contracts.balances import domains
from sidestream_store.twin.hub import HubAgreement, HubNode, HubSensor, HubStream, TwinHub
from sidestream_twin.balance_rules import meters_of
from sidestream_twin.figures import Figure, figures_of

_HEAT = frozenset({"water", "heat", "steam"})


@dataclass(frozen=True, slots=True)
class Meter:
    """A meter at one end of a stream: the figure that it tells, and its flow part and thermometers where it has them."""

    stream: HubStream
    figure: Figure

    @property
    def key(self) -> tuple[str, str]:
        """Stream and quantity."""
        return self.stream.id, self.figure.quantity

    @property
    def parts(self) -> tuple[HubSensor, HubSensor, HubSensor] | None:
        """Flow, supply and return temperature; None where the meter tells only a register or power."""
        if self.figure.kind != "heat":
            return None
        flow, supply, returned = self.figure.sensors
        return flow, supply, returned


@dataclass(frozen=True, slots=True)
class Exchange:
    """Heat from one party to another: the streams from the supplier to the receiver, one after the other."""

    streams: tuple[HubStream, ...]
    agreement: HubAgreement | None

    @property
    def receiver(self) -> str:
        """The node at its end."""
        return self.streams[-1].target


class Layout:
    """A hub's graph of heat."""

    def __init__(self, hub: TwinHub) -> None:
        self.hub = hub
        self.nodes = {node.id: node for node in hub.nodes}
        figures = figures_of(hub)
        by_stream: dict[str, list[Figure]] = defaultdict(list)
        for figure in figures:
            if figure.kind != "pipe_loss":
                by_stream[figure.stream.id].append(figure)
        self.losses = {
            ("stream" if f.node is None else "node", f.node or f.stream.id): f for f in figures if f.kind == "pipe_loss"
        }
        roles: dict[str, set[str]] = defaultdict(set)
        for sensor in hub.sensors:
            roles[sensor.stream or ""].add(sensor.role)
        self.heat = tuple(s for s in hub.streams if "energy" in domains(s.phase, roles[s.id]))
        self.into: dict[str, list[HubStream]] = defaultdict(list)
        self.out_of: dict[str, list[HubStream]] = defaultdict(list)
        self._meters: dict[str, tuple[Meter | None, Meter | None]] = {}
        for stream in self.heat:
            self.into[stream.target].append(stream)
            self.out_of[stream.source].append(stream)
            ends = meters_of(stream, "energy", by_stream[stream.id])
            source, target = (Meter(stream, figure) if figure else None for figure in ends)
            self._meters[stream.id] = source, target

    def meters(self, stream: HubStream) -> tuple[Meter | None, Meter | None]:
        """The meter at the source and the one at the target."""
        return self._meters.get(stream.id, (None, None))

    def meter(self, stream: HubStream) -> Meter | None:
        """Its only meter, or the one at the source."""
        source, target = self.meters(stream)
        return source or target

    def all_meters(self) -> Iterator[Meter]:
        """Every meter of heat or electricity."""
        for stream in self.heat:
            yield from (meter for meter in self.meters(stream) if meter)

    def carries_heat(self, stream: HubStream) -> bool:
        """Whether it carries heat in water or steam, and not power or hot gas."""
        return stream.phase in _HEAT

    def exchanges(self) -> list[Exchange]:
        """Streams of heat with an agreement or between two parties, each once, with the pipes before and after them."""
        agreed = {a.stream: a for a in self.hub.agreements if a.quantity == "energy"}
        found: dict[str, Exchange] = {}
        for stream in self.heat:
            between = stream.source_party != stream.target_party
            if self.carries_heat(stream) and (between or stream.id in agreed):
                chain = self._chain(stream)
                agreement = next((agreed[s.id] for s in chain if s.id in agreed), None)
                found.setdefault(chain[0].id, Exchange(chain, agreement))
        return list(found.values())

    def dumped(self, nodes: Sequence[str]) -> list[HubStream]:
        """Streams that end at these nodes."""
        return [stream for node in sorted(nodes) for stream in self.into[node]]

    def _chain(self, stream: HubStream) -> tuple[HubStream, ...]:
        chain = [stream]
        while (before := self._through(chain[0].source)) is not None and before[0] not in chain:
            chain.insert(0, before[0])
        while (after := self._through(chain[-1].target)) is not None and after[1] not in chain:
            chain.append(after[1])
        return tuple(chain)

    def _through(self, node: str) -> tuple[HubStream, HubStream] | None:
        """What enters and what leaves a junction that heat only passes through."""
        entering, leaving = self.into[node], self.out_of[node]
        passes = self.nodes[node].kind == "junction" and len(entering) == len(leaving) == 1
        return (entering[0], leaving[0]) if passes else None

    def between(self, exchange: Exchange) -> list[HubNode]:
        """The junctions that the heat passes on its way."""
        return [self.nodes[stream.target] for stream in exchange.streams[:-1]]
