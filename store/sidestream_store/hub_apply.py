"""Brings the database to a `hub.yaml`: all or nothing, with a list of what changed; sensors keep their number for ever."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb
from pydantic import BaseModel

from sidestream_contracts.balances import interval_s
from sidestream_contracts.errors import ConfigurationError
from sidestream_contracts.hub import HubFile, Retention, Sensor, TagFile, Vessel
from sidestream_contracts.hubcheck import LISTS, fits
from sidestream_contracts.metering import stuck_after_s
from sidestream_contracts.units import QUANTITIES, conversion, to_si
from sidestream_store.connect import open_connection, transient_errors
from sidestream_store.hub_marks import Marks, mark, mark_codes, marks_of
from sidestream_store.stops import HubStop, replace_hub_stops


@dataclass(frozen=True, slots=True)
class HubDiff:
    """What applying a hub file changes, as `list.id` names."""

    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.added or self.changed or self.removed)


def apply_hub(dsn: str, hub: HubFile, base: Path, *, dry_run: bool = False) -> HubDiff:
    """The database says what `hub` says, in one transaction; with `dry_run` only the difference is told.

    What the change can mean for a figure is marked dirty over its whole history (`hub_marks`), so that it is recomputed.
    `base` is the folder that a tag file's path is relative to.
    """
    tags = _read_tags(hub.tags, base) if hub.tags else {}
    with open_connection(dsn, "hub apply") as connection, transient_errors("hub apply"):
        connection.execute("SELECT pg_advisory_xact_lock(hashtext('sidestream.hub_apply'))")
        row = connection.execute(
            "SELECT content FROM sidestream.hub_version ORDER BY version_id DESC LIMIT 1"
        ).fetchone()
        content = hub.model_dump(mode="json")
        diff = _diff(row[0] if row else None, content)
        if row and row[0]["hub"]["id"] != hub.hub.id:
            raise ConfigurationError(
                f"This database belongs to hub {row[0]['hub']['id']!r}, and the file is of hub {hub.hub.id!r}; "
                "each hub has a database of its own."
            )
        if not dry_run:
            if diff or not row:
                _write(connection, hub, content)
            marks = marks_of(row[0] if row else None, content)
            _mark(connection, marks, _write_tags(connection, tags))
    return diff


def _diff(old: Mapping[str, Any] | None, new: Mapping[str, Any]) -> HubDiff:
    before = _entries(old) if old else {}
    after = _entries(new)
    return HubDiff(
        tuple(sorted(after.keys() - before.keys())),
        tuple(sorted(name for name in after.keys() & before.keys() if after[name] != before[name])),
        tuple(sorted(before.keys() - after.keys())),
    )


def _entries(content: Mapping[str, Any]) -> dict[str, Any]:
    entries = {f"{name}.{item['id']}": item for name in LISTS for item in content.get(name, [])}
    retention = content.get("retention") or Retention().model_dump(mode="json")
    return {**entries, "hub": content["hub"], "tags": content.get("tags"), "retention": retention}


def _write(connection: psycopg.Connection, hub: HubFile, content: Mapping[str, Any]) -> None:
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    version = connection.execute(
        "INSERT INTO sidestream.hub_version (hub, hash, content) VALUES (%s, %s, %s) RETURNING version_id",
        [hub.hub.id, digest, Jsonb(content)],
    ).fetchone()
    assert version is not None
    _write_hub(connection, hub, version[0])
    _write_graph(connection, hub)
    _write_devices(connection, hub)
    _write_agreements(connection, hub)


def _insert(table: str, columns: Sequence[str]) -> sql.Composed:
    return sql.SQL("INSERT INTO sidestream.{} ({}) VALUES ({})").format(
        sql.Identifier(table),
        sql.SQL(", ").join(map(sql.Identifier, columns)),
        sql.SQL(", ").join([sql.Placeholder()] * len(columns)),
    )


def _replace(connection: psycopg.Connection, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    connection.execute(sql.SQL("DELETE FROM sidestream.{}").format(sql.Identifier(table)))
    with connection.cursor() as cursor:
        cursor.executemany(_insert(table, columns), list(rows))


def _write_hub(connection: psycopg.Connection, file: HubFile, version: int) -> None:
    hub = file.hub
    columns = (
        "id", "name", "timezone", "synthetic", "step_s", "balance_s", "late_s", "early_s", "settle_s", "version_id",
    )  # fmt: skip
    late_s, balance_s = hub.late_days * 86400, interval_s(hub.step_s, hub.balance_s)
    values = (
        hub.id, hub.name, hub.timezone, hub.synthetic, hub.step_s, balance_s, late_s, hub.early_s, hub.settle_s, version,
    )  # fmt: skip
    _replace(connection, "hub", columns, [values])
    _replace(connection, "party", ("id", "name"), [(p.id, p.name) for p in file.parties])


def _write_graph(connection: psycopg.Connection, hub: HubFile) -> None:
    materials = [
        (m.id, m.name, m.phase, m.ewc, Jsonb(m.aliases), m.family, _json(m.contents), _json(m.limits))
        for m in hub.materials
    ]
    material_columns = ("id", "name", "phase", "ewc", "aliases", "family", "contents", "limits")
    _replace(connection, "material", material_columns, materials)
    node_columns = (
        "id", "party", "kind", "name", "material", "min_kg", "max_kg", "start_kg", "start_sd_kg", "start_at",
        "conserves", "hold_up_kg", "loss", "yields",
    )  # fmt: skip
    nodes = [
        (n.id, n.party, n.kind, n.name, n.material, n.min_kg, n.max_kg)
        + ((n.start.mass_kg, n.start.sd_kg, n.start.at) if n.start else (None, None, None))
        + (n.conserves, n.hold_up_kg, _one(n.loss), _json(n.yields))
        for n in hub.nodes
    ]
    _replace(connection, "node", node_columns, nodes)
    vessels = [(n.id, *shape_of(n.vessel)) for n in hub.nodes if n.vessel]
    vessel_columns = ("node", "heights_m", "volumes_m3", "density_kg_m3", "density_sd_kg_m3")
    _replace(connection, "vessel", vessel_columns, vessels)
    streams = [
        (
            s.id,
            s.name,
            s.source,
            s.target,
            s.material,
            s.meter_position,
            s.pressure_kpa * 1000,
            _one(s.loss),
            s.meter_end,
        )
        for s in hub.streams
    ]
    stream_columns = (
        "id", "name", "source", "target", "material", "meter_position", "pressure_pa", "loss", "meter_end",
    )  # fmt: skip
    _replace(connection, "stream", stream_columns, streams)
    stages = [(s.id, g.since, g.state) for s in hub.streams for g in s.lifecycle]
    _replace(connection, "stream_stage", ("stream", "since", "state"), stages)
    lots = [(x.id, x.name, x.prefix, x.material, x.mass_kg, x.sd_kg) for x in hub.lots]
    _replace(connection, "lot_type", ("id", "name", "prefix", "material", "mass_kg", "sd_kg"), lots)


def _json(parts: Sequence[BaseModel]) -> Jsonb:
    return Jsonb([part.model_dump(mode="json") for part in parts])


def _one(part: BaseModel | None) -> Jsonb | None:
    return None if part is None else Jsonb(part.model_dump(mode="json"))


def shape_of(vessel: Vessel) -> tuple[list[float], list[float], float, float]:
    """Heights, volumes, density and its deviation, in SI: an upright vessel as two points."""
    points = vessel.table or [(0.0, 0.0), (1.0, vessel.area_m2 or 1.0)]
    heights, volumes = ([float(point[n]) for point in points] for n in (0, 1))
    return heights, volumes, vessel.density_kg_m3, vessel.density_sd_kg_m3


_SENSOR_COLUMNS = (
    "id", "device_id", "name", "quantity", "unit", "si_unit", "si_factor", "si_offset", "role", "component", "stream",
    "node", "limit_pct", "limit_abs", "random_pct", "random_abs", "range_low", "range_high", "period_s", "manual",
    "sent_unit", "sent_factor", "sent_offset", "resolution", "counter", "checks", "stuck_s",
)  # fmt: skip


def _write_devices(connection: psycopg.Connection, hub: HubFile) -> None:
    connection.execute("UPDATE sidestream.device SET removed_at = now() WHERE removed_at IS NULL")
    connection.execute("UPDATE sidestream.sensor SET removed_at = now() WHERE removed_at IS NULL")
    numbers: dict[str, int] = {}
    for device in hub.devices:
        row = connection.execute(
            "INSERT INTO sidestream.device (party, id, name) VALUES (%s, %s, %s) ON CONFLICT (party, id) DO UPDATE"
            " SET name = excluded.name, removed_at = NULL RETURNING device_id",
            [device.party, device.id, device.name],
        ).fetchone()
        numbers[device.id] = row[0] if row else 0
    people = [device.id for device in hub.devices if device.kind == "manual"]
    updates = (sql.SQL("{0} = excluded.{0}").format(sql.Identifier(column)) for column in _SENSOR_COLUMNS[1:])
    statement = sql.SQL("{} ON CONFLICT (id) DO UPDATE SET {}, removed_at = NULL").format(
        _insert("sensor", _SENSOR_COLUMNS), sql.SQL(", ").join(updates)
    )
    with connection.cursor() as cursor:
        cursor.executemany(statement, [_sensor_row(s, numbers[s.device], s.device in people) for s in hub.sensors])
    _say_who_is_people(connection, [numbers[device] for device in people])


def _say_who_is_people(connection: psycopg.Connection, devices: Sequence[int]) -> None:
    """Devices that are people have no connection to lose, so their state is neither online nor offline."""
    connection.execute(
        "DELETE FROM sidestream.device_status WHERE state = 'manual' AND device_id <> ALL (%s)", [devices]
    )
    connection.execute(
        "INSERT INTO sidestream.device_status (device_id, state, epoch, at, received_at, body)"
        " SELECT device_id, 'manual', '', now(), now(), '{\"state\": \"manual\"}' FROM unnest(%s::int[]) AS device_id"
        " ON CONFLICT (device_id) DO UPDATE SET state = excluded.state, epoch = '', body = excluded.body",
        [devices],
    )


def _mark(connection: psycopg.Connection, marks: Marks, tags: Retagged) -> None:
    if tags.first_or_last:
        marks = replace(marks, scans=True)
    mark(connection, marks)
    if tags.codes and not (marks.scans or marks.everything):
        mark_codes(connection, tags.codes)


def _sensor_row(sensor: Sensor, device: int, manual: bool) -> tuple[Any, ...]:
    si = to_si(sensor.quantity, sensor.unit)
    sent = conversion(sensor.quantity, sensor.sent_unit or sensor.unit, sensor.unit)
    low, high = sensor.range or (None, None)
    accuracy = sensor.accuracy
    return (
        sensor.id, device, sensor.name, sensor.quantity, sensor.unit, QUANTITIES[sensor.quantity].si_unit, si.factor,
        si.offset, sensor.role, sensor.component, sensor.stream, sensor.node, accuracy.limit_pct,
        accuracy.limit_abs, accuracy.random_pct, accuracy.random_abs, low, high, sensor.period_s, manual,
        sensor.sent_unit, sent.factor, sent.offset, sensor.resolution, _one(sensor.counter), _one(sensor.checks),
        stuck_after_s(sensor),
    )  # fmt: skip


def _write_agreements(connection: psycopg.Connection, hub: HubFile) -> None:
    columns = (
        "id", "name", "stream", "supplier", "receiver", "amount", "unit", "quantity", "si_factor", "period",
        "tolerance_pct", "valid_from", "valid_to", "disclosure", "load_amount",
    )  # fmt: skip
    rows = []
    for a in hub.agreements:
        quantity = "energy" if fits("energy", a.unit) else "mass"
        rows.append((
            a.id, a.name, a.stream, a.supplier, a.receiver, a.amount, a.unit, quantity,
            to_si(quantity, a.unit).factor, a.period, a.tolerance_pct, a.valid_from, a.valid_to, a.disclosure, a.load,
        ))  # fmt: skip
    _replace(connection, "agreement", columns, rows)
    specs = [(a.id, s.sensor, s.min, s.max, s.time_pct / 100) for a in hub.agreements for s in a.spec]
    _replace(connection, "agreement_spec", ("agreement", "sensor", "low", "high", "share"), specs)
    stops = [HubStop(s.id, s.node, s.stream, s.from_, s.to, s.why) for s in hub.stops]
    replace_hub_stops(connection, stops, "hub.yaml")


def _read_tags(tags: TagFile, base: Path) -> dict[str, str]:
    path = base / tags.file
    try:
        with path.open(encoding="utf-8", newline="") as lines:
            rows = csv.DictReader(lines)
            wanted = (tags.code_column, tags.place_column)
            missing = [name for name in wanted if name not in (rows.fieldnames or ())]
            if missing:
                raise ConfigurationError(f"{path}:1: has no column {missing[0]!r}; columns: {rows.fieldnames}.")
            return {row[tags.code_column]: f"{tags.place_prefix}{row[tags.place_column]}" for row in rows}
    except OSError as error:
        raise ConfigurationError(f"{path}: the tag file can't be read: {error.strerror}.") from error


@dataclass(frozen=True, slots=True)
class Retagged:
    """Codes that hang elsewhere than before; with the first tag or without the last, other codes mean something else too."""

    codes: frozenset[str] = frozenset()
    first_or_last: bool = False


def _write_tags(connection: psycopg.Connection, tags: Mapping[str, str]) -> Retagged:
    """What of the tags is other than before."""
    known = {row[0] for row in connection.execute("SELECT id FROM sidestream.node").fetchall()}
    strange = sorted(set(tags.values()) - known)
    if strange:
        raise ConfigurationError(f"The tag file names places that are no nodes of the hub: {', '.join(strange[:5])}.")
    before: dict[str, str] = dict(connection.execute("SELECT code, place FROM sidestream.tag").fetchall())
    codes = frozenset(code for code in before.keys() | tags.keys() if before.get(code) != tags.get(code))
    if codes:
        _replace(connection, "tag", ("code", "place"), tags.items())
    return Retagged(codes, bool(before) != bool(tags))
