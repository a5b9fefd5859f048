"""One quarantine entry as whoever wants to replay or discard it must see it, and which entries a request is about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg

from sidestream_contracts.errors import DomainError
from sidestream_contracts.messages import AnnouncedSensor
from sidestream_store.connect import transient_errors
from sidestream_store.quarantine.keep import Message


@dataclass(frozen=True, slots=True)
class Entry:
    """A message, or the readings of one sensor of it, with its bytes as far as they were kept."""

    quarantine_id: int
    device: str
    reason: str
    detail: str
    sensor: str | None
    topic: str
    properties: tuple[tuple[str, str], ...]
    raw: bytes
    raw_bytes: int
    counted_only: bool
    first_at: datetime
    last_at: datetime
    count: int
    readings: int
    state: str

    @property
    def cut(self) -> bool:
        """Whether only the beginning of the message was kept."""
        return len(self.raw) < self.raw_bytes

    @property
    def message(self) -> Message:
        """The message as it arrived, at the time at which it first arrived."""
        return Message(self.topic, self.device, self.raw, self.first_at, self.properties)


@dataclass(frozen=True, slots=True)
class Selection:
    """Which open entries are meant: those of the ids, or all that agree with everything that is named."""

    ids: tuple[int, ...] = ()
    device: str | None = None
    reason: str | None = None
    sensor: str | None = None


_COLUMNS = (
    "quarantine_id, device, reason, detail, sensor, topic, properties, raw, COALESCE(raw_bytes, length(raw)),"
    " counted_only, first_at, last_at, count, readings, state"
)


def entry(connection: psycopg.Connection, quarantine_id: int) -> Entry:
    """The entry; DomainError when there is none of this number."""
    with transient_errors("read a quarantine entry"):
        row = connection.execute(
            f"SELECT {_COLUMNS} FROM sidestream.quarantine WHERE quarantine_id = %s",  # noqa: S608  constant columns
            [quarantine_id],
        ).fetchone()
    if row is None:
        raise DomainError(
            f"Quarantine has no entry #{quarantine_id}; it may have aged out. `sidestream quarantine list` shows what there is."
        )
    return _entry(row)


def lock_open(connection: psycopg.Connection, quarantine_id: int) -> Entry | None:
    """The entry, which nobody else can close before this transaction ends; None where it is open no longer."""
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM sidestream.quarantine WHERE quarantine_id = %s AND state = 'open' FOR UPDATE",  # noqa: S608
        [quarantine_id],
    ).fetchone()
    return None if row is None else _entry(row)


def _entry(row: Sequence[Any]) -> Entry:
    cells = list(row)
    cells[6] = tuple((name, value) for name, value in cells[6])
    return Entry(*cells)


def select_open(connection: psycopg.Connection, selection: Selection) -> list[int]:
    """The open entries that are meant, oldest first. `device` is an id, or `hub/party/device`; '' names the unreadable."""
    with transient_errors("select quarantine entries"):
        rows = connection.execute(
            "SELECT quarantine_id FROM sidestream.quarantine WHERE state = 'open'"
            " AND (%(ids)s::bigint[] IS NULL OR quarantine_id = ANY (%(ids)s))"
            " AND (%(device)s::text IS NULL OR device = %(device)s OR split_part(device, '/', 3) = %(device)s)"
            " AND (%(reason)s::text IS NULL OR reason = %(reason)s)"
            " AND (%(sensor)s::text IS NULL OR sensor = %(sensor)s) ORDER BY quarantine_id",
            {
                "ids": list(selection.ids) or None,
                "device": selection.device,
                "reason": selection.reason,
                "sensor": selection.sensor,
            },
        ).fetchall()
    return [row[0] for row in rows]


def announced(connection: psycopg.Connection, party: str, device: str) -> dict[str, AnnouncedSensor]:
    """The sensors that a device announced in its newest status, by id."""
    with transient_errors("read what a device announced"):
        rows = connection.execute(
            "SELECT sensor, driver, unit, quantity FROM sidestream_v.announced_sensor WHERE party = %s AND device = %s",
            [party, device],
        ).fetchall()
    return {row[0]: AnnouncedSensor(id=row[0], driver=row[1], unit=row[2], quantity=row[3]) for row in rows}
