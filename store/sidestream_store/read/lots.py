"""Where tagged lots are, where they have been, and what was scanned last."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from sidestream_store.read.pool import Pool, query, read_view
from sidestream_store.read.words import Instant, Kg


@dataclass(frozen=True, slots=True)
class Lot:
    """A tagged thing and where it is; `place` is None where no place is known for its last scan."""

    code: str
    lot_type: str | None
    lot_type_name: str | None
    material: str | None
    mass_kg: Annotated[float | None, Field(description="nominal mass of its type, kg")]
    sd_kg: Kg
    place: str | None
    place_name: str | None
    place_unknown: bool
    since_at: Annotated[Instant, Field(description="since when it has been there")]
    last_seen_at: Instant
    scans: int


@dataclass(frozen=True, slots=True)
class Stay:
    """A stretch of time that a lot spent at one place, from first to last scan there."""

    place: str | None
    from_at: Instant
    to_at: Instant
    scans: int


@dataclass(frozen=True, slots=True)
class PlaceCount:
    """How many lots of one type lie at one place, and their nominal mass together."""

    place: str | None
    place_name: str | None
    lot_type: str | None
    lot_type_name: str | None
    lots: int
    mass_kg: Kg
    sd_kg: Annotated[float | None, Field(description="of the sum, each lot's own deviation independent, kg")]
    last_seen_at: Instant


@dataclass(frozen=True, slots=True)
class Scan:
    """A code as a scanner or reader gave it, with the node it is mounted at and the lot's type where it is known."""

    time: Instant
    sensor: str
    node: str | None
    node_name: str | None
    code: str
    lot_type_name: str | None
    quality: int
    recorded: bool


async def lots(pool: Pool, place: str | None = None, *, limit: int = 500, after: str = "") -> list[Lot]:
    """Lots with a code above `after`, by code, all or those at one place."""
    return await read_view(
        pool,
        Lot,
        "lot",
        "WHERE code > %(after)s AND (%(place)s::text IS NULL OR place = %(place)s) ORDER BY code LIMIT %(limit)s",
        place=place,
        limit=limit,
        after=after,
    )


async def lot(pool: Pool, code: str) -> Lot | None:
    """One lot, None when its code was never taken in."""
    rows = await read_view(pool, Lot, "lot", "WHERE code = %(code)s", code=code)
    return rows[0] if rows else None


async def stays(pool: Pool, code: str) -> list[Stay]:
    """Where a lot has been, oldest first."""
    return await read_view(pool, Stay, "lot_stay", "WHERE code = %(code)s ORDER BY from_at", code=code)


async def codes_like(pool: Pool, code: str) -> list[str]:
    """Up to 200 codes that share as long a beginning with `code` as any do, to offer the nearest one."""
    for length in sorted({max(len(code) - cut, 3) for cut in (1, 2, 4, 8, len(code))}, reverse=True):
        found = await query(
            pool,
            _Code,
            "SELECT code FROM sidestream_v.lot WHERE starts_with(code, %(beginning)s) ORDER BY code LIMIT 200",
            beginning=code[:length],
        )
        if found:
            return [row.code for row in found]
    return []


@dataclass(frozen=True, slots=True)
class _Code:
    code: str


async def places(pool: Pool) -> list[PlaceCount]:
    """How many lots lie where, by place and type."""
    return await query(
        pool,
        PlaceCount,
        """
        SELECT place, place_name, lot_type, lot_type_name, count(*) AS lots, sum(mass_kg) AS mass_kg,
               sqrt(sum(sd_kg ^ 2)) AS sd_kg, max(last_seen_at) AS last_seen_at
        FROM sidestream_v.lot GROUP BY place, place_name, lot_type, lot_type_name
        ORDER BY place NULLS LAST, lot_type NULLS LAST
        """,
    )


async def last_scans(pool: Pool, limit: int = 20) -> list[Scan]:
    """The newest scans, newest first: of the hour before the very newest one, or of its month if that gives too few."""
    rows: list[Scan] = []
    for window in ("1 hour", "30 days"):
        rows = await _scans_within(pool, window, limit)
        if len(rows) == limit:
            break
    return rows


async def _scans_within(pool: Pool, window: str, limit: int) -> list[Scan]:
    return await query(
        pool,
        Scan,
        """
        WITH newest AS (SELECT max(time) AS at FROM sidestream_v.latest WHERE quantity = 'scan')
        SELECT c.time, c.sensor, c.node, n.name AS node_name, c.code, t.name AS lot_type_name, c.quality, c.recorded
        FROM sidestream_v.scan c
        LEFT JOIN sidestream_v.node n ON n.id = c.node
        LEFT JOIN LATERAL (
            SELECT name FROM sidestream_v.lot_type WHERE starts_with(c.code, prefix) ORDER BY length(prefix) DESC LIMIT 1
        ) t ON true
        WHERE c.time > (SELECT at FROM newest) - %(window)s::interval AND c.time <= (SELECT at FROM newest)
        ORDER BY c.time DESC, c.frame_id DESC LIMIT %(limit)s
        """,
        window=window,
        limit=limit,
    )
