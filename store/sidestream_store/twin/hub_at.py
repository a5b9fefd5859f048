"""The hub of any version that was applied, from the file as it was: what a figure of that time was computed with.

Only views are read, so that whoever explains a figure needs no rights on tables.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, TypeVar

from pydantic import BaseModel, ValidationError

from sidestream_contracts.balances import interval_s
from sidestream_contracts.errors import ConfigurationError, DomainError
from sidestream_contracts.hub import Agreement, HubFile, Loss, Material, Node, Sensor
from sidestream_contracts.hubcheck import fits
from sidestream_contracts.units import to_si
from sidestream_store.connect import Connection
from sidestream_store.hub_apply import shape_of
from sidestream_store.twin.hub import (
    HubAgreement,
    HubLoss,
    HubLotType,
    HubNode,
    HubSensor,
    HubStream,
    HubVessel,
    HubYield,
    TwinHub,
    checks_of,
    counter_of,
    loss_of,
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


@dataclass(frozen=True, slots=True)
class _Numbered:
    """A sensor's number, and its unit as it is now: a conversion that is known already need not be looked up."""

    sensor_id: int
    unit: str
    factor: float
    offset: float


def current_version(connection: Connection) -> int:
    """The version that is applied; ConfigurationError when none is."""
    row = connection.execute("SELECT version_id FROM sidestream_v.hub").fetchone()
    if row is None:
        raise ConfigurationError("No hub is applied to the database; run `sidestream hub apply hub.yaml` first.")
    return int(row[0])


def twin_hub_at(connection: Connection, version: int) -> TwinHub:
    """The hub of a version; DomainError when it is not on record, or this Sidestream can't read it any longer.

    Sensors that hub.yaml has no longer are left out, and so is where its fixed tags hung then.
    """
    row = connection.execute("SELECT content FROM sidestream_v.hub_version WHERE version_id = %s", [version]).fetchone()
    if row is None:
        raise DomainError(
            f"Version {version} of the hub is not on record, so what was computed with it can't be derived."
        )
    try:
        file = HubFile.model_validate(row[0])
    except ValidationError as error:
        raise DomainError(f"Version {version} of hub.yaml was written for an older Sidestream: {error}") from error
    rows = connection.execute("SELECT id, sensor_id, unit, si_factor, si_offset FROM sidestream_v.sensor").fetchall()
    tags = connection.execute("SELECT EXISTS (SELECT FROM sidestream_v.tag)").fetchone()
    numbers = {row[0]: _Numbered(*row[1:]) for row in rows}
    return _twin_hub(file, version, numbers, fixed_tags=bool(tags and tags[0]))


def _twin_hub(file: HubFile, version: int, numbers: Mapping[str, _Numbered], *, fixed_tags: bool) -> TwinHub:
    parties = {node.id: node.party for node in file.nodes}
    materials = {material.id: material for material in file.materials}
    streams = []
    for s in file.streams:
        material = materials.get(s.material)
        streams.append(
            HubStream(
                s.id, s.source, s.target, s.material, material.phase if material else None, s.meter_position,
                s.pressure_kpa * 1000, parties.get(s.source), parties.get(s.target),
                tuple((g.since, g.state) for g in sorted(s.lifecycle, key=lambda g: g.since)),
                (material.family if material else None) or s.material, _loss(s.loss), s.meter_end,
            )
        )  # fmt: skip
    return TwinHub(
        version=version,
        timezone=file.hub.timezone,
        step_s=file.hub.step_s,
        nodes=_by_id(_node(n, materials) for n in file.nodes),
        streams=_by_id(streams),
        sensors=_by_id(_sensors(file, numbers)),
        lot_types=_by_id(HubLotType(x.id, x.prefix, x.material, x.mass_kg, x.sd_kg) for x in file.lots),
        agreements=_by_id(_agreement(a) for a in file.agreements),
        fixed_tags=fixed_tags,
        balance_s=interval_s(file.hub.step_s, file.hub.balance_s),
        vessels=_vessels(file),
    )


class _Named(Protocol):
    @property
    def id(self) -> str: ...


Item = TypeVar("Item", bound=_Named)


def _by_id(items: Iterable[Item]) -> tuple[Item, ...]:
    return tuple(sorted(items, key=lambda item: item.id))


def _node(n: Node, materials: Mapping[str, Material]) -> HubNode:
    start, material = n.start, materials.get(n.material or "")
    family = (material.family if material else None) or n.material or ""
    conserves = None if n.conserves is None else tuple(n.conserves)
    yields = tuple(HubYield(y.input, y.output, y.ratio, y.sd) for y in n.yields)
    return HubNode(
        n.id, n.kind, n.material, n.min_kg, n.max_kg, start.mass_kg if start else None, start.sd_kg if start else None,
        start.at if start else None, conserves, n.hold_up_kg, _loss(n.loss), yields, family,
    )  # fmt: skip


def _vessels(file: HubFile) -> tuple[HubVessel, ...]:
    shapes = sorted((n.id, shape_of(n.vessel)) for n in file.nodes if n.vessel)
    return tuple(HubVessel(node, tuple(shape[0]), tuple(shape[1]), *shape[2:]) for node, shape in shapes)


def _loss(said: Loss | None) -> HubLoss | None:
    return loss_of(said.model_dump() if said else None)


def _sensors(file: HubFile, numbers: Mapping[str, _Numbered]) -> Iterable[HubSensor]:
    owners = {device.id: (device.party, device.kind == "manual") for device in file.devices}
    for s in (s for s in file.sensors if s.id in numbers):
        factor, offset = _to_si(s, numbers[s.id])
        accuracy, (low, high) = s.accuracy, s.range or (None, None)
        party, manual = owners[s.device]
        yield HubSensor(
            numbers[s.id].sensor_id, s.id, party, s.quantity, s.role, s.stream, s.node, factor, offset, accuracy.limit_pct,
            accuracy.limit_abs, accuracy.random_pct, accuracy.random_abs, low, high, s.period_s, manual, s.component,
            s.resolution, counter_of(_said(s.counter)), checks_of(_said(s.checks)),
        )  # fmt: skip


def _said(part: BaseModel | None) -> dict[str, Any] | None:
    return None if part is None else part.model_dump(mode="json")


def _to_si(sensor: Sensor, known: _Numbered) -> tuple[float, float]:
    if sensor.unit == known.unit:
        return known.factor, known.offset
    si = to_si(sensor.quantity, sensor.unit)
    return si.factor, si.offset


def _agreement(a: Agreement) -> HubAgreement:
    quantity = "energy" if fits("energy", a.unit) else "mass"
    amount = a.amount * to_si(quantity, a.unit).factor
    return HubAgreement(a.id, a.stream, quantity, amount, a.period, a.tolerance_pct / 100, a.valid_from, a.valid_to)
