"""The hub as the twin needs it: nodes, streams with their lifecycle, sensors, lot types, agreements; SI where it can be."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from sidestream_contracts.errors import ConfigurationError
from sidestream_store.connect import Connection


@dataclass(frozen=True, slots=True)
class HubNode:
    """A node; `start_kg` is its mass when Sidestream began to follow it."""

    id: str
    kind: str
    material: str | None
    min_kg: float | None
    max_kg: float | None
    start_kg: float | None
    start_sd_kg: float | None
    start_at: datetime | None


@dataclass(frozen=True, slots=True)
class HubStream:
    """An edge of the graph with the dates from which each lifecycle stage holds, ascending."""

    id: str
    source: str
    target: str
    material: str
    phase: str | None
    meter_position: str
    pressure_pa: float
    source_party: str | None
    target_party: str | None
    stages: tuple[tuple[date, str], ...]


@dataclass(frozen=True, slots=True)
class HubSensor:
    """A measuring point; limits and range are in its own unit, `si = value * si_factor + si_offset`.

    `manual`: people read it, seldom and each time anew.
    """

    sensor_id: int
    id: str
    party: str
    quantity: str
    role: str
    stream: str | None
    node: str | None
    si_factor: float
    si_offset: float
    limit_pct: float
    limit_abs: float
    random_pct: float
    random_abs: float
    range_low: float | None
    range_high: float | None
    period_s: float | None
    manual: bool = False


@dataclass(frozen=True, slots=True)
class HubLotType:
    """Things whose code begins with `prefix` and the mass of one."""

    id: str
    prefix: str
    material: str
    mass_kg: float
    sd_kg: float


@dataclass(frozen=True, slots=True)
class HubAgreement:
    """What was agreed per calendar period; `amount_si` in J or kg, `tolerance` as a share."""

    id: str
    stream: str
    quantity: str
    amount_si: float
    period: str
    tolerance: float
    valid_from: date
    valid_to: date | None


@dataclass(frozen=True, slots=True)
class TwinHub:
    """One applied version of the hub. `fixed_tags`: codes of the tag table are mounted at places."""

    version: int
    timezone: str
    step_s: int
    nodes: tuple[HubNode, ...]
    streams: tuple[HubStream, ...]
    sensors: tuple[HubSensor, ...]
    lot_types: tuple[HubLotType, ...]
    agreements: tuple[HubAgreement, ...]
    fixed_tags: bool


def load_twin_hub(connection: Connection) -> TwinHub:
    """The hub as applied now; ConfigurationError when none is."""
    hub = connection.execute("SELECT version_id, timezone, step_s FROM sidestream_v.hub").fetchone()
    if hub is None:
        raise ConfigurationError("No hub is applied to the database; run `sidestream hub apply hub.yaml` first.")
    version, timezone, step_s = hub
    tags = connection.execute("SELECT EXISTS (SELECT FROM sidestream_v.tag)").fetchone()
    return TwinHub(
        version=version,
        timezone=timezone,
        step_s=step_s,
        nodes=_nodes(connection),
        streams=_streams(connection),
        sensors=_sensors(connection),
        lot_types=_lot_types(connection),
        agreements=_agreements(connection),
        fixed_tags=bool(tags and tags[0]),
    )


def _nodes(connection: Connection) -> tuple[HubNode, ...]:
    rows = connection.execute(
        "SELECT id, kind, material, min_kg, max_kg, start_kg, start_sd_kg, start_at FROM sidestream_v.node ORDER BY id"
    )
    return tuple(HubNode(*row) for row in rows)


def _streams(connection: Connection) -> tuple[HubStream, ...]:
    stages: dict[str, list[tuple[date, str]]] = {}
    for stream, since, state in connection.execute(
        "SELECT stream, since, state FROM sidestream_v.stream_stage ORDER BY stream, since"
    ):
        stages.setdefault(stream, []).append((since, state))
    rows = connection.execute(
        "SELECT id, source, target, material, phase, meter_position, pressure_pa, source_party, target_party"
        " FROM sidestream_v.stream ORDER BY id"
    )
    return tuple(HubStream(*(*row, tuple(stages.get(row[0], ())))) for row in rows)


def _sensors(connection: Connection) -> tuple[HubSensor, ...]:
    rows = connection.execute(
        "SELECT sensor_id, id, party, quantity, role, stream, node, si_factor, si_offset, limit_pct, limit_abs,"
        " random_pct, random_abs, range_low, range_high, period_s, manual FROM sidestream_v.sensor ORDER BY id"
    )
    return tuple(HubSensor(*row) for row in rows)


def _lot_types(connection: Connection) -> tuple[HubLotType, ...]:
    rows = connection.execute("SELECT id, prefix, material, mass_kg, sd_kg FROM sidestream_v.lot_type ORDER BY id")
    return tuple(HubLotType(*row) for row in rows)


def _agreements(connection: Connection) -> tuple[HubAgreement, ...]:
    rows = connection.execute(
        "SELECT id, stream, quantity, amount * si_factor, period, tolerance_pct / 100, valid_from, valid_to"
        " FROM sidestream_v.agreement ORDER BY id"
    )
    return tuple(HubAgreement(*row) for row in rows)
