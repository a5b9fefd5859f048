"""What a simulated plant is: something that, stepped in time, tells the true state of every stream and node.

A plant is pure: it knows no clock, file or socket. Mass and energy hold exactly: whatever leaves a node without a
stream of its own is told in `loss_w`. Water has no travel time in pipes and pipes store no heat.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from sidestream_contracts.errors import ConfigurationError
from sidestream_contracts.hub import HubFile
from sidestream_simulators.water import Circuit


@dataclass(frozen=True, slots=True)
class Scan:
    """A lot seen by the scanner of `node`: from then on the lot is there."""

    node: str
    code: str
    mass_kg: float


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The truth of one step: flows are means over the step, stocks are its end. Keys are ids of `hub.yaml`."""

    water: Mapping[str, Circuit] = field(default_factory=dict)
    power_w: Mapping[str, float] = field(default_factory=dict)
    mass_flow_kg_s: Mapping[str, float] = field(default_factory=dict)
    stock_kg: Mapping[str, float] = field(default_factory=dict)
    loss_w: Mapping[str, float] = field(default_factory=dict)
    other: Mapping[str, float] = field(default_factory=dict)
    """By sensor id, in SI: what a sensor with role `other` looks at."""
    scans: tuple[Scan, ...] = ()

    def heat_flows_w(self) -> dict[str, float]:
        """Heat carried by each stream of water, W."""
        return {stream: circuit.heat_w for stream, circuit in self.water.items()}


@dataclass(frozen=True, slots=True)
class Lot:
    """A tagged thing: where it is and what it really weighs."""

    place: str
    mass_kg: float


@dataclass(frozen=True, slots=True)
class Memory:
    """What outlives a restart: stocks by node, lots by code, registers of meters (SI) by sensor."""

    stock_kg: Mapping[str, float] = field(default_factory=dict)
    lots: Mapping[str, Lot] = field(default_factory=dict)
    registers: Mapping[str, float] = field(default_factory=dict)


class Plant(Protocol):
    """A hub's physics. `step` advances by `dt_s` to `now_s` (seconds since the Unix epoch)."""

    def step(self, now_s: float, dt_s: float) -> Snapshot:
        """The truth of the step that ends at `now_s`."""


def plant_for(hub: HubFile, seed: int, speed: float = 1.0, memory: Memory | None = None) -> Plant:
    """The plant of an example hub; the same arguments and steps give the same truth.

    `speed` hastens the slow swings only: a kg/s stays a kg/s, so balances hold at any speed.
    Raises ConfigurationError for a hub whose physics nobody has written.
    """
    from sidestream_simulators.plants.kvinesdal import KvinesdalPlant
    from sidestream_simulators.plants.minimal import MinimalPlant

    if hub.hub.id == "kvinesdal-like":
        return KvinesdalPlant(hub, seed, speed, memory or Memory())
    if hub.hub.id == "minimal":
        return MinimalPlant(seed, speed)
    raise ConfigurationError(
        f"hub.id {hub.hub.id!r}: there is no simulated physics for this hub; known: kvinesdal-like, minimal."
    )
