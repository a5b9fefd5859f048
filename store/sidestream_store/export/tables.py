"""The tables that can be taken out: which rows, and which columns with which meaning. One definition for all formats."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, LiteralString

import numpy as np
import pyarrow as pa
from psycopg import sql

from sidestream_store.export.sensors import MARKS, Meters
from sidestream_store.read.words import QUALITY_WORDS, twin_unit

TIME = pa.timestamp("us", "UTC")
WORD = pa.dictionary(pa.int32(), pa.string())
_ORIGIN = "measured; manual where a person entered it"


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a file; `unit` is a UCUM code, or `see column unit` where rows differ."""

    name: str
    type: pa.DataType
    about: str
    unit: str = ""

    def field(self, unit: str | None) -> pa.Field:
        """As Parquet tells it; a single unit of the whole file stands in place of the pointer to the column."""
        told = unit if unit and self.unit == _SEE else self.unit
        metadata = {"about": self.about, **({"unit": told} if told else {})}
        return pa.field(self.name, self.type, metadata=metadata)


@dataclass(frozen=True, slots=True)
class Source:
    """Which rows: `select` has {start}, {stop} and, where `by_sensor`, {sensors}; `raw` are the columns it gives."""

    name: str
    select: LiteralString
    raw: Mapping[str, pa.DataType]
    columns: tuple[Column, ...]
    shape: Callable[[Mapping[str, pa.Array], Meters], Sequence[pa.Array]]
    window: timedelta
    """Rows are in order of time within such a window, the windows in order of time."""
    by_sensor: bool = True
    table: LiteralString = ""
    """What {table} in `select` stands for; may have {known}."""


_SEE = "see column unit"
_READING_COLUMNS = (
    Column("time", TIME, "of the measurement itself, UTC"),
    Column("sensor", WORD, "id of the sensor"),
    Column("value", pa.float64(), "as corrected; null: the source gave no number, or it was voided", _SEE),
    Column("sd", pa.float64(), "standard deviation as entered, else by the declared accuracy; null: neither", _SEE),
    Column("unit", WORD, "UCUM code of value and sd"),
    Column("quality", WORD, "what the source said: good, uncertain or bad"),
    Column("mark", WORD, "whether to trust it: good, uncertain, bad or out_of_range"),
    Column("recorded", pa.bool_(), "true: replayed from a file"),
    Column("origin", WORD, _ORIGIN),
    Column("correction_id", pa.int64(), "the correction that made it what it is; null: as it came"),
)
_READING_RAW = {
    "time": TIME,
    "sensor_id": pa.int64(),
    "value": pa.float64(),
    "quality": pa.int64(),
    "recorded": pa.bool_(),
    "manual": pa.bool_(),
    "correction_id": pa.int64(),
    "entered_sd": pa.float64(),
}


def _readings(raw: Mapping[str, pa.Array], meters: Meters) -> list[pa.Array]:
    place, values = meters.place(_numpy(raw["sensor_id"])), _numpy(raw["value"])
    quality = _numpy(raw["quality"])
    return [
        raw["time"],
        _chosen(place, meters.names),
        _number(meters.converted(place, values)) if raw["value"].null_count or meters.si else raw["value"],
        _number(meters.sd(place, values, own=_numpy(raw["entered_sd"]))),
        _chosen(place, meters.units),
        _chosen(quality, QUALITY_WORDS),
        _chosen(meters.marks(place, values, quality), MARKS),
        raw["recorded"],
        _chosen(_numpy(raw["manual"]).astype(np.int64), ("measured", "manual")),
        raw["correction_id"],
    ]


