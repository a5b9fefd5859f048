"""Readings of sensors: the newest ones, and series as pages or as CSV."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import Field

from sidestream_store.read import series as read
from sidestream_store.read.hub import HubRecord, Sensor, known_ids
from sidestream_store.read.live import Latest, latest
from sidestream_store.read.words import QUALITY_WORDS, Sd
from sidestream_web.api.hub import ThePool
from sidestream_web.csvout import Cell, download
from sidestream_web.errors import bad_parameter, unknown_id
from sidestream_web.fileout import FILES, FormatName, link_next, parquet_download, wanted_format
from sidestream_web.parameters import (
    After,
    FromTime,
    KnownOn,
    Limit,
    Span,
    ToTime,
    cursor_text,
    resolution,
    span,
    start_of,
    the_hub,
    the_sensor,
)
from sidestream_web.units import Conversion, Unit, conversion

router = APIRouter(tags=["readings"])
SensorId = Annotated[str, Query(description="id of a sensor, as `hub` lists them", examples=["supply_t"])]
BucketName = Annotated[
    read.Bucket | None,
    Query(description="`raw` readings, or minutes, hours, days of the hub's zone; default: chosen by the span"),
]
PointMark = Annotated[
    str,
    Field(description="good, uncertain, bad (the source says so, or gave no number) or out_of_range (implausible)"),
]
CSV: dict[int | str, dict[str, Any]] = {200: {"content": {"text/csv": {}}, "description": "units are in the header"}}


@dataclass(frozen=True, slots=True)
class ReadingPoint(read.Reading):
    """A raw reading with its standard deviation, as entered or else by the meter's declared accuracy, and whether to trust it."""

    sd: Sd
    mark: PointMark


@dataclass(frozen=True, slots=True)
class RollUpPoint(read.RollUp):
    """A bucket with the standard deviation of its mean."""

    sd: Sd


@dataclass(frozen=True, slots=True)
class SeriesPage:
    """A part of a sensor's history in time order; `next` goes into `after` for what follows, null at the end."""

    sensor: str
    name: str
    quantity: str
    unit: Annotated[str, Field(description="UCUM code of every value here")]
    bucket: read.Bucket
    origin: Literal["measured", "manual"]
    synthetic: bool
    as_known_on: Annotated[datetime | None, Field(description="figures as published then; null: as known now")]
    zone: Literal["UTC"]
    start: Annotated[datetime, Field(serialization_alias="from")]
    stop: Annotated[datetime, Field(serialization_alias="to", description="not included")]
    points: list[ReadingPoint] | list[RollUpPoint]
    next: str | None


@router.get("/latest", summary="The newest reading of each sensor")
async def newest(
    pool: ThePool, sensor: Annotated[list[str] | None, Query(description="only these; may be repeated")] = None
) -> list[Latest]:
    """Value, unit, time, standard deviation, and the `mark` that says whether it may be trusted now."""
    known = await known_ids(pool, "sensor") if sensor else []
    for wanted in sensor or []:
        if wanted not in known:
            raise unknown_id("sensor", wanted, known, "sensor")
    return await latest(pool, sensor or None)


@router.get(
    "/series", summary="History of a sensor: pages of JSON, or a file", response_model=SeriesPage, responses=FILES
)
async def one_series(
    pool: ThePool,
    request: Request,
    response: Response,
    *,
    sensor: SensorId,
    from_at: FromTime = None,
    to_at: ToTime = None,
    bucket: BucketName = None,
    unit: Unit = None,
    as_known_on: KnownOn = None,
    limit: Limit = 1000,
    after: After = None,
    format_: FormatName = None,
) -> SeriesPage | StreamingResponse:
    """Times are UTC. Values are in the sensor's own unit unless `unit` says otherwise; nothing is filled in where nothing
    was measured. Without `bucket` the span decides: raw up to 1 h, minutes up to 2 d, hours up to 120 d, else days.
    """
    asked = await _asked(pool, sensor, (from_at, to_at), bucket, unit=unit, as_known_on=as_known_on)
    match wanted_format(request, format_):
        case "csv":
            return await _csv(pool, asked)
        case "parquet":
            return await _parquet(pool, asked)
    within = asked.within
    page = await read.page(pool, asked.question, start_of(after, within), within.stop, limit)
    following = cursor_text(page.after)
    link_next(request, response, following, within, bucket=asked.bucket)
    return SeriesPage(
        sensor=asked.meter.id,
        name=asked.meter.name,
        quantity=asked.meter.quantity,
        unit=asked.told.unit,
        bucket=asked.bucket,
        origin="manual" if asked.meter.manual else "measured",
        synthetic=asked.hub.synthetic,
        as_known_on=as_known_on,
        zone="UTC",
        start=within.start,
        stop=within.stop,
        points=[_point(asked, row) for row in page.rows],
        next=following,
    )


