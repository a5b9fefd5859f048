"""How fast this database takes readings by COPY alone: the ceiling that ingest is measured against."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from sidestream_store.backfill import Backfill
from sidestream_store.batch import Readings
from sidestream_store.connect import open_connection, transient_errors
from sidestream_store.copy_rows import copy_readings, pack
from sidestream_store.partitions import ensure_range

ROWS = 50_000
"""Rows of one COPY, each committed by itself."""
_SENSORS = 500
_SETTINGS = ("fsync", "synchronous_commit", "full_page_writes", "shared_buffers", "max_wal_size")


@dataclass(frozen=True, slots=True)
class CopyRate:
    """Rows per second into `reading`, the faster of row store and, where there is one, column store; the settings it ran with."""

    rows_s: float
    into_columns: bool
    settings: dict[str, str]


def copy_rate(dsn: str, copies: int) -> CopyRate:
    """The rate of `copies` COPYs of ROWS rows of 500 sensors from buffers packed beforehand, each committed durably.

    The database holds these rows afterwards: give it one of its own.
    """
    start_at = datetime.now(UTC) - timedelta(days=1)
    streams = [_stream(int(start_at.timestamp()) * 1_000_000, number) for number in range(copies)]
    rates: dict[bool, float] = {}
    with open_connection(dsn, "bench", autocommit=True) as connection, transient_errors("measure COPY"):
        ensure_range(connection, start_at, datetime.now(UTC))
        settings = {name: str(connection.execute(f"SHOW {name}").fetchone()[0]) for name in _SETTINGS}  # type: ignore[index]
        for back_fill in (False, True):
            began_s, into_columns = time.perf_counter(), False
            for stream in streams:
                with connection.transaction():
                    into_columns = back_fill and Backfill().choose(connection, ROWS, _SENSORS)
                    copy_readings(connection, "reading", stream)
            rates[into_columns] = max(rates.get(into_columns, 0.0), copies * ROWS / (time.perf_counter() - began_s))
    best = max(rates, key=rates.__getitem__)
    return CopyRate(rates[best], best, settings)


def _stream(start_us: int, number: int) -> memoryview:
    """Every sensor once a second, as meters of two decimals swing."""
    seconds = ROWS // _SENSORS
    at_s = number * seconds + np.repeat(np.arange(seconds, dtype=np.int64), _SENSORS)
    sensor = np.tile(np.arange(1, _SENSORS + 1, dtype=np.int32), seconds)
    noise = np.random.default_rng(number).normal(0.0, 0.2, ROWS)
    value = np.round(40 + 8 * np.sin(at_s / 900 + sensor) + noise, 2)
    readings = Readings(start_us + at_s * 1_000_000, sensor, value, np.zeros(ROWS, np.int16))
    return pack(readings, at_s + 1)
