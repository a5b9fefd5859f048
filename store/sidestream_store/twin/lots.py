"""Scans of lots, and what the twin makes of them: where each lot is and was."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sidestream_store.connect import Connection
from sidestream_store.twin.dirty import Changed, step_start


@dataclass(frozen=True, slots=True)
class LotScan:
    """One usable read of a code."""

    code: str
    read_at: datetime
    sensor_id: int


@dataclass(frozen=True, slots=True)
class LotStay:
    """A run of reads at one place; `place` None: not known. `left_at`: first read elsewhere, None: it is still there."""

    code: str
    from_at: datetime
    to_at: datetime
    left_at: datetime | None
    place: str | None
    scans: int


@dataclass(frozen=True, slots=True)
class LotRow:
    """Where a lot is; `lot_type` None for a code that belongs to none."""

    code: str
    lot_type: str | None
    place: str | None
    since_at: datetime
    last_seen_at: datetime
    scans: int


@dataclass(frozen=True, slots=True)
class Held:
    """A lot of a type (None: of no type, so of unknown mass) was at a node from `from_at` until before `left_at`."""

    node: str
    lot_type: str | None
    from_at: datetime
    left_at: datetime | None


def codes_read(connection: Connection, changed: Sequence[Changed], step_s: int) -> list[str]:
    """Every code read by these sensors in these steps, sorted."""
    rows = connection.execute(
        "SELECT DISTINCT s.code FROM unnest(%s::int[], %s::timestamptz[], %s::timestamptz[]) AS c (sensor_id, from_at, to_at)"
        " JOIN sidestream_v.scan s ON s.sensor_id = c.sensor_id AND s.time >= c.from_at AND s.time < c.to_at ORDER BY 1",
        [
            [c.sensor_id for c in changed],
            [step_start(c.first, step_s) for c in changed],
            [step_start(c.stop, step_s) for c in changed],
        ],
    ).fetchall()
    return [row[0] for row in rows]


def scans_of(connection: Connection, codes: Sequence[str]) -> list[LotScan]:
    """All reads of these codes that are not bad, by code and time."""
    rows = connection.execute(
        "SELECT code, time, sensor_id FROM sidestream_v.scan WHERE code = ANY (%s) AND quality < 2 ORDER BY code, time",
        [list(codes)],
    ).fetchall()
    return [LotScan(*row) for row in rows]


def places_of_tags(connection: Connection, codes: Sequence[str]) -> dict[str, str]:
    """Node of each of these codes that is a fixed tag."""
    rows = connection.execute(
        "SELECT code, place FROM sidestream_v.tag WHERE code = ANY (%s)", [list(codes)]
    ).fetchall()
    return dict(rows)


def places_since(connection: Connection, codes: Sequence[str], since: datetime) -> set[str]:
    """Every place at which one of these codes is known to have been at or after `since`."""
    rows = connection.execute(
        "SELECT DISTINCT place FROM sidestream.lot_stay"
        " WHERE code = ANY (%s) AND place IS NOT NULL AND (left_at IS NULL OR left_at > %s)",
        [list(codes), since],
    ).fetchall()
    return {row[0] for row in rows}


def save_lots(
    connection: Connection, codes: Sequence[str], lots: Sequence[LotRow], stays: Iterable[LotStay], now_at: datetime
) -> None:
    """Of these codes the tables hold exactly these lots and stays; a code without a usable read is gone from them."""
    connection.execute("DELETE FROM sidestream.lot_stay WHERE code = ANY (%s)", [list(codes)])
    connection.execute("DELETE FROM sidestream.lot WHERE code = ANY (%s)", [list(codes)])
    with connection.cursor() as cursor:
        with cursor.copy("COPY sidestream.lot_stay (code, from_at, to_at, left_at, place, scans) FROM STDIN") as copy:
            for s in stays:
                copy.write_row((s.code, s.from_at, s.to_at, s.left_at, s.place, s.scans))
        with cursor.copy(
            "COPY sidestream.lot (code, lot_type, place, since_at, last_seen_at, scans, computed_at) FROM STDIN"
        ) as copy:
            for lot in lots:
                copy.write_row((lot.code, lot.lot_type, lot.place, lot.since_at, lot.last_seen_at, lot.scans, now_at))


def held_since(connection: Connection, nodes: Sequence[str], since: datetime) -> list[Held]:
    """What was at these nodes at or after `since`, in no order."""
    rows = connection.execute(
        "SELECT s.place, l.lot_type, s.from_at, s.left_at FROM sidestream.lot_stay s JOIN sidestream.lot l USING (code)"
        " WHERE s.place = ANY (%s) AND (s.left_at IS NULL OR s.left_at > %s)",
        [list(nodes), since],
    ).fetchall()
    return [Held(*row) for row in rows]


def scans_are_recorded(connection: Connection) -> bool:
    """Whether the newest scan of all is of a recording, so that lots' places tell nothing about now."""
    row = connection.execute(
        "SELECT freshness = 'recorded' FROM sidestream_v.latest WHERE role = 'scan' AND time IS NOT NULL"
        " ORDER BY time DESC LIMIT 1"
    ).fetchone()
    return bool(row and row[0])
