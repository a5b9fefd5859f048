"""What a well-formed `hub.yaml` obeys beyond its types: each rule is one `_check_…` function that yields problems."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sidestream_contracts import yamlfile
from sidestream_contracts.errors import ConfigurationError
from sidestream_contracts.graphcheck import check_graph
from sidestream_contracts.hub import HubFile, Sensor
from sidestream_contracts.ids import unknown
from sidestream_contracts.metering import check_checks, check_counter
from sidestream_contracts.units import QUANTITIES, to_si
from sidestream_contracts.yamlfile import Problem

LISTS = (
    "parties",
    "materials",
    "devices",
    "nodes",
    "streams",
    "sensors",
    "lots",
    "agreements",
    "stops",
    "benefit_factors",
)

HOLDING = ("stock", "store")
"""Kinds of node that hold something."""

ROLE_QUANTITY = {
    "mass_flow": "mass_flow",
    "volume_flow": "volume_flow",
    "supply_temperature": "temperature",
    "return_temperature": "temperature",
    "volume_register": "volume",
    "supply_register": "volume_temperature",
    "return_register": "volume_temperature",
    "energy_register": "energy",
    "power": "power",
    "mass_register": "mass",
    "weighing": "mass",
    "stock_mass": "mass",
    "share": "fraction",
    "level": "level",
    "scan": "scan",
}


class _HasId(Protocol):
    @property
    def id(self) -> str: ...


def load_hub(path: Path) -> HubFile:
    """A `hub.yaml` in which every id, unit, role and zone holds; ConfigurationError with file and line of each mistake."""
    return yamlfile.load(path, HubFile, check_hub)


def check_hub(hub: HubFile) -> Iterator[Problem]:
    """Every problem of a hub file whose types are right."""
    for rule in (
        _check_zone,
        _check_unique_ids,
        _check_references,
        _check_aliases,
        _check_streams,
        _check_quantities,
        _check_roles,
        _check_metering,
        _check_people,
        _check_stocks,
        check_graph,
        _check_vessels,
        _check_lifecycles,
        _check_lots,
        _check_agreements,
        _check_agreed_parties,
        _check_specs,
        _check_stops,
        _check_retention,
    ):
        yield from rule(hub)


def _ids(items: Iterable[_HasId]) -> list[str]:
    return [item.id for item in items]


def _check_zone(hub: HubFile) -> Iterator[Problem]:
    try:
        ZoneInfo(hub.hub.timezone)
    except (ZoneInfoNotFoundError, ValueError):
        zone = hub.hub.timezone
        yield Problem(("hub", "timezone"), f"hub.timezone: {zone!r} is no IANA time zone; write e.g. 'Europe/Oslo'")


def _check_unique_ids(hub: HubFile) -> Iterator[Problem]:
    for name in LISTS:
        seen: set[str] = set()
        for n, item in enumerate(getattr(hub, name)):
            if item.id in seen:
                yield Problem((name, n, "id"), f"{name}.{n}.id: {item.id!r} stands twice in {name}; ids are unique")
            seen.add(item.id)


def _check_references(hub: HubFile) -> Iterator[Problem]:
    parties, materials, nodes = _ids(hub.parties), _ids(hub.materials), _ids(hub.nodes)
    streams, devices = _ids(hub.streams), _ids(hub.devices)
    wanted: tuple[tuple[str, str, Sequence[str], str], ...] = (
        ("devices", "party", parties, "party"),
        ("nodes", "party", parties, "party"),
        ("nodes", "material", materials, "material"),
        ("streams", "source", nodes, "node"),
        ("streams", "target", nodes, "node"),
        ("streams", "material", materials, "material"),
        ("sensors", "device", devices, "device"),
        ("sensors", "stream", streams, "stream"),
        ("sensors", "node", nodes, "node"),
        ("lots", "material", materials, "material"),
        ("agreements", "stream", streams, "stream"),
        ("stops", "node", nodes, "node"),
        ("stops", "stream", streams, "stream"),
        ("agreements", "supplier", parties, "party"),
        ("agreements", "receiver", parties, "party"),
    )
    for name, field, known, what in wanted:
        for n, item in enumerate(getattr(hub, name)):
            value = getattr(item, field)
            if value is not None and value not in known:
                yield Problem((name, n, field), f"{name}.{n}.{field}: {unknown(what, value, known)}")


def _check_aliases(hub: HubFile) -> Iterator[Problem]:
    parties = _ids(hub.parties)
    for n, material in enumerate(hub.materials):
        for party in material.aliases:
            if party not in parties:
                where = f"materials.{n}.aliases.{party}"
                yield Problem(("materials", n, "aliases", party), f"{where}: {unknown('party', party, parties)}")


def _check_streams(hub: HubFile) -> Iterator[Problem]:
    for n, stream in enumerate(hub.streams):
        if stream.source == stream.target:
            yield Problem(
                ("streams", n, "target"), f"streams.{n}.target: is {stream.target!r}, where it also comes from"
            )


def _check_quantities(hub: HubFile) -> Iterator[Problem]:
    for n, sensor in enumerate(hub.sensors):
        if sensor.quantity not in QUANTITIES:
            sentence = unknown("quantity", sensor.quantity, QUANTITIES)
            yield Problem(("sensors", n, "quantity"), f"sensors.{n}.quantity: {sentence}")
            continue
        try:
            to_si(sensor.quantity, sensor.unit)
        except ConfigurationError as error:
            yield Problem(("sensors", n, "unit"), f"sensors.{n}.unit: {error}")
        yield from _check_sent_unit(n, sensor)
        if sensor.range and sensor.range[0] >= sensor.range[1]:
            yield Problem(("sensors", n, "range"), f"sensors.{n}.range: the first value must be below the second")


def _check_sent_unit(n: int, sensor: Sensor) -> Iterator[Problem]:
    if sensor.sent_unit is None:
        return
    if sensor.quantity == "scan":
        yield Problem(
            ("sensors", n, "sent_unit"),
            f"sensors.{n}.sent_unit: a scanner sends codes, which have no unit; leave it out",
        )
        return
    try:
        to_si(sensor.quantity, sensor.sent_unit)
    except ConfigurationError as error:
        yield Problem(("sensors", n, "sent_unit"), f"sensors.{n}.sent_unit: {error}")


def _check_roles(hub: HubFile) -> Iterator[Problem]:
    for n, sensor in enumerate(hub.sensors):
        expected = ROLE_QUANTITY.get(sensor.role, sensor.quantity)
        if sensor.quantity in QUANTITIES and sensor.quantity != expected:
            yield Problem(
                ("sensors", n, "role"),
                f"sensors.{n}.role: a {sensor.role} measures {expected!r}, and this sensor {sensor.quantity!r}",
            )
        yield from _check_place(n, sensor)


def _check_place(n: int, sensor: Sensor) -> Iterator[Problem]:
    if (sensor.stream is None) == (sensor.node is None):
        yield Problem(("sensors", n), f"sensors.{n}: name either the stream or the node that {sensor.id!r} measures")
    elif sensor.role in ("stock_mass", "level", "scan") and sensor.node is None:
        yield Problem(("sensors", n, "role"), f"sensors.{n}.role: a {sensor.role} sensor sits at a node, not a stream")
    elif sensor.role not in ("stock_mass", "level", "share", "scan", "other") and sensor.stream is None:
        yield Problem(("sensors", n, "role"), f"sensors.{n}.role: a {sensor.role} sensor measures a stream, not a node")


def _check_metering(hub: HubFile) -> Iterator[Problem]:
    for n, sensor in enumerate(hub.sensors):
        where, at = f"sensors.{n}", ("sensors", n)
        yield from check_counter(where, at, sensor.role, sensor.counter)
        yield from check_checks(where, at, sensor.role, sensor.checks)


def _check_people(hub: HubFile) -> Iterator[Problem]:
    people = {device.id for device in hub.devices if device.kind == "manual"}
    for n, sensor in enumerate(hub.sensors):
        if sensor.device in people and sensor.period_s is None:
            yield Problem(
                ("sensors", n),
                f"sensors.{n}: people read {sensor.id!r}; say how often with period_s, e.g. 604800 for once a week, "
                "or each entry would be stale within a minute",
            )


def _check_stocks(hub: HubFile) -> Iterator[Problem]:
    for n, node in enumerate(hub.nodes):
        if node.min_kg is not None and node.max_kg is not None and node.min_kg >= node.max_kg:
            yield Problem(
                ("nodes", n, "min_kg"), f"nodes.{n}.min_kg: {node.min_kg} kg is not below max_kg {node.max_kg} kg"
            )
        if node.start and node.kind not in HOLDING:
            yield Problem(("nodes", n, "start"), f"nodes.{n}.start: a {node.kind} holds no stock; use kind: stock")
    kinds = {node.id: node.kind for node in hub.nodes}
    for n, sensor in enumerate(hub.sensors):
        if (
            sensor.role in ("stock_mass", "level")
            and sensor.node in kinds
            and (kind := kinds[sensor.node]) not in HOLDING
        ):
            yield Problem(
                ("sensors", n, "node"),
                f"sensors.{n}.node: {sensor.node!r} is a {kind}, which holds no stock; name a node of kind stock or store",
            )


def _check_vessels(hub: HubFile) -> Iterator[Problem]:
    shaped = {node.id for node in hub.nodes if node.vessel}
    for n, node in enumerate(hub.nodes):
        vessel = node.vessel
        if vessel is None:
            continue
        where = f"nodes.{n}.vessel"
        if (vessel.area_m2 is None) == (vessel.table is None):
            yield Problem(("nodes", n, "vessel"), f"{where}: give either area_m2 or a table of heights and volumes")
        points = vessel.table or []
        if any(not (a[0] < b[0] and a[1] < b[1]) for a, b in pairwise(points)):
            yield Problem(
                ("nodes", n, "vessel"), f"{where}.table: each point must be higher and larger than the one before"
            )
    for n, sensor in enumerate(hub.sensors):
        if sensor.role == "level" and sensor.node is not None and sensor.node not in shaped:
            yield Problem(
                ("sensors", n, "role"),
                f"sensors.{n}.role: a level tells a mass only with the vessel's shape and density; give node "
                f"{sensor.node!r} a vessel, e.g. {{area_m2: 3, density_kg_m3: 1600, density_sd_kg_m3: 50}}, or write role: other",
            )


def _check_lifecycles(hub: HubFile) -> Iterator[Problem]:
    for n, stream in enumerate(hub.streams):
        dates = [stage.since for stage in stream.lifecycle]
        if dates != sorted(set(dates)):
            yield Problem(("streams", n, "lifecycle"), f"streams.{n}.lifecycle: dates must ascend, each once")


def _check_lots(hub: HubFile) -> Iterator[Problem]:
    for n, lot in enumerate(hub.lots):
        for other in hub.lots[:n]:
            if lot.prefix.startswith(other.prefix) or other.prefix.startswith(lot.prefix):
                yield Problem(
                    ("lots", n, "prefix"),
                    f"lots.{n}.prefix: {lot.prefix!r} and {other.prefix!r} of {other.id!r} begin alike, so a code could be "
                    "either; neither may begin with the other",
                )


def _check_agreements(hub: HubFile) -> Iterator[Problem]:
    for n, agreement in enumerate(hub.agreements):
        if not (fits("energy", agreement.unit) or fits("mass", agreement.unit)):
            yield Problem(
                ("agreements", n, "unit"),
                f"agreements.{n}.unit: {agreement.unit!r} is neither energy nor mass in UCUM; write e.g. 'MW.h' or 't'",
            )
        if agreement.valid_to and agreement.valid_to <= agreement.valid_from:
            yield Problem(("agreements", n, "valid_to"), f"agreements.{n}.valid_to: is not after valid_from")


def _check_agreed_parties(hub: HubFile) -> Iterator[Problem]:
    owner = {node.id: node.party for node in hub.nodes}
    parties = {s.id: (owner.get(s.source), owner.get(s.target)) for s in hub.streams}
    known = _ids(hub.parties)
    for n, agreement in enumerate(hub.agreements):
        source, target = parties.get(agreement.stream, (None, None))
        for field, party, at in (("supplier", source, "leaves"), ("receiver", target, "enters")):
            named = getattr(agreement, field)
            if party in known and named in known and named != party:
                yield Problem(
                    ("agreements", n, field),
                    f"agreements.{n}.{field}: is {named!r}, and the node that {agreement.stream!r} {at} belongs to {party!r}",
                )


def _check_specs(hub: HubFile) -> Iterator[Problem]:
    sensors = {sensor.id: sensor for sensor in hub.sensors}
    for n, agreement in enumerate(hub.agreements):
        for m, spec in enumerate(agreement.spec):
            where, at = f"agreements.{n}.spec.{m}", ("agreements", n, "spec", m)
            if spec.sensor not in sensors:
                yield Problem((*at, "sensor"), f"{where}.sensor: {unknown('sensor', spec.sensor, sensors)}")
            elif sensors[spec.sensor].quantity == "scan":
                yield Problem((*at, "sensor"), f"{where}.sensor: {spec.sensor!r} reads codes, which have no limits")
            if spec.min is None and spec.max is None:
                yield Problem(at, f"{where}: give min or max, in the sensor's unit, or both")
            elif spec.min is not None and spec.max is not None and spec.min >= spec.max:
                yield Problem((*at, "min"), f"{where}.min: {spec.min} is not below max {spec.max}")
            if spec.sensor in [other.sensor for other in agreement.spec[:m]]:
                yield Problem(
                    (*at, "sensor"), f"{where}.sensor: {spec.sensor!r} stands here twice; give min and max at once"
                )


def _check_stops(hub: HubFile) -> Iterator[Problem]:
    for n, stop in enumerate(hub.stops):
        if (stop.node is None) == (stop.stream is None):
            yield Problem(("stops", n), f"stops.{n}: name either the node or the stream that stands still")
        if stop.to is not None and stop.to <= stop.from_:
            yield Problem(("stops", n, "to"), f"stops.{n}.to: is not after from")


def fits(quantity: str, unit: str) -> bool:
    """Whether `unit` (UCUM) measures `quantity`."""
    try:
        to_si(quantity, unit)
    except ConfigurationError:
        return False
    return True


def _check_retention(hub: HubFile) -> Iterator[Problem]:
    kept, late = hub.retention, hub.hub.late_days
    for name in ("readings_days", "scans_days"):
        days = getattr(kept, name)
        if days is not None and days < late:
            yield Problem(
                ("retention", name),
                f"retention.{name}: {days} days are fewer than hub.late_days, which is {late}: what came late would be "
                f"dropped as it came. Keep them for {late} days at least, or lower hub.late_days",
            )
    for name in ("rollup_1m_days", "twin_values_days"):
        days = getattr(kept, name)
        if days is not None and (kept.readings_days is None or days < kept.readings_days):
            least = "readings_days is not given" if kept.readings_days is None else f"it is {kept.readings_days}"
            yield Problem(
                ("retention", name),
                f"retention.{name}: what is computed must stay at least as long as the readings it is computed from, or it "
                f"would come back wrong after a correction; {least}. Name a readings_days that is not longer than this",
            )
