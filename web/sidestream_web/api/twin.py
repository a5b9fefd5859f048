"""What the twin says: states now, exchanges, stocks, agreements, and the history of each number."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import Field

from sidestream_store.read import series, states
from sidestream_store.read.hub import HubRecord, known_ids
from sidestream_store.read.pool import Pool
from sidestream_store.read.words import TWIN_UNITS, twin_unit
from sidestream_web.api.hub import ThePool
from sidestream_web.api.readings import CSV, file_name
from sidestream_web.csvout import Cell, download
from sidestream_web.errors import unknown_id
from sidestream_web.fileout import FILES, FormatName, link_next, parquet_download, wanted_format
from sidestream_web.parameters import (
    After,
    FromTime,
    KnownOn,
    Limit,
    Span,
    ToTime,
    cursor_text,
    span,
    start_of,
    the_hub,
)
from sidestream_web.units import Conversion, Unit, twin_conversion

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
    as_known_on: Annotated[datetime | None, Field(description="figures as published then; null: as known now")]
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


@router.get("/stocks/forecasts", summary="When each stock overflows or runs dry")
async def stock_forecasts(pool: ThePool) -> list[states.StockForecast]:
    """The newest forecast of each limit, with 50 and 90 % bands and its basis. Its origin is `forecast`."""
    return await states.stock_forecasts(pool)


@router.get("/agreements", summary="Delivered against agreed, in the running period")
async def agreements(pool: ThePool) -> list[states.AgreementStatus]:
    """Each agreement in its newest period, with its status and why; amounts in the agreement's unit."""
    return await states.agreements(pool)


@router.get("/totals", summary="Heat and mass that each live stream carried since the hub's midnight")
async def totals(pool: ThePool) -> list[states.DayTotal]:
    """J and kg, with standard deviation and the share of the day that is known."""
    return await states.day_totals(pool)


@router.get(
    "/twin/series",
    summary="History of one of the twin's numbers: pages of JSON, or a file",
    response_model=TwinSeriesPage,
    responses=FILES,
)
async def twin_series(
    pool: ThePool,
    request: Request,
    response: Response,
    *,
    kind: Kind,
    subject: Subject,
    quantity: QuantityName,
    from_at: FromTime = None,
    to_at: ToTime = None,
    unit: Unit = None,
    as_known_on: KnownOn = None,
    limit: Limit = 1000,
    after: After = None,
    format_: FormatName = None,
) -> TwinSeriesPage | StreamingResponse:
    """One row per step, by default of the last day; `value` is null where nothing is known. SI unless `unit` is given."""
    asked = await _asked(pool, (kind, subject, quantity), span(from_at, to_at, "1m"), unit, as_known_on)
    match wanted_format(request, format_):
        case "csv":
            return await _csv(pool, asked)
        case "parquet":
            return await _parquet(pool, asked)
    within = asked.within
    page = await series.page(pool, asked.question, start_of(after, within), within.stop, limit)
    following = cursor_text(page.after)
    link_next(request, response, following, within)
    return TwinSeriesPage(
        kind=kind,
        subject=subject,
        quantity=quantity,
        unit=asked.told.unit,
        synthetic=asked.hub.synthetic,
        as_known_on=as_known_on,
        zone="UTC",
        start=within.start,
        stop=within.stop,
        points=[asked.step(row) for row in page.rows],
        next=following,
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
    unit: Unit = None,
) -> StreamingResponse:
    """The whole span (default: the last day), streamed: comma, decimal point, UTC with Z."""
    return await _csv(pool, await _asked(pool, (kind, subject, quantity), span(from_at, to_at, "1m"), unit, None))


@dataclass(frozen=True, slots=True)
class _Asked:
    """A question for the history of one of the twin's numbers that makes sense."""

    hub: HubRecord
    about: tuple[str, str, str]
    within: Span
    told: Conversion
    question: series.Series[series.TwinValue]

    def step(self, row: series.TwinValue) -> series.TwinValue:
        """The row in the unit that is told."""
        return replace(
            row,
            value=self.told.value(row.value),
            sd=self.told.spread(row.sd),
            sd_random=self.told.spread(row.sd_random),
            sd_systematic=self.told.spread(row.sd_systematic),
        )

    @property
    def name(self) -> str:
        """What a download of it is called."""
        return file_name(self.hub, f"{self.about[1]}_{self.about[2]}", self.within)


async def _asked(
    pool: Pool, about: tuple[str, str, str], within: Span, unit: str | None, as_known_on: datetime | None
) -> _Asked:
    hub = await the_hub(pool)
    await _unit(pool, *about)
    told = await twin_conversion(about[2], unit)
    return _Asked(hub, about, within, told, series.twin_values(*about, as_known_on))


async def _csv(pool: Pool, asked: _Asked) -> StreamingResponse:
    def row(told: series.TwinValue) -> list[Cell]:
        step = asked.step(told)
        numbers = [step.value, step.sd, step.sd_random, step.sd_systematic]
        known = [step.origin, step.completeness, step.n, step.flags, step.inputs]
        return [step.time, step.step_s, *numbers, *known, asked.hub.synthetic]

    numbers = [f"{name} [{asked.told.unit}]" for name in ("value", "sd", "sd_random", "sd_systematic")]
    ending = ["origin", "completeness [1]", "readings", "flags", "inputs", "synthetic"]
    pages = series.all_pages(pool, asked.question, asked.within.start, asked.within.stop)
    return await download(asked.name, ["step_start_utc", "step [s]", *numbers, *ending], pages, row)


async def _parquet(pool: Pool, asked: _Asked) -> StreamingResponse:
    from sidestream_store.export.tables import twin as source

    def arrays(rows: list[series.TwinValue]) -> dict[str, list[Any]]:
        steps = [asked.step(row) for row in rows]
        fixed = dict(zip(("kind", "subject", "quantity", "unit"), (*asked.about, asked.told.unit), strict=True))
        numbers = ("time", "value", "sd", "sd_random", "sd_systematic", "origin", "completeness")
        return {
            **{name: [word] * len(rows) for name, word in fixed.items()},
            **{name: [getattr(step, name) for step in steps] for name in numbers},
            "step": [step.step_s for step in steps],
            "readings": [step.n for step in steps],
            "flags": [json.dumps(step.flags) for step in steps],
            "inputs": [json.dumps(step.inputs) for step in steps],
        }

    names = arrays([])
    pages = series.all_pages(pool, asked.question, asked.within.start, asked.within.stop)
    question = {**asked.question.values, "from": asked.within.start, "to": asked.within.stop}
    columns = [column for column in source(as_known=False).columns if column.name in names]
    return await parquet_download(asked.name, (asked.hub, asked.told.unit, question), columns, pages, arrays)


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
