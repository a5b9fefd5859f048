"""Where tagged lots are, where one has been, and what was scanned last."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import Field

from sidestream_store.read import lots as read
from sidestream_store.read.hub import known_ids
from sidestream_store.read.series import AnyScan, all_scans
from sidestream_store.read.series import page as read_page
from sidestream_web.api.hub import ThePool
from sidestream_web.errors import unknown_id
from sidestream_web.fileout import link_next
from sidestream_web.parameters import After, FromTime, Limit, ToTime, cursor_text, span, start_of, the_hub

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


@dataclass(frozen=True, slots=True)
class ScansPage:
    """Scans in time order; `next` goes into `after` for what follows, null at the end."""

    synthetic: bool
    zone: Literal["UTC"]
    start: Annotated[datetime, Field(serialization_alias="from")]
    stop: Annotated[datetime, Field(serialization_alias="to", description="not included")]
    scans: list[AnyScan]
    next: str | None


@router.get("/scans", summary="Every code that was read, page by page")
async def every_scan(
    pool: ThePool,
    request: Request,
    response: Response,
    *,
    sensor: Annotated[str | None, Query(description="only by this scanner or reader")] = None,
    node: Annotated[str | None, Query(description="only at this node")] = None,
    code: Annotated[str | None, Query(description="only this code, exactly as read")] = None,
    from_at: FromTime = None,
    to_at: ToTime = None,
    limit: Limit = 1000,
    after: After = None,
) -> ScansPage:
    """Oldest first, by default of the last hour."""
    hub, within = await the_hub(pool), span(from_at, to_at, "raw")
    asked: tuple[tuple[Literal["sensor", "node"], str | None], ...] = (("sensor", sensor), ("node", node))
    for what, given in asked:
        if given is not None and given not in (known := await known_ids(pool, what)):
            raise unknown_id(what, given, known, what)
    page = await read_page(pool, all_scans(sensor, node, code), start_of(after, within), within.stop, limit)
    following = cursor_text(page.after)
    link_next(request, response, following, within)
    return ScansPage(hub.synthetic, "UTC", within.start, within.stop, page.rows, following)