_ROLLUP_COLUMNS = (
    Column("bucket_start", TIME, "start of the minute, hour or day (the hub's days), UTC"),
    Column("sensor", WORD, "id of the sensor"),
    Column("mean", pa.float64(), "of the readings that count", _SEE),
    Column("sd_of_mean", pa.float64(), "its standard deviation by the declared accuracy", _SEE),
    Column("low", pa.float64(), "smallest reading", _SEE),
    Column("high", pa.float64(), "largest reading", _SEE),
    Column("first", pa.float64(), "first reading", _SEE),
    Column("last", pa.float64(), "last reading", _SEE),
    Column("unit", WORD, "UCUM code of all of them"),
    Column("readings", pa.int64(), "how many count", "1"),
    Column("readings_not_used", pa.int64(), "without a value, bad, or out of the sensor's range", "1"),
    Column("corrected", pa.bool_(), "true: it rests on readings that somebody corrected"),
    Column("revision", pa.int64(), "1: never changed after it was published"),
    Column("known_at", TIME, "since when the figure is what it is"),
)
_ROLLUP_RAW = {
    "bucket": TIME,
    "sensor_id": pa.int64(),
    **dict.fromkeys(("mean", "low", "high", "first", "last"), pa.float64()),
    **dict.fromkeys(("n", "bad"), pa.int64()),
    "corrected": pa.bool_(),
    "revision": pa.int64(),
    "known_at": TIME,
}


def _rollups(raw: Mapping[str, pa.Array], meters: Meters) -> list[pa.Array]:
    place = meters.place(_numpy(raw["sensor_id"]))

    def told(name: str) -> pa.Array:
        return _number(meters.converted(place, _numpy(raw[name])))

    spread = _number(meters.sd(place, _numpy(raw["mean"]), _numpy(raw["n"])))
    numbers = [told("mean"), spread, *(told(name) for name in ("low", "high", "first", "last"))]
    rest = [raw[name] for name in ("n", "bad", "corrected", "revision", "known_at")]
    return [raw["bucket"], _chosen(place, meters.names), *numbers, _chosen(place, meters.units), *rest]


_TWIN_COLUMNS = (
    Column("time", TIME, "start of the step, UTC; a stock's value is that at the step's end"),
    Column("kind", WORD, "stream or node"),
    Column("subject", WORD, "id of the stream or node"),
    Column("quantity", WORD, "heat_flow, mass_flow, power, stock_mass, …"),
    Column("value", pa.float64(), "SI; null: not known", _SEE),
    Column("sd", pa.float64(), "standard deviation", _SEE),
    Column("sd_random", pa.float64(), "the part of it that averages out", _SEE),
    Column("sd_systematic", pa.float64(), "the part of it that does not", _SEE),
    Column("unit", WORD, "UCUM code of all of them"),
    Column("step", pa.int32(), "length of the step", "s"),
    Column("origin", WORD, "measured, reconciled, estimated, forecast, agreed or manual"),
    Column("completeness", pa.float64(), "share of the step for which the inputs are known", "1"),
    Column("readings", pa.int64(), "how many went into it", "1"),
    Column("flags", pa.string(), "machine-readable remarks, JSON"),
    Column("inputs", pa.string(), "ids of the sensors and version of the hub file, JSON"),
    Column("revision", pa.int64(), "1: never changed after it was published"),
    Column("known_at", TIME, "since when the figure is what it is"),
)
_TWIN_RAW = {
    "time": TIME,
    **dict.fromkeys(("subject_kind", "subject", "quantity"), pa.string()),
    **dict.fromkeys(("value", "sd", "sd_random", "sd_systematic"), pa.float64()),
    "step_s": pa.int32(),
    "origin": pa.string(),
    "completeness": pa.float64(),
    "n": pa.int64(),
    "flags": pa.string(),
    "inputs": pa.string(),
    "revision": pa.int64(),
    "known_at": TIME,
}


def _twin(raw: Mapping[str, pa.Array], _meters: Meters) -> list[pa.Array]:
    units = [twin_unit(quantity) for quantity in raw["quantity"].to_pylist()]
    words = [raw[name].dictionary_encode() for name in ("subject_kind", "subject", "quantity")]
    numbers = [raw[name] for name in ("value", "sd", "sd_random", "sd_systematic")]
    known = [raw["step_s"], raw["origin"].dictionary_encode(), *(raw[name] for name in ("completeness", "n"))]
    rest = [raw[name] for name in ("flags", "inputs", "revision", "known_at")]
    return [raw["time"], *words, *numbers, pa.array(units, pa.string()).dictionary_encode(), *known, *rest]


