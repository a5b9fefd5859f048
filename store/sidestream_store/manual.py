"""Readings that people enter: readings like any other, with who said so, how sure, and what was written on the paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sidestream_store.batch import CheckedFrame
from sidestream_store.connect import Connection, transient_errors
from sidestream_store.delivery import apply_frames
from sidestream_store.partitions import ensure_range


@dataclass(frozen=True, slots=True)
class ManualSensor:
    """A sensor that people read, and the device that they are in hub.yaml."""

    id: str
    sensor_id: int
    quantity: str
    unit: str
    party: str
    device: str
    device_id: int


@dataclass(frozen=True, slots=True)
class Entry:
    """What a person said, beside the checked frame that brings it; `value` and `sd` in the sensor's unit."""

    frame: CheckedFrame
    sensor_id: int
    at: datetime
    value: float
    sd: float | None
    given_value: str
    given_unit: str
    author: str
    note: str | None


@dataclass(frozen=True, slots=True)
class Standing:
    """What was entered before for the same sensor and instant."""

    entry_id: int
    value: float
    sd: float | None
    author: str
    note: str | None
    correction_id: int | None


def manual_sensors(connection: Connection) -> Mapping[str, ManualSensor]:
    """Every sensor of a device that is people, by id."""
    with transient_errors("load manual sensors"):
        rows = connection.execute(
            "SELECT s.id, s.sensor_id, s.quantity, s.unit, d.party, d.id, d.device_id"
            " FROM sidestream.sensor s JOIN sidestream.device d USING (device_id) WHERE s.removed_at IS NULL AND s.manual"
        ).fetchall()
    return {row[0]: ManualSensor(*row) for row in rows}


def other_sensors(connection: Connection) -> list[str]:
    """Every sensor that a machine reads."""
    with transient_errors("load sensors"):
        rows = connection.execute("SELECT id FROM sidestream_v.sensor WHERE NOT manual").fetchall()
    return [row[0] for row in rows]


def standing_entries(
    connection: Connection, asked: Sequence[tuple[int, datetime]]
) -> dict[tuple[int, datetime], Standing]:
    """What stands already for these sensors and instants."""
    with transient_errors("look manual entries up"):
        rows = connection.execute(
            "SELECT e.sensor_id, e.time, e.entry_id, e.value, e.sd, e.author, e.note, e.correction_id FROM sidestream_v.manual_entry e"
            " JOIN unnest(%s::int[], %s::timestamptz[]) AS q (sensor_id, time) USING (sensor_id, time)",
            [[sensor for sensor, _ in asked], [at for _, at in asked]],
        ).fetchall()
    return {(row[0], row[1]): Standing(*row[2:]) for row in rows}


def save_entries(connection: Connection, entries: Sequence[Entry], entered_by: str) -> list[bool]:
    """For each entry whether it is new; all are in the ledger, with their authors, in one transaction or none is.

    The same entry again brings nothing, whoever sends it. Raises what `apply_frames` raises.
    """
    if not entries:
        return []
    ensure_range(connection, min(entry.at for entry in entries), max(entry.at for entry in entries))
    with transient_errors("save manual entries"), connection.transaction():
        return [_save(connection, entry, entered_by) for entry in entries]


def _save(connection: Connection, entry: Entry, entered_by: str) -> bool:
    if not apply_frames(connection, [entry.frame]).new:
        return False
    key = entry.frame.key
    connection.execute(
        "INSERT INTO sidestream.manual_entry (frame_id, sensor_id, time, value, sd, given_value, given_unit, author, note,"
        " entered_by) SELECT f.frame_id, %s, %s, %s, %s, %s, %s, %s, %s, %s FROM sidestream.frame f"
        ' WHERE f.device_id = %s AND f.epoch = %s::uuid AND f.lane = %s::text::"char" AND f.seq = %s',
        [
            entry.sensor_id, entry.at, entry.value, entry.sd, entry.given_value, entry.given_unit, entry.author, entry.note,
            entered_by, entry.frame.device_id, key.epoch, key.lane[0], key.seq,
        ],
    )  # fmt: skip
    return True
