"""What can be computed of a hub: figures of streams, what feeds which stock, which nodes hold lots, what must add up. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import lru_cache

from sidestream_store.twin.hub import HubNode, HubSensor, HubStream, TwinHub
from sidestream_store.twin.values import Subject
from sidestream_twin.balance_rules import Balance, balances_of
from sidestream_twin.core.vessel import Vessel
from sidestream_twin.figures import Figure, figures_of


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
    balances: tuple[Balance, ...]
    scanners: Mapping[int, HubSensor]
    vessels: Mapping[str, Vessel]

    @property
    def subjects(self) -> list[Subject]:
        """Every subject that may have figures."""
        lots = [subject for node in self.lot_nodes for subject in node.subjects]
        balanced = [subject for balance in self.balances for subject in balance.subjects]
        return [*(f.subject for f in self.figures), *(s.subject for s in self.stocks), *lots, *balanced]


@lru_cache(maxsize=4)
def plan_of(hub: TwinHub) -> Plan:
    """What can be computed of the hub; what has no meter, or whose node knows no mass, is simply not in it."""
    figures = figures_of(hub)
    stocks = tuple(_stocks(hub, {f.stream.id: f.sensors[0] for f in figures if f.quantity == "mass_flow"}))
    return Plan(
        hub,
        figures,
        stocks,
        tuple(_lot_nodes(hub)),
        balances_of(hub, figures, {stock.node.id: stock.observers for stock in stocks}),
        {sensor.sensor_id: sensor for sensor in hub.sensors if sensor.role == "scan"},
        {v.node: Vessel(v.heights_m, v.volumes_m3, v.density_kg_m3, v.density_sd_kg_m3) for v in hub.vessels},
    )


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
