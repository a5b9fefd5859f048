"""Where tagged lots are, where one has been, and what was scanned last."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Path, Query

from sidestream_store.read import lots as read
from sidestream_store.read.hub import known_ids
from sidestream_web.api.hub import ThePool
from sidestream_web.errors import unknown_id
from sidestream_web.parameters import Limit

router = APIRouter(tags=["lots"])


@dataclass(frozen=True, slots=True)
class LotTrace:
    """A lot, where it is now, and every place it stayed at, oldest first."""

    lot: read.Lot
    stays: list[read.Stay]


@router.get("/lots", summary="Lots and where they are")
async def all_lots(
    pool: ThePool,
    place: Annotated[str | None, Query(description="only those at this node")] = None,
    limit: Limit = 500,
    after: Annotated[str, Query(description="only codes above this one: the last code of the page before")] = "",
) -> list[read.Lot]:
    """By code. A lot whose last scan belongs to no known place has `place` null and `place_unknown` true."""
    if place is not None and place not in (known := await known_ids(pool, "node")):
        raise unknown_id("place", place, known, "place")
    return await read.lots(pool, place, limit=limit, after=after)


@router.get("/places", summary="How many lots lie where")
async def lots_per_place(pool: ThePool) -> list[read.PlaceCount]:
    """By place and type, with their nominal mass in kg."""
    return await read.places(pool)


@router.get("/lots/{code:path}", summary="One lot and where it has been")
async def one_lot(pool: ThePool, code: Annotated[str, Path(description="the lot's code, as scanned")]) -> LotTrace:
    """404 with a sentence for a code that was never scanned."""
    found = await read.lot(pool, code)
    if found is None:
        raise unknown_id("lot", code, await read.codes_like(pool, code), "code")
    return LotTrace(found, await read.stays(pool, code))


@router.get("/scans/last", summary="The newest scans")
async def scans(
    pool: ThePool, limit: Annotated[int, Query(ge=1, le=500, description="most scans in the answer")] = 20
) -> list[read.Scan]:
    """Newest first."""
    return await read.last_scans(pool, limit)
