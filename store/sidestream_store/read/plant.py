"""The state of the whole plant for one look at it: over one connection, by the viewer's views, each part within a second.

A part that can't be read in time is None, and the others are there all the same.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString, TypeVar

import psycopg
from psycopg.rows import class_row

from sidestream_contracts.errors import ConfigurationError
from sidestream_store.connect import transient_errors

Row = TypeVar("Row")
_STATEMENT_TIMEOUT_MS = 700


@dataclass(frozen=True, slots=True)
class HubName:
    """Which hub it is, and the zone its people live in."""

    id: str
    name: str
    timezone: str
    synthetic: bool


@dataclass(frozen=True, slots=True)
class WorkerState:
    """A process that works on the database, by its heartbeat; `figures` as in docs/metrics.md."""

    worker: str
    kind: str
    host: str
    pid: int
    version: str
    started_at: datetime
    seen_at: datetime
    silent_s: float
    alive: bool
    figures: dict[str, Any]


@dataclass(frozen=True, slots=True)
class DeviceState:
    """A gateway as it last told of itself; `body` is its whole status message."""

    device: str
    party: str
    name: str
    state: str
    received_at: datetime | None
    body: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class QuarantineState:
    """What lies open in quarantine, all devices together."""

    readings: int
    messages: int
    newest_at: datetime | None
    newest_reason: str | None
    newest_device: str | None


@dataclass(frozen=True, slots=True)
class TwinState:
    """How fresh the twin's figures are."""

    figures: int
    stale: int
    computed_at: datetime | None


@dataclass(frozen=True, slots=True)
class StorageState:
    """What the database holds and how far it is prepared; `partitions_until` is None where none are needed."""

    profile: str
    database_bytes: int
    partitions_until: datetime | None
    dirty_ranges: int


@dataclass(frozen=True, slots=True)
class FindingState:
    """How many findings need somebody: active and neither acknowledged nor shelved, by severity; and how many do not."""

    alarms: int
    warnings: int
    notes: int
    acknowledged: int
    shelved: int
    a_finding: str | None
    a_sentence: str | None


@dataclass(frozen=True, slots=True)
class Plant:
    """Everything of one look; None for a part that could not be read in time, and for the hub where none is applied."""

    answer_s: float
    server_version: str
    now_at: datetime
    hub: HubName | None
    workers: list[WorkerState] | None
    devices: list[DeviceState] | None
    quarantine: QuarantineState | None
    twin: TwinState | None
    storage: StorageState | None
    findings: FindingState | None = None


def read_plant(dsn: str) -> Plant:
    """One look at the plant, read-only; TransientError when the database is away.

    ConfigurationError when the address can't be understood, when this login may not read the views, or when there are none.
    """
    try:
        psycopg.conninfo.conninfo_to_dict(dsn)
    except psycopg.ProgrammingError as error:
        raise ConfigurationError(f"The database address can't be understood: {error}") from error
    options = (
        f"-c timezone=UTC -c default_transaction_read_only=on -c statement_timeout={_STATEMENT_TIMEOUT_MS} -c jit=off"
    )
    with (
        transient_errors("look at the plant"),
        psycopg.connect(
            dsn, autocommit=True, connect_timeout=2, application_name="sidestream status", options=options
        ) as connection,
    ):
        return _look(connection)


def _look(connection: psycopg.Connection) -> Plant:
    began_s = time.monotonic()
    now = connection.execute("SELECT now(), current_setting('server_version')").fetchone()
    assert now is not None
    answer_s = time.monotonic() - began_s
    return Plant(
        answer_s,
        str(now[1]).split()[0],
        now[0],
        _one(connection, HubName, "SELECT id, name, timezone, synthetic FROM sidestream_v.hub"),
        _rows(
            connection,
            WorkerState,
            "SELECT worker, kind, host, pid, version, started_at, seen_at, silent_s, alive, figures"
            " FROM sidestream_v.worker ORDER BY kind, started_at",
        ),
        _rows(
            connection,
            DeviceState,
            "SELECT device, party, name, state, received_at, body FROM sidestream_v.device ORDER BY party, device",
        ),
        _one(
            connection,
            QuarantineState,
            "SELECT COALESCE(sum(readings), 0)::bigint AS readings, COALESCE(sum(count), 0)::bigint AS messages,"
            " max(last_at) AS newest_at, (array_agg(reason ORDER BY last_at DESC))[1] AS newest_reason,"
            " (array_agg(device ORDER BY last_at DESC))[1] AS newest_device"
            " FROM sidestream_v.quarantine WHERE state = 'open'",
        ),
        _one(
            connection,
            TwinState,
            "SELECT count(*) AS figures, count(*) FILTER (WHERE stale) AS stale, max(computed_at) AS computed_at"
            " FROM sidestream_v.twin_latest",
        ),
        _one(
            connection,
            StorageState,
            "SELECT profile, database_bytes, partitions_until, dirty_ranges FROM sidestream_v.storage",
        ),
        _one(connection, FindingState, _FINDINGS),
    )


_FINDINGS: LiteralString = """
SELECT count(*) FILTER (WHERE state = 'unacknowledged' AND severity = 'alarm') AS alarms,
       count(*) FILTER (WHERE state = 'unacknowledged' AND severity = 'warning') AS warnings,
       count(*) FILTER (WHERE state = 'unacknowledged' AND severity = 'note') AS notes,
       count(*) FILTER (WHERE state = 'acknowledged') AS acknowledged,
       count(*) FILTER (WHERE state = 'shelved') AS shelved,
       (array_agg(finding ORDER BY array_position(ARRAY['alarm', 'warning', 'note'], severity), raised_at) FILTER (WHERE state = 'unacknowledged'))[1] AS a_finding,
       (array_agg(sentence ORDER BY array_position(ARRAY['alarm', 'warning', 'note'], severity), raised_at) FILTER (WHERE state = 'unacknowledged'))[1] AS a_sentence
FROM sidestream_v.finding WHERE state <> 'normal'
"""


def _rows(connection: psycopg.Connection, record: type[Row], text: LiteralString) -> list[Row] | None:
    try:
        with connection.cursor(row_factory=class_row(record)) as cursor:
            return cursor.execute(text).fetchall()
    except psycopg.errors.QueryCanceled:
        return None


def _one(connection: psycopg.Connection, record: type[Row], text: LiteralString) -> Row | None:
    rows = _rows(connection, record, text)
    return rows[0] if rows else None
