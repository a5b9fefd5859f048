"""What the twin says: states now, exchanges, stocks, agreements, and the history of each number."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse
from pydantic import Field

from sidestream_store.read import series, states
from sidestream_store.read.hub import known_ids
from sidestream_store.read.pool import Pool
from sidestream_store.read.words import TWIN_UNITS, twin_unit
from sidestream_web.api.hub import ThePool
from sidestream_web.api.readings import CSV, file_name
from sidestream_web.csvout import Cell, download
from sidestream_web.errors import unknown_id
from sidestream_web.parameters import After, FromTime, Limit, ToTime, cursor_text, span, start_of, the_hub

router = APIRouter(tags=["twin"])
Kind = Annotated[Literal["stream", "node"], Query(description="whether `subject` is a stream or a node")]
Subject = Annotated[str, Query(description="id of the stream or node", examples=["heat_fish"])]
QuantityName = Annotated[
    str,
    Query(
        description="heat_flow or power in W, mass_flow in kg/s, stock_mass or lots_mass in kg, lots_count; with `register_` "
        "before it what the meter's register says, with `_receiver` after it the receiver's meter",
        examples=["heat_flow"],
    ),
]


@dataclass(frozen=True, slots=True)
class TwinSeriesPage:
    """A part of the history of one of the twin's numbers; `next` goes into `after`, null at the end."""

    kind: str
    subject: str
    quantity: str
    unit: Annotated[str, Field(description="UCUM code of values and standard deviations")]
    synthetic: bool
    zone: Literal["UTC"]
    start: Annotated[datetime, Field(serialization_alias="from")]
    stop: Annotated[datetime, Field(serialization_alias="to", description="not included")]
    points: list[series.TwinValue]
    next: str | None


@router.get("/twin", summary="Everything the twin knows now: heat flows, mass flows, stocks")
async def twin(
    pool: ThePool,
    kind: Annotated[Literal["stream", "node"] | None, Query(description="only streams or only nodes")] = None,
    subject: Annotated[str | None, Query(description="only this stream or node")] = None,
) -> list[states.TwinState]:
    """SI units. Each with its standard deviations, origin, completeness, whether it is stale, and its inputs."""
    if subject is not None:
        await _check_subject(pool, kind, subject)
    return await states.twin_states(pool, kind, subject)


@router.get("/exchanges", summary="Every stream with its stage and, if live, its flow now")
async def exchanges(pool: ThePool) -> list[states.Exchange]:
    """One row per stream and flow. A stream that is not live has no flow, whatever a meter says."""
    return await states.exchanges(pool)


@router.get("/stocks", summary="What lies in each stock and store")
async def stocks(pool: ThePool) -> list[states.Stock]:
    """Mass with its standard deviation, and the limits between which it should stay; kg."""
    return await states.stocks(pool)


@router.get("/agreements", summary="Delivered against agreed, in the running period")
async def agreements(pool: ThePool) -> list[states.AgreementStatus]:
    """Each agreement in its newest period, with its status and why; amounts in the agreement's unit."""
    return await states.agreements(pool)


@router.get("/totals", summary="Heat and mass that each live stream carried since the hub's midnight")
async def totals(pool: ThePool) -> list[states.DayTotal]:
    """J and kg, with standard deviation and the share of the day that is known."""
    return await states.day_totals(pool)


@router.get("/twin/series", summary="History of one of the twin's numbers, page by page")
async def twin_series(
    pool: ThePool,
    *,
    kind: Kind,
    subject: Subject,
    quantity: QuantityName,
    from_at: FromTime = None,
    to_at: ToTime = None,
    limit: Limit = 1000,
    after: After = None,
) -> TwinSeriesPage:
    """One row per step, by default of the last day; `value` is null where nothing is known."""
    hub, within = await the_hub(pool), span(from_at, to_at, "1m")
    unit = await _unit(pool, kind, subject, quantity)
    question = series.twin_values(kind, subject, quantity)
    page = await series.page(pool, question, start_of(after, within), within.stop, limit)
    return TwinSeriesPage(
        kind=kind,
        subject=subject,
        quantity=quantity,
        unit=unit,
        synthetic=hub.synthetic,
        zone="UTC",
        start=within.start,
        stop=within.stop,
        points=page.rows,
        next=cursor_text(page.after),
    )


@router.get(
    "/twin.csv", summary="History of one of the twin's numbers as CSV", responses=CSV, response_class=StreamingResponse
)
async def twin_csv(
    pool: ThePool,
    *,
    kind: Kind,
    subject: Subject,
    quantity: QuantityName,
    from_at: FromTime = None,
    to_at: ToTime = None,
) -> StreamingResponse:
    """The whole span (default: the last day), streamed: comma, decimal point, UTC with Z."""
    hub, within = await the_hub(pool), span(from_at, to_at, "1m")
    unit = await _unit(pool, kind, subject, quantity)

    def row(step: series.TwinValue) -> list[Cell]:
        numbers = [step.value, step.sd, step.sd_random, step.sd_systematic]
        known = [step.origin, step.completeness, step.n, step.flags, step.inputs]
        return [step.time, step.step_s, *numbers, *known, hub.synthetic]

    numbers = [f"{name} [{unit}]" for name in ("value", "sd", "sd_random", "sd_systematic")]
    ending = ["origin", "completeness [1]", "readings", "flags", "inputs", "synthetic"]
    pages = series.all_pages(pool, series.twin_values(kind, subject, quantity), within.start, within.stop)
    name = file_name(hub, f"{subject}_{quantity}", within)
    return await download(name, ["step_start_utc", "step [s]", *numbers, *ending], pages, row)


async def _check_subject(pool: Pool, kind: str | None, subject: str) -> None:
    known: list[str] = []
    if kind != "node":
        known += await known_ids(pool, "stream")
    if kind != "stream":
        known += await known_ids(pool, "node")
    if subject not in known:
        raise unknown_id(kind or "stream or node", subject, known, "subject")


async def _unit(pool: Pool, kind: str, subject: str, quantity: str) -> str:
    await _check_subject(pool, kind, subject)
    unit = twin_unit(quantity)
    if unit is None:
        known = {row.quantity for row in await states.twin_states(pool, kind, subject)} | TWIN_UNITS.keys()
        raise unknown_id("quantity", quantity, known, "quantity")
    return unit
