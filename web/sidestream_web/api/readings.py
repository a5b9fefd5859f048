"""Readings of sensors: the newest ones, and series as pages or as CSV."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse
from pydantic import Field

from sidestream_store.read import series as read
from sidestream_store.read.hub import HubRecord, Sensor, known_ids
from sidestream_store.read.live import Latest, latest
from sidestream_store.read.words import QUALITY_WORDS, Sd
from sidestream_web.api.hub import ThePool
from sidestream_web.csvout import Cell, download
from sidestream_web.errors import bad_parameter, unknown_id
from sidestream_web.parameters import (
    After,
    FromTime,
    Limit,
    Span,
    ToTime,
    cursor_text,
    span,
    start_of,
    the_hub,
    the_sensor,
)

router = APIRouter(tags=["readings"])
SensorId = Annotated[str, Query(description="id of a sensor, as `hub` lists them", examples=["supply_t"])]
BucketName = Annotated[
    read.Bucket, Query(description="`raw` readings, or minutes, hours, days; days are those of the hub's zone")
]
PointMark = Annotated[
    str,
    Field(description="good, uncertain, bad (the source says so, or gave no number) or out_of_range (implausible)"),
]
CSV: dict[int | str, dict[str, Any]] = {200: {"content": {"text/csv": {}}, "description": "units are in the header"}}


@dataclass(frozen=True, slots=True)
class ReadingPoint(read.Reading):
    """A raw reading with the standard deviation that the meter's declared accuracy gives it, and whether to trust it."""

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
    origin: Literal["measured"]
    synthetic: bool
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


@router.get("/series", summary="History of a sensor, page by page")
async def one_series(
    pool: ThePool,
    *,
    sensor: SensorId,
    from_at: FromTime = None,
    to_at: ToTime = None,
    bucket: BucketName = "1m",
    limit: Limit = 1000,
    after: After = None,
) -> SeriesPage:
    """Times are UTC. Values are in the sensor's own unit; nothing is filled in where nothing was measured."""
    hub, meter, within = await the_hub(pool), await the_sensor(pool, sensor), span(from_at, to_at, bucket)
    page = await read.page(pool, _question(meter, bucket), start_of(after, within), within.stop, limit)
    return SeriesPage(
        sensor=meter.id,
        name=meter.name,
        quantity=meter.quantity,
        unit=meter.unit,
        bucket=bucket,
        origin="measured",
        synthetic=hub.synthetic,
        zone="UTC",
        start=within.start,
        stop=within.stop,
        points=[_point(meter, row) for row in page.rows],
        next=cursor_text(page.after),
    )


@router.get("/series.csv", summary="History of a sensor as CSV", responses=CSV, response_class=StreamingResponse)
async def one_series_csv(
    pool: ThePool, sensor: SensorId, from_at: FromTime = None, to_at: ToTime = None, bucket: BucketName = "1m"
) -> StreamingResponse:
    """The whole span, streamed: comma, decimal point, UTC with Z; an empty cell is a value that is not known."""
    hub, meter, within = await the_hub(pool), await the_sensor(pool, sensor), span(from_at, to_at, bucket)
    header, row = _columns(hub, meter, bucket)
    pages = read.all_pages(pool, _question(meter, bucket), within.start, within.stop)
    return await download(file_name(hub, f"{meter.id}_{bucket}", within), header, pages, row)


def _question(meter: Sensor, bucket: read.Bucket) -> read.Series[Any]:
    if meter.quantity != "scan":
        return read.readings(meter.sensor_id) if bucket == "raw" else read.roll_ups(meter.sensor_id, bucket)
    if bucket != "raw":
        raise bad_parameter(
            "bucket", f"{meter.id!r} reads codes, which have no mean; bucket is {bucket!r}, allowed: raw.", ["raw"]
        )
    return read.scans(meter.sensor_id)


def _point(meter: Sensor, row: read.Reading | read.RollUp) -> Any:
    if isinstance(row, read.Reading):
        sd, mark = meter.sd(row.value), meter.mark(row.value, row.quality)
        return ReadingPoint(row.time, row.value, row.code, row.quality, row.recorded, sd, mark)
    sd = meter.sd(row.mean, row.n)
    return RollUpPoint(row.time, row.mean, row.low, row.high, row.first, row.last, row.n, row.bad, sd)


def _columns(hub: HubRecord, meter: Sensor, bucket: read.Bucket) -> tuple[list[str], Callable[[Any], list[Cell]]]:
    unit, made_up = meter.unit, hub.synthetic

    def judged(row: read.Reading) -> list[Cell]:
        return [_word(row.quality), meter.mark(row.value, row.quality), "measured", _clock(row), made_up]

    def scan(row: read.Reading) -> list[Cell]:
        return [row.time, row.code, *judged(row)]

    def reading(row: read.Reading) -> list[Cell]:
        return [row.time, row.value, meter.sd(row.value), *judged(row)]

    def roll_up(row: read.RollUp) -> list[Cell]:
        numbers = [row.mean, meter.sd(row.mean, row.n), row.low, row.high, row.first, row.last]
        return [row.time, *numbers, row.n, row.bad, "measured", made_up]

    ending = ["quality", "mark", "origin", "clock", "synthetic"]
    if meter.quantity == "scan":
        return ["time_utc", "code", *ending], scan
    if bucket == "raw":
        return ["time_utc", f"value [{unit}]", f"sd [{unit}]", *ending], reading
    names = ["mean", "sd_of_mean", "low", "high", "first", "last"]
    columns = [f"{name} [{unit}]" for name in names]
    return ["bucket_start_utc", *columns, "readings", "readings_not_used", "origin", "synthetic"], roll_up


def _word(quality: int) -> str:
    return QUALITY_WORDS[quality] if 0 <= quality < len(QUALITY_WORDS) else str(quality)


def _clock(row: read.Reading) -> str:
    return "recorded" if row.recorded else "live"


def file_name(hub: HubRecord, what: str, within: Span) -> str:
    """What a download is called: hub, series, span, and whether the figures are made up."""
    made_up = "_synthetic" if hub.synthetic else ""
    return f"{hub.id}_{what}_{within.start:%Y%m%dT%H%M%SZ}_{within.stop:%Y%m%dT%H%M%SZ}{made_up}"
