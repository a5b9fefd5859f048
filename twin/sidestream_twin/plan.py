"""What can be computed of a hub: which meter tells which figure of which stream, what feeds which stock. Pure.

Where supplier and receiver both meter a stream, the supplier's meter is the stream's figure and the receiver's stands
beside it under a quantity of its own (`…_receiver`); bringing the two together is reconciliation, not averaging.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Literal

from sidestream_store.twin.hub import HubNode, HubSensor, HubStream, TwinHub
from sidestream_store.twin.values import Subject
from sidestream_twin.core.vessel import Vessel

Kind = Literal["rate", "heat", "register", "register_heat"]
_HEAT: tuple[tuple[Kind, tuple[str, ...]], ...] = (
    ("heat", ("volume_flow", "supply_temperature", "return_temperature")),
    ("register_heat", ("volume_register", "supply_register", "return_register")),
)
_WATER = frozenset({"water", "heat"})
"""Phases whose heat IAPWS-IF97 tells."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A quantity of a stream and the sensors of one meter that tell it, in the order of the meter's roles."""

    stream: HubStream
    quantity: str
    kind: Kind
    sensors: tuple[HubSensor, ...]

    @property
    def subject(self) -> Subject:
        """What the figure is about."""
        return Subject("stream", self.stream.id, self.quantity)


@dataclass(frozen=True, slots=True)
class StockPlan:
    """A stock in bulk, the streams that fill and empty it, the sensors that see it, and its streams' meters by stream."""

    node: HubNode
    inflows: tuple[HubStream, ...]
    outflows: tuple[HubStream, ...]
    observers: tuple[HubSensor, ...]
    meters: Mapping[str, HubSensor]

    @property
    def subject(self) -> Subject:
        """What the figure is about."""
        return Subject("node", self.node.id, "stock_mass")

    @property
    def streams(self) -> tuple[HubStream, ...]:
        """All that flows in or out."""
        return (*self.inflows, *self.outflows)


@dataclass(frozen=True, slots=True)
class LotNode:
    """A node that holds lots, and under which quantity their mass is saved."""

    node: HubNode
    mass_quantity: str

    @property
    def subjects(self) -> tuple[Subject, Subject]:
        """Mass and number of lots."""
        return Subject("node", self.node.id, self.mass_quantity), Subject("node", self.node.id, "lots_count")


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything the twin computes of one version of a hub."""

    hub: TwinHub
    figures: tuple[Figure, ...]
    stocks: tuple[StockPlan, ...]
    lot_nodes: tuple[LotNode, ...]
    scanners: Mapping[int, HubSensor]
    vessels: Mapping[str, Vessel]

    @property
    def subjects(self) -> list[Subject]:
        """Every subject that may have figures."""
        lots = [subject for node in self.lot_nodes for subject in node.subjects]
        return [*(f.subject for f in self.figures), *(s.subject for s in self.stocks), *lots]


def plan_of(hub: TwinHub) -> Plan:
    """What can be computed of the hub; what has no meter, or whose node knows no mass, is simply not in it."""
    by_stream: dict[str, list[HubSensor]] = defaultdict(list)
    for sensor in hub.sensors:
        by_stream[sensor.stream or ""].append(sensor)
    figures = tuple(figure for stream in hub.streams for figure in _figures(stream, by_stream[stream.id]))
    return Plan(
        hub,
        figures,
        tuple(_stocks(hub, {f.stream.id: f.sensors[0] for f in figures if f.quantity == "mass_flow"})),
        tuple(_lot_nodes(hub)),
        {sensor.sensor_id: sensor for sensor in hub.sensors if sensor.role == "scan"},
        {v.node: Vessel(v.heights_m, v.volumes_m3, v.density_kg_m3, v.density_sd_kg_m3) for v in hub.vessels},
    )


def _figures(stream: HubStream, sensors: Sequence[HubSensor]) -> Iterator[Figure]:
    electric = stream.phase == "electricity"
    if stream.phase in _WATER:
        yield from _metered(stream, "heat_flow", _HEAT, sensors)
    yield from _metered(stream, "mass_flow", (("rate", ("mass_flow",)),), sensors)
    yield from _metered(stream, "power", (("rate", ("power",)),), sensors)
    own = "register_power" if electric else "register_heat_flow"
    yield from _metered(stream, own, (("register", ("energy_register",)),), sensors)


def _metered(
    stream: HubStream, quantity: str, ways: Sequence[tuple[Kind, tuple[str, ...]]], sensors: Sequence[HubSensor]
) -> Iterator[Figure]:
    parties = sorted({s.party for s in sensors}, key=lambda p: (p != stream.source_party, p != stream.target_party, p))
    meters = [(party, *meter) for party in parties if (meter := _meter(ways, [s for s in sensors if s.party == party]))]
    if not meters and (mixed := _meter(ways, sorted(sensors, key=lambda s: parties.index(s.party)))):
        meters = [("", *mixed)]
    for n, (party, kind, parts) in enumerate(meters):
        if n == 0:
            yield Figure(stream, quantity, kind, parts)
        elif party == stream.target_party:
            yield Figure(stream, f"{quantity}_receiver", kind, parts)


def _meter(
    ways: Iterable[tuple[Kind, tuple[str, ...]]], sensors: Sequence[HubSensor]
) -> tuple[Kind, tuple[HubSensor, ...]] | None:
    for kind, roles in ways:
        found = [next((s for s in sensors if s.role == role), None) for role in roles]
        parts = tuple(sensor for sensor in found if sensor is not None)
        if len(parts) == len(roles):
            return kind, parts
    return None


def _observes(sensor: HubSensor, shaped: AbstractSet[str]) -> bool:
    """Whether a sensor tells the mass of its node: weighs it, or shows the level in a vessel whose shape is known."""
    return sensor.role == "stock_mass" or (sensor.role == "level" and sensor.node in shaped)


def _stocks(hub: TwinHub, metered: Mapping[str, HubSensor]) -> Iterator[StockPlan]:
    shaped = {vessel.node for vessel in hub.vessels}
    for node in hub.nodes:
        observers = tuple(s for s in hub.sensors if s.node == node.id and _observes(s, shaped))
        if node.kind != "stock" and not (node.kind == "store" and observers):
            continue

        def touches(stream: HubStream, here: HubNode = node) -> bool:
            same = stream.source == stream.target
            return not same and (stream.id in metered or stream.material == here.material)

        inflows = tuple(s for s in hub.streams if s.target == node.id and touches(s))
        outflows = tuple(s for s in hub.streams if s.source == node.id and touches(s))
        if observers or node.start_kg is not None:
            meters = {s.id: metered[s.id] for s in (*inflows, *outflows) if s.id in metered}
            yield StockPlan(node, inflows, outflows, observers, meters)


def _lot_nodes(hub: TwinHub) -> Iterator[LotNode]:
    scanned = {sensor.node for sensor in hub.sensors if sensor.role == "scan"}
    shaped = {vessel.node for vessel in hub.vessels}
    weighed = {sensor.node for sensor in hub.sensors if _observes(sensor, shaped)}
    for node in hub.nodes:
        if node.kind == "store":
            yield LotNode(node, "lots_mass" if node.id in weighed else "stock_mass")
        elif node.kind == "stock" and node.id in scanned:
            yield LotNode(node, "lots_mass")
