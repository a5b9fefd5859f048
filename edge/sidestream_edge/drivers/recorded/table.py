"""Rows of a recorded CSV become readings and scans. Pure.

A number that can't be read is not lost: it is sent as `null` with quality bad, and the fault names file, line, column and
value. A row whose time can't be read has no place in time and a code that is empty or too long is no code: both are
counted and named. An empty cell is no measurement.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation

from sidestream_contracts.edge import RecordedDriver
from sidestream_contracts.errors import ConfigurationError
from sidestream_contracts.frame import Quality
from sidestream_contracts.ids import nearest
from sidestream_edge.drivers.base import MAX_CODE
from sidestream_edge.measurement import Reading, Scan

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(slots=True)
class Rows:
    """What a number of rows hold."""

    readings: list[Reading] = field(default_factory=list)
    scans: list[Scan] = field(default_factory=list)
    faults: list[tuple[str, str]] = field(default_factory=list)


class Table:
    """The column map applied to one header; ConfigurationError names a column that the file does not have."""

    def __init__(self, config: RecordedDriver, header: Sequence[str]) -> None:
        self._file = config.file
        self._width = len(header)
        place = {name.strip(): n for n, name in enumerate(header)}

        def column(name: str) -> int:
            if name in place:
                return place[name]
            hint = nearest(name, place)
            raise ConfigurationError(
                f"{config.file} has no column {name!r}{f' (did you mean {hint!r}?)' if hint else ''}. It has:"
                f" {', '.join(place)}. Change driver {config.id} in edge.yaml, or its delimiter ({config.delimiter!r})."
            )

        self._time_name = config.time_column
        self._time = column(config.time_column)
        self._to_us = TIME_FORMATS[config.time_format]
        self._sensors = [(c.id, c.column, column(c.column)) for c in config.sensors]
        self._scans = (config.scans.id, column(config.scans.column)) if config.scans else None
        self._rssi = column(config.scans.rssi_column) if config.scans and config.scans.rssi_column else None

    def read(self, row: Sequence[str], line: int, rows: Rows) -> None:
        """Adds what `row` (line number `line` of the file) holds to `rows`."""
        if len(row) != self._width:
            if row:
                rows.faults.append(
                    (
                        "bad_rows",
                        f"{self._file}:{line}: {len(row)} cells where the header has {self._width}; row left out",
                    )
                )
            return
        try:
            t = self._to_us(row[self._time].strip())
        except (ValueError, InvalidOperation, OverflowError):
            what = f"column {self._time_name}: {row[self._time]!r} is no time"
            rows.faults.append(("bad_rows", f"{self._file}:{line}: {what}; row left out"))
            return
        for sensor, name, n in self._sensors:
            if row[n].strip():
                self._number(row[n], sensor, t, f"{self._file}:{line}: column {name}", rows)
        if self._scans is not None:
            self._code(row, t, line, rows)

    def _number(self, cell: str, sensor: str, t: int, where: str, rows: Rows) -> None:
        value = _finite(cell)
        if value is None:
            rows.readings.append(Reading(sensor, t, None, Quality.BAD))
            rows.faults.append(("bad_cells", f"{where}: {cell!r} is no number; sent as missing with quality bad"))
        else:
            rows.readings.append(Reading(sensor, t, value))

    def _code(self, row: Sequence[str], t: int, line: int, rows: Rows) -> None:
        sensor, n = self._scans or ("", 0)
        code = row[n].strip()
        if not 0 < len(code) <= MAX_CODE or "\x00" in code or not _is_text(code):
            rows.faults.append(
                (
                    "bad_cells",
                    f"{self._file}:{line}: {row[n][:40]!r} is no code of 1 to {MAX_CODE} characters; left out",
                )
            )
            return
        rows.scans.append(Scan(sensor, t, code, _finite(row[self._rssi]) if self._rssi is not None else None))


def _finite(cell: str) -> float | None:
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _is_text(code: str) -> bool:
    try:
        code.encode()
    except UnicodeEncodeError:
        return False
    return True


def _iso8601(cell: str) -> int:
    at = datetime.fromisoformat(cell)
    return ((at if at.tzinfo else at.replace(tzinfo=UTC)) - _EPOCH) // _MICROSECOND


def _epoch(per_unit: int) -> Callable[[str], int]:
    return lambda cell: round(Decimal(cell) * per_unit)


TIME_FORMATS: dict[str, Callable[[str], int]] = {
    "iso8601": _iso8601,
    "epoch_ms": _epoch(1000),
    "epoch_s": _epoch(1_000_000),
}
"""Text to µs UTC, exactly; ISO 8601 without an offset is taken as UTC."""
