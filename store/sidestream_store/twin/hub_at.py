"""The hub as it was applied earlier: what a figure of that time was computed with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from sidestream_contracts.errors import DomainError
from sidestream_contracts.hub import HubFile
from sidestream_contracts.hubcheck import fits
from sidestream_contracts.units import to_si
from sidestream_store.connect import Connection
from sidestream_store.twin.hub import (
    HubAgreement,
    HubLotType,
    HubNode,
    HubSensor,
    HubStream,
    TwinHub,
    load_twin_hub,
)


@dataclass(frozen=True, slots=True)
class HubVersion:
    """One applied hub.yaml: since and until when it held (None: it holds), who applied it."""

    version_id: int
    hash: str
    applied_at: datetime
    applied_by: str
    replaced_at: datetime | None


def hub_version(connection: Connection, version: int) -> HubVersion | None:
    """When and by whom a version was applied; None for one that never was."""
    row = connection.execute(
        "SELECT version_id, hash, applied_at, applied_by, replaced_at FROM sidestream_v.hub_version WHERE version_id = %s",
        [version],
    ).fetchone()
    return HubVersion(*row) if row else None


def twin_hub_at(connection: Connection, version: int) -> TwinHub:
    """The hub of a version; DomainError when it is not on record, or this Sidestream can't read it any longer."""
    now = load_twin_hub(connection)
    if now.version == version:
        return now
    row = connection.execute("SELECT content FROM sidestream_v.hub_version WHERE version_id = %s", [version]).fetchone()
    if row is None:
        raise DomainError(
            f"Version {version} of the hub is not on record, so what was computed with it can't be derived."
        )
    try:
        file = HubFile.model_validate(row[0])
    except ValidationError as error:
        raise DomainError(f"Version {version} of hub.yaml was written for an older Sidestream: {error}") from error
    numbers: dict[str, int] = dict(connection.execute("SELECT id, sensor_id FROM sidestream_v.sensor").fetchall())
    return twin_hub_of(file, version, numbers)


def twin_hub_of(file: HubFile, version: int, numbers: Mapping[str, int]) -> TwinHub:
    """The hub file as the twin takes it; sensors that have no number any longer are left out. Pure."""
    parties = {node.id: node.party for node in file.nodes}
    phases = {material.id: material.phase for material in file.materials}
    return TwinHub(
        version=version,
        timezone=file.hub.timezone,
        step_s=file.hub.step_s,
        nodes=_by_id(
            HubNode(
                n.id, n.kind, n.material, n.min_kg, n.max_kg,
                *((n.start.mass_kg, n.start.sd_kg, n.start.at) if n.start else (None, None, None)),
            )
            for n in file.nodes
        ),
        streams=_by_id(
            HubStream(
                s.id, s.source, s.target, s.material, phases.get(s.material), s.meter_position, s.pressure_kpa * 1000,
                parties.get(s.source), parties.get(s.target), tuple((g.since, g.state) for g in s.lifecycle),
            )
            for s in file.streams
        ),
        sensors=_by_id(_sensors(file, numbers)),
        lot_types=_by_id(HubLotType(x.id, x.prefix, x.material, x.mass_kg, x.sd_kg) for x in file.lots),
        agreements=_by_id(_agreement(a) for a in file.agreements),
        fixed_tags=file.tags is not None,
    )  # fmt: skip


def _by_id(items: Any) -> tuple[Any, ...]:
    return tuple(sorted(items, key=lambda item: str(item.id)))


def _sensors(file: HubFile, numbers: Mapping[str, int]) -> list[HubSensor]:
    owners = {device.id: (device.party, device.kind == "manual") for device in file.devices}
    found = []
    for s in (s for s in file.sensors if s.id in numbers):
        si, accuracy, (low, high) = to_si(s.quantity, s.unit), s.accuracy, s.range or (None, None)
        party, manual = owners[s.device]
        found.append(
            HubSensor(
                numbers[s.id], s.id, party, s.quantity, s.role, s.stream, s.node, si.factor, si.offset, accuracy.limit_pct,
                accuracy.limit_abs, accuracy.random_pct, accuracy.random_abs, low, high, s.period_s, manual,
            )
        )  # fmt: skip
    return found


def _agreement(a: Any) -> HubAgreement:
    quantity = "energy" if fits("energy", a.unit) else "mass"
    amount = a.amount * to_si(quantity, a.unit).factor
    return HubAgreement(a.id, a.stream, quantity, amount, a.period, a.tolerance_pct / 100, a.valid_from, a.valid_to)
