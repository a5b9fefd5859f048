"""What the hub is made of, as last applied: parties, materials, nodes, streams, sensors, agreements."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from math import hypot, sqrt
from typing import Annotated, Literal

from pydantic import Field

from sidestream_contracts.frame import Quality
from sidestream_store.read.pool import Pool, read_view
from sidestream_store.read.words import Kg

REGISTERS = frozenset({"energy", "volume", "volume_temperature"})
"""Quantities of meters' registers, which count up for ever."""


@dataclass(frozen=True, slots=True)
class HubRecord:
    """The hub itself; `synthetic` says that every figure is made up."""

    id: str
    name: str
    timezone: Annotated[str, Field(description="IANA zone of the hub's calendar periods")]
    synthetic: Annotated[bool, Field(description="true: every figure of this hub is made up, and must be shown so")]
    step_s: Annotated[int, Field(description="length of the twin's steps, s")]
    version_id: Annotated[int, Field(description="grows with every applied hub file")]


@dataclass(frozen=True, slots=True)
class Party:
    """A company or body."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Material:
    """An entry of the hub's catalogue, with each party's own name for it in `aliases`."""

    id: str
    name: str
    phase: str
    ewc: Annotated[str | None, Field(description="European waste code")]
    aliases: dict[str, str]


@dataclass(frozen=True, slots=True)
class Node:
    """A place in the graph."""

    id: str
    party: str
    party_name: str | None
    kind: str
    name: str
    material: str | None
    min_kg: Kg
    max_kg: Kg


@dataclass(frozen=True, slots=True)
class Stream:
    """An exchange with the stage of its life in force today; only `live` counts as flowing."""

    id: str
    name: str
    source: str
    target: str
    material: str
    phase: str | None
    source_party: str | None
    target_party: str | None
    crosses_border: bool
    state: Annotated[str, Field(description="idea, agreed, building, live, paused or ended; only live ones flow")]
    since: Annotated[date | None, Field(description="first day of this stage, in the hub's zone")]


@dataclass(frozen=True, slots=True)
class Sensor:
    """A measuring point with its declared accuracy, in its own unit."""

    sensor_id: int
    id: str
    device: str
    party: str
    name: str
    quantity: str
    unit: Annotated[str, Field(description="UCUM code of the values")]
    role: str
    stream: str | None
    node: str | None
    limit_pct: Annotated[float, Field(description="class limit, % of the value")]
    limit_abs: Annotated[float, Field(description="class limit, in the unit")]
    random_pct: Annotated[float, Field(description="random standard deviation, % of the value")]
    random_abs: Annotated[float, Field(description="random standard deviation, in the unit")]
    range_low: float | None
    range_high: float | None
    period_s: Annotated[float | None, Field(description="expected time between readings, s")]
    manual: Annotated[bool, Field(description="true: people enter its readings")] = False

    def sd(self, value: float | None, readings: int = 1) -> float | None:
        """Standard deviation of a reading, or of the mean of several; None without a declared accuracy or a value.

        The class limit is systematic (limit/√3, GUM 4.3.7) and does not shrink with the number of readings.
        """
        if value is None or not any((self.limit_pct, self.limit_abs, self.random_pct, self.random_abs)):
            return None
        systematic = hypot(self.limit_pct / 100 * value, self.limit_abs) / sqrt(3)
        random = hypot(self.random_pct / 100 * value, self.random_abs)
        return hypot(systematic, random / sqrt(max(readings, 1)))

    def mark(self, value: float | None, quality: int) -> str:
        """Whether a raw reading may be trusted: good, uncertain, bad (so the source says, or it gave no number), out_of_range.

        A register's range says where it turns over, not what is plausible, so registers are never out of range.
        """
        if quality == Quality.BAD or (value is None and self.quantity != "scan"):
            return "bad"
        if value is not None and self.quantity not in REGISTERS and not self._in_range(value):
            return "out_of_range"
        return "good" if quality == Quality.GOOD else "uncertain"

    def _in_range(self, value: float) -> bool:
        return (self.range_low is None or value >= self.range_low) and (
            self.range_high is None or value <= self.range_high
        )


@dataclass(frozen=True, slots=True)
class AgreementTerms:
    """What two parties agreed per calendar period."""

    id: str
    name: str
    stream: str
    supplier: str
    receiver: str
    amount: float
    unit: Annotated[str, Field(description="UCUM code of `amount`")]
    period: str
    tolerance_pct: float
    valid_from: date
    valid_to: date | None
    disclosure: str


@dataclass(frozen=True, slots=True)
class HubGraph:
    """The whole hub as one value."""

    hub: HubRecord
    parties: list[Party]
    materials: list[Material]
    nodes: list[Node]
    streams: list[Stream]
    sensors: list[Sensor]
    agreements: list[AgreementTerms]


async def hub_record(pool: Pool) -> HubRecord | None:
    """The hub, None while no hub file was applied."""
    rows = await read_view(pool, HubRecord, "hub")
    return rows[0] if rows else None


async def sensors(pool: Pool) -> list[Sensor]:
    """All sensors of today's hub, by id."""
    return await read_view(pool, Sensor, "sensor", "ORDER BY id")


async def hub_graph(pool: Pool) -> HubGraph | None:
    """Everything the hub is made of, each list by id; None while no hub file was applied."""
    hub = await hub_record(pool)
    if hub is None:
        return None
    return HubGraph(
        hub,
        await read_view(pool, Party, "party", "ORDER BY id"),
        await read_view(pool, Material, "material", "ORDER BY id"),
        await read_view(pool, Node, "node", "ORDER BY id"),
        await read_view(pool, Stream, "stream", "ORDER BY id"),
        await sensors(pool),
        await read_view(pool, AgreementTerms, "agreement", "ORDER BY id"),
    )


async def known_ids(pool: Pool, view: Literal["node", "party", "sensor", "stream"]) -> list[str]:
    """Ids of one kind of thing of the hub (`party`, `node`, `stream`, `sensor`), ascending."""
    return [row.id for row in await read_view(pool, _Id, view, "ORDER BY id")]


@dataclass(frozen=True, slots=True)
class _Id:
    id: str