@router.get("/series.csv", summary="History of a sensor as CSV", responses=CSV, response_class=StreamingResponse)
async def one_series_csv(
    pool: ThePool,
    *,
    sensor: SensorId,
    from_at: FromTime = None,
    to_at: ToTime = None,
    bucket: BucketName = None,
    unit: Unit = None,
) -> StreamingResponse:
    """The whole span, streamed: comma, decimal point, UTC with Z; an empty cell is a value that is not known."""
    return await _csv(pool, await _asked(pool, sensor, (from_at, to_at), bucket, unit=unit))


@dataclass(frozen=True, slots=True)
class _Asked:
    """A question for one sensor's history that makes sense."""

    hub: HubRecord
    meter: Sensor
    within: Span
    bucket: read.Bucket
    told: Conversion
    question: read.Series[Any]


async def _asked(
    pool: ThePool,
    sensor: str,
    times: tuple[datetime | None, datetime | None],
    bucket: read.Bucket | None,
    *,
    unit: str | None,
    as_known_on: datetime | None = None,
) -> _Asked:
    hub, meter = await the_hub(pool), await the_sensor(pool, sensor)
    chosen = bucket or ("raw" if meter.quantity == "scan" else resolution(*times))
    within = span(*times, chosen)
    if as_known_on is not None and chosen == "raw":
        raise bad_parameter(
            "as_known_on",
            "'as_known_on' is for roll-ups: raw readings are never published as figures. Ask with bucket=1m, 1h or 1d.",
        )
    if unit is not None and meter.quantity == "scan":
        raise bad_parameter("unit", f"{meter.id!r} reads codes, which have no unit.")
    told = await conversion(meter.quantity, meter.unit, unit)
    return _Asked(hub, meter, within, chosen, told, _question(meter, chosen, as_known_on))


async def _csv(pool: ThePool, asked: _Asked) -> StreamingResponse:
    header, row = _columns(asked)
    pages = read.all_pages(pool, asked.question, asked.within.start, asked.within.stop)
    return await download(_name(asked), header, pages, row)


async def _parquet(pool: ThePool, asked: _Asked) -> StreamingResponse:
    from sidestream_store.export.tables import READINGS, SCANS, rollups

    shape: Callable[[list[Any]], dict[str, list[Any]]]
    if asked.meter.quantity == "scan":
        columns, shape = SCANS.columns, partial(_scan_arrays, asked)
    elif asked.bucket == "raw":
        columns, shape = READINGS.columns, partial(_reading_arrays, asked)
    else:
        columns, shape = rollups("1m", as_known=False).columns, partial(_rollup_arrays, asked)
    told = shape([])
    pages = read.all_pages(pool, asked.question, asked.within.start, asked.within.stop)
    question = {
        "sensor": asked.meter.id,
        "bucket": asked.bucket,
        "from": asked.within.start,
        "to": asked.within.stop,
        "as_known_on": asked.question.values.get("known"),
    }
    about = (asked.hub, asked.told.unit, question)
    return await parquet_download(_name(asked), about, [c for c in columns if c.name in told], pages, shape)


def _reading_arrays(asked: _Asked, rows: list[read.Reading]) -> dict[str, list[Any]]:
    points = [_point(asked, row) for row in rows]
    return {
        **_same(asked, len(rows)),
        "time": [p.time for p in points],
        "value": [p.value for p in points],
        "sd": [p.sd for p in points],
        "quality": [_word(p.quality) for p in points],
        "mark": [p.mark for p in points],
        "recorded": [p.recorded for p in points],
        "origin": ["manual" if asked.meter.manual else "measured"] * len(rows),
        "correction_id": [p.correction_id for p in points],
    }


def _rollup_arrays(asked: _Asked, rows: list[read.RollUp]) -> dict[str, list[Any]]:
    points = [_point(asked, row) for row in rows]
    return {
        **_same(asked, len(rows)),
        "bucket_start": [p.time for p in points],
        "sd_of_mean": [p.sd for p in points],
        **{name: [getattr(p, name) for p in points] for name in ("mean", "low", "high", "first", "last")},
        "readings": [p.n for p in points],
        "readings_not_used": [p.bad for p in points],
        "corrected": [p.corrected for p in points],
    }


