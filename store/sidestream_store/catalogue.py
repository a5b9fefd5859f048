"""What ingest must know of the hub to check a reading: devices, sensors, the bounds on time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from sidestream_contracts.errors import ConfigurationError, ContractError
from sidestream_contracts.units import unit_trouble
from sidestream_store.connect import transient_errors


@dataclass(frozen=True, slots=True)
class KnownSensor:
    """A sensor of the hub: its number, the device that may publish it, what it measures, and in which unit it is sent.

    `unit_trouble` says why its readings can't be taken: its edge announced another unit than hub.yaml says. Its live
    readings from `dropped_from_us` to `dropped_before_us` (µs UTC) were dropped by age.
    """

    sensor_id: int
    device_id: int
    quantity: str
    unit: str = "1"
    sent_unit: str | None = None
    sent_factor: float = 1.0
    sent_offset: float = 0.0
    announced_unit: str | None = None
    unit_trouble: str | None = None
    dropped_from_us: int = 0
    dropped_before_us: int = 0

    @property
    def is_converted(self) -> bool:
        """Whether what is sent is not yet in `unit`."""
        return self.sent_factor != 1.0 or self.sent_offset != 0.0

    def stored(self, sent: float | None) -> float | None:
        """The value in `unit`."""
        return sent * self.sent_factor + self.sent_offset if self.is_converted and sent is not None else sent

    def heard(self, announced_unit: str | None) -> KnownSensor:
        """The same sensor after its edge has announced this unit for it."""
        trouble = unit_trouble(self.quantity, self.unit, self.sent_unit, announced_unit)
        return replace(self, announced_unit=announced_unit, unit_trouble=trouble)


@dataclass(frozen=True, slots=True)
class Catalogue:
    """One applied version of the hub, as far as checking needs it.

    `dropped`: of how many sensors retention has dropped something, and up to when of any; the latest in µs as well.
    """

    version: int
    hub: str
    late_s: float
    early_s: float
    devices: Mapping[tuple[str, str], int]
    sensors: Mapping[str, KnownSensor]
    dropped: tuple[int, datetime | None] = (0, None)
    device_ids: frozenset[int] = field(init=False)
    dropped_before_us: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "device_ids", frozenset(self.devices.values()))
        latest = max((sensor.dropped_before_us for sensor in self.sensors.values()), default=0)
        object.__setattr__(self, "dropped_before_us", latest)


def announce(catalogue: Catalogue, device_id: int, units: Mapping[str, str | None]) -> Catalogue:
    """The catalogue after a device has announced in which unit it sends its sensors; the same one where it said so before."""
    known = catalogue.sensors
    news = {
        name: known[name].heard(unit)
        for name, unit in units.items()
        if name in known and known[name].device_id == device_id and known[name].announced_unit != unit
    }
    return replace(catalogue, sensors={**known, **news}) if news else catalogue


def load_catalogue(connection: psycopg.Connection) -> Catalogue:
    """The hub as applied now; ConfigurationError where none is."""
    with transient_errors("load the catalogue"), connection.transaction():
        hub = connection.execute("SELECT version_id, id, late_s, early_s FROM sidestream.hub").fetchone()
        if hub is None:
            raise ConfigurationError("No hub is applied to the database; run `sidestream hub apply hub.yaml` first.")
        devices = connection.execute(
            "SELECT party, id, device_id FROM sidestream.device WHERE removed_at IS NULL"
        ).fetchall()
        sensors = connection.execute(
            "SELECT s.id, s.sensor_id, s.device_id, s.quantity, s.unit, s.sent_unit, s.sent_factor, s.sent_offset,"
            " u.announced_unit, COALESCE(extract(epoch FROM d.from_at) * 1000000, 0)::bigint,"
            " COALESCE(extract(epoch FROM d.before) * 1000000, 0)::bigint"
            " FROM sidestream.sensor s JOIN sidestream_v.sensor_unit u ON u.sensor = s.id"
            " LEFT JOIN sidestream.dropped d USING (sensor_id) WHERE s.removed_at IS NULL"
        ).fetchall()
        dropped = connection.execute("SELECT count(*), max(before) FROM sidestream.dropped").fetchone() or (0, None)
    return Catalogue(
        hub[0],
        hub[1],
        hub[2],
        hub[3],
        {(party, device): number for party, device, number in devices},
        {
            row[0]: replace(KnownSensor(*row[1:8]).heard(row[8]), dropped_from_us=row[9], dropped_before_us=row[10])
            for row in sensors
        },
        dropped,
    )


def is_current(connection: psycopg.Connection, catalogue: Catalogue) -> bool:
    """Whether the catalogue is still right: no other hub version was applied and nothing dropped since it was loaded."""
    with transient_errors("look whether the catalogue is right"):
        row = connection.execute(
            "SELECT (SELECT version_id FROM sidestream.hub), count(*), max(before) FROM sidestream.dropped"
        ).fetchone()
    return row == (catalogue.version, *catalogue.dropped)


def device_number(connection: psycopg.Connection, party: str, device: str) -> int:
    """The number of a device; one that is not in hub.yaml gets a row marked so, because its frames are acknowledged too."""
    with transient_errors("register a device"), connection.transaction():
        connection.execute(
            "INSERT INTO sidestream.device (party, id, name, removed_at) VALUES (%s, %s, 'not in hub.yaml', now())"
            " ON CONFLICT DO NOTHING",
            [party, device],
        )
        row = connection.execute(
            "SELECT device_id FROM sidestream.device WHERE party = %s AND id = %s", [party, device]
        ).fetchone()
    assert row is not None
    return int(row[0])


def save_status(connection: psycopg.Connection, device_id: int, body: Mapping[str, Any], received_at: datetime) -> None:
    """The device's newest status; an `offline` of an epoch that is no longer the device's is an old will and ignored.

    ContractError `database_refused` for a status that the database can't keep.
    """
    try:
        _upsert_status(connection, device_id, body, received_at)
    except psycopg.DataError as error:
        raise ContractError("database_refused", f"The database refuses the status: {error}") from error


def _upsert_status(
    connection: psycopg.Connection, device_id: int, body: Mapping[str, Any], received_at: datetime
) -> None:
    with transient_errors("save a status"), connection.transaction():
        connection.execute(
            "INSERT INTO sidestream.device_status AS s (device_id, state, epoch, at, received_at, body)"
            " VALUES (%(device)s, %(state)s, %(epoch)s, %(at)s, %(received)s, %(body)s)"
            " ON CONFLICT (device_id) DO UPDATE SET state = excluded.state, epoch = excluded.epoch, at = excluded.at,"
            " received_at = excluded.received_at,"
            " body = CASE WHEN excluded.state = 'offline' THEN s.body || '{\"state\": \"offline\"}' ELSE excluded.body END"
            " WHERE excluded.received_at >= s.received_at AND (excluded.state = 'online' OR excluded.epoch = s.epoch)",
            {
                "device": device_id,
                "state": body["state"],
                "epoch": body["epoch"],
                "at": body["at"],
                "received": received_at,
                "body": Jsonb(dict(body)),
            },
        )
