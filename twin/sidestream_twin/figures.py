"""Which meter tells which figure of which stream, and which losses follow from a meter's temperatures. Pure.

Where supplier and receiver both meter a stream, the supplier's meter is the stream's figure and the receiver's stands
beside it under a quantity of its own (`…_receiver`); the balances bring the two together.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from sidestream_store.twin.hub import HubLoss, HubSensor, HubStream, TwinHub
from sidestream_store.twin.values import Subject

Kind = Literal["rate", "heat", "register", "register_heat", "pipe_loss"]
_TEMPERATURES = ("supply_temperature", "return_temperature")
_HEAT: tuple[tuple[Kind, tuple[str, ...]], ...] = (
    ("heat", ("volume_flow", *_TEMPERATURES)),
    ("register_heat", ("volume_register", "supply_register", "return_register")),
)
_WATER = frozenset({"water", "heat"})
"""Phases whose heat IAPWS-IF97 tells."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A quantity of a stream and the sensors of one meter that tell it, in the order of the meter's roles.

    A `pipe_loss` is `loss` at the temperatures of that meter; it may be the loss of a `node` that the stream touches.
    """

    stream: HubStream
    quantity: str
    kind: Kind
    sensors: tuple[HubSensor, ...]
    loss: HubLoss | None = None
    node: str | None = None

    @property
    def subject(self) -> Subject:
        """What the figure is about."""
        if self.node is not None:
            return Subject("node", self.node, self.quantity)
        return Subject("stream", self.stream.id, self.quantity)


def figures_of(hub: TwinHub) -> tuple[Figure, ...]:
    """Every figure for which the hub has a meter."""
    by_stream: dict[str, list[HubSensor]] = defaultdict(list)
    for sensor in hub.sensors:
        by_stream[sensor.stream or ""].append(sensor)
    flows = (figure for stream in hub.streams for figure in _figures(stream, by_stream[stream.id]))
    return (*flows, *_losses(hub, by_stream))


def _figures(stream: HubStream, sensors: Sequence[HubSensor]) -> Iterator[Figure]:
    electric = stream.phase == "electricity"
    if stream.phase in _WATER:
        yield from _metered(stream, "heat_flow", _HEAT, sensors)
    yield from _metered(stream, "mass_flow", (("rate", ("mass_flow",)),), sensors)
    yield from _metered(stream, "register_mass_flow", (("register", ("mass_register",)),), sensors)
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


def _losses(hub: TwinHub, by_stream: Mapping[str, Sequence[HubSensor]]) -> Iterator[Figure]:
    """Heat lost along pipes; that of a node at the temperatures of what enters it, or else of what leaves it."""
    way: tuple[tuple[Kind, tuple[str, ...]], ...] = (("pipe_loss", _TEMPERATURES),)
    for stream in hub.streams:
        meter = _meter(way, by_stream[stream.id])
        if stream.loss is not None and stream.loss.length_m is not None and meter:
            yield Figure(stream, "heat_loss", "pipe_loss", meter[1], stream.loss)
    for node in hub.nodes:
        if node.loss is None or node.loss.length_m is None:
            continue
        touching = [s for s in hub.streams if s.target == node.id] + [s for s in hub.streams if s.source == node.id]
        warm = ((s, meter) for s in touching if (meter := _meter(way, by_stream[s.id])))
        for stream, (kind, sensors) in list(warm)[:1]:
            yield Figure(stream, "heat_loss", kind, sensors, node.loss, node.id)