def _scan_arrays(asked: _Asked, rows: list[read.Reading]) -> dict[str, list[Any]]:
    return {
        "sensor": [asked.meter.id] * len(rows),
        "time": [row.time for row in rows],
        "code": [row.code for row in rows],
        "quality": [_word(row.quality) for row in rows],
        "recorded": [row.recorded for row in rows],
    }


def _same(asked: _Asked, rows: int) -> dict[str, list[Any]]:
    return {"sensor": [asked.meter.id] * rows, "unit": [asked.told.unit] * rows}


def _name(asked: _Asked) -> str:
    return file_name(asked.hub, f"{asked.meter.id}_{asked.bucket}", asked.within)


def _question(meter: Sensor, bucket: read.Bucket, as_known_on: datetime | None) -> read.Series[Any]:
    if meter.quantity != "scan":
        if bucket == "raw":
            return read.readings(meter.sensor_id)
        return read.roll_ups(meter.sensor_id, bucket, as_known_on)
    if bucket != "raw":
        raise bad_parameter(
            "bucket", f"{meter.id!r} reads codes, which have no mean; bucket is {bucket!r}, allowed: raw.", ["raw"]
        )
    return read.scans(meter.sensor_id)


def _point(asked: _Asked, row: read.Reading | read.RollUp) -> Any:
    meter, told = asked.meter, asked.told
    if isinstance(row, read.Reading):
        sd, mark = told.spread(_sd(meter, row)), meter.mark(row.value, row.quality)
        value = told.value(row.value)
        known = (row.code, row.quality, row.recorded, row.frame_id, row.correction_id, told.spread(row.entered_sd))
        return ReadingPoint(row.time, value, *known, sd, mark)
    sd = told.spread(meter.sd(row.mean, row.n))
    mean, low, high, first, last = (told.value(v) for v in (row.mean, row.low, row.high, row.first, row.last))
    return RollUpPoint(row.time, mean, low, high, first, last, row.n, row.bad, row.corrected, sd)


def _sd(meter: Sensor, row: read.Reading) -> float | None:
    """In the meter's own unit: what the person who entered the reading gave, else by the declared accuracy."""
    return meter.sd(row.value) if row.entered_sd is None else row.entered_sd


def _columns(asked: _Asked) -> tuple[list[str], Callable[[Any], list[Cell]]]:
    meter, unit, made_up = asked.meter, asked.told.unit, asked.hub.synthetic
    origin = "manual" if meter.manual else "measured"

    def judged(row: read.Reading) -> list[Cell]:
        return [_word(row.quality), meter.mark(row.value, row.quality), origin, _clock(row), made_up]

    def scan(row: read.Reading) -> list[Cell]:
        return [row.time, row.code, *judged(row)]

    def reading(row: read.Reading) -> list[Cell]:
        return [row.time, asked.told.value(row.value), asked.told.spread(_sd(meter, row)), *judged(row)]

    def roll_up(row: read.RollUp) -> list[Cell]:
        point = _point(asked, row)
        numbers = [point.mean, point.sd, point.low, point.high, point.first, point.last]
        return [row.time, *numbers, row.n, row.bad, row.corrected, origin, made_up]

    ending = ["quality", "mark", "origin", "clock", "synthetic"]
    if meter.quantity == "scan":
        return ["time_utc", "code", *ending], scan
    if asked.bucket == "raw":
        return ["time_utc", f"value [{unit}]", f"sd [{unit}]", *ending], reading
    names = ["mean", "sd_of_mean", "low", "high", "first", "last"]
    columns = [f"{name} [{unit}]" for name in names]
    return ["bucket_start_utc", *columns, "readings", "readings_not_used", "corrected", "origin", "synthetic"], roll_up


def _word(quality: int) -> str:
    return QUALITY_WORDS[quality] if 0 <= quality < len(QUALITY_WORDS) else str(quality)


def _clock(row: read.Reading) -> str:
    return "recorded" if row.recorded else "live"


def file_name(hub: HubRecord, what: str, within: Span) -> str:
    """What a download is called: hub, series, span, and whether the figures are made up."""
    made_up = "_synthetic" if hub.synthetic else ""
    return f"{hub.id}_{what}_{within.start:%Y%m%dT%H%M%SZ}_{within.stop:%Y%m%dT%H%M%SZ}{made_up}"