_SCAN_COLUMNS = (
    Column("time", TIME, "of the read itself, UTC"),
    Column("sensor", WORD, "id of the scanner or reader"),
    Column("node", WORD, "where it is mounted"),
    Column("code", pa.string(), "what was read"),
    Column("rssi", pa.float32(), "signal strength of an RFID read", "dB[mW]"),
    Column("quality", WORD, "what the source said: good, uncertain or bad (also: voided)"),
    Column("recorded", pa.bool_(), "true: replayed from a file"),
)
_SCAN_RAW = {
    "time": TIME,
    "sensor": pa.string(),
    "node": pa.string(),
    "code": pa.string(),
    "rssi": pa.float32(),
    "quality": pa.int64(),
    "recorded": pa.bool_(),
}


def _scans(raw: Mapping[str, pa.Array], _meters: Meters) -> list[pa.Array]:
    words = [raw[name].dictionary_encode() for name in ("sensor", "node")]
    quality = _chosen(_numpy(raw["quality"]), QUALITY_WORDS)
    return [raw["time"], *words, raw["code"], raw["rssi"], quality, raw["recorded"]]


def _numpy(array: pa.Array) -> Any:
    """As numpy; a null number is NaN."""
    return array.to_numpy(zero_copy_only=False)


def _number(values: Any) -> pa.Array:
    """As Arrow; NaN is null."""
    return pa.array(values, pa.float64(), from_pandas=True)


def _chosen(places: Any, words: Sequence[str]) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(places, pa.int32()), pa.array(list(words), pa.string()))


READINGS = Source(
    "readings",
    "SELECT r.time, r.sensor_id, r.value, r.quality, r.recorded, r.entered_by IS NOT NULL, r.correction_id, r.entered_sd"
    " FROM sidestream_v.reading r WHERE r.time >= {start} AND r.time < {stop} AND r.sensor_id = ANY ({sensors})"
    " ORDER BY r.sensor_id, r.time, r.frame_id, r.value",
    _READING_RAW,
    _READING_COLUMNS,
    _readings,
    timedelta(days=1),
)
SCANS = Source(
    "scans",
    "SELECT time, sensor, node, code, rssi, quality, recorded FROM sidestream_v.scan"
    " WHERE time >= {start} AND time < {stop} AND sensor_id = ANY ({sensors}) ORDER BY time, frame_id, sensor, code",
    _SCAN_RAW,
    _SCAN_COLUMNS,
    _scans,
    timedelta(days=30),
)


def rollups(bucket: LiteralString, *, as_known: bool) -> Source:
    """Minutes, hours or days; with `as_known` as they stood at {known}."""
    table: LiteralString = f"rollup_{bucket}_as_known({{known}})" if as_known else f"rollup_{bucket}"
    select = (
        "SELECT bucket, sensor_id, mean, low, high, first, last, n, bad, corrected, revision, known_at"
        " FROM sidestream_v.{table} WHERE bucket >= {start} AND bucket < {stop} AND sensor_id = ANY ({sensors})"
        " ORDER BY sensor_id, bucket"
    )
    days = {"1m": 7, "1h": 180}.get(bucket, 3650)
    return Source("rollups", select, _ROLLUP_RAW, _ROLLUP_COLUMNS, _rollups, timedelta(days=days), table=table)


def twin(*, as_known: bool) -> Source:
    """Figures of streams and nodes; with `as_known` as they stood at {known}."""
    table = "twin_value_as_known({known})" if as_known else "twin_value"
    select = (
        "SELECT time, subject_kind, subject, quantity, value, sd, sd_random, sd_systematic, step_s, origin, completeness, n,"
        " flags, inputs, revision, known_at FROM sidestream_v.{table} WHERE time >= {start} AND time < {stop}"
        " AND ({subjects}::text[] IS NULL OR subject = ANY ({subjects}::text[])) ORDER BY subject_kind, subject, quantity, time"
    )
    return Source("twin", select, _TWIN_RAW, _TWIN_COLUMNS, _twin, timedelta(days=1), by_sensor=False, table=table)


def statement(source: Source, values: Mapping[str, Any]) -> sql.Composed:
    """The query with its values in place: COPY takes no parameters."""
    literals = {name: sql.Literal(value) for name, value in values.items()}
    return sql.SQL(source.select).format(table=sql.SQL(source.table).format(**literals), **literals)
