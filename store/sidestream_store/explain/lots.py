"""Where lots were, for one node at one moment or for one lot over time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import class_row

from sidestream_store.connect import Connection
from sidestream_store.twin.lots import LotRow, LotStay


@dataclass(frozen=True, slots=True)
class HeldLot:
    """A lot at a node since `from_at`; `lot_type` None where its code belongs to none."""

    code: str
    lot_type: str | None
    from_at: datetime


def held_at(connection: Connection, node: str, at: datetime) -> list[HeldLot]:
    """The lots that lay at the node at this moment: come at or before it, and gone after it."""
    with connection.cursor(row_factory=class_row(HeldLot)) as cursor:
        return cursor.execute(
            "SELECT s.code, l.lot_type, s.from_at FROM sidestream_v.lot_stay s JOIN sidestream_v.lot l USING (code)"
            " WHERE s.place = %s AND s.from_at <= %s AND (s.left_at IS NULL OR s.left_at > %s) ORDER BY s.from_at, s.code",
            [node, at, at],
        ).fetchall()


def lot(connection: Connection, code: str) -> LotRow | None:
    """Where the lot is; None for a code that was never read."""
    with connection.cursor(row_factory=class_row(LotRow)) as cursor:
        return cursor.execute(
            "SELECT code, lot_type, place, since_at, last_seen_at, scans FROM sidestream_v.lot WHERE code = %s", [code]
        ).fetchone()


def stays(connection: Connection, code: str) -> list[LotStay]:
    """Where the lot has been, oldest first."""
    with connection.cursor(row_factory=class_row(LotStay)) as cursor:
        return cursor.execute(
            "SELECT code, from_at, to_at, left_at, place, scans FROM sidestream_v.lot_stay WHERE code = %s ORDER BY from_at",
            [code],
        ).fetchall()


def codes_like(connection: Connection, code: str) -> list[str]:
    """Up to 200 codes that begin as this one does, to offer the nearest."""
    for length in (len(code) - 1, len(code) - 2, len(code) - 4, 3):
        if length >= 3:
            rows = connection.execute(
                "SELECT code FROM sidestream_v.lot WHERE starts_with(code, %s) ORDER BY code LIMIT 200", [code[:length]]
            ).fetchall()
            if rows:
                return [row[0] for row in rows]
    return []
