"""Fills a database with weeks of a hub's history, ending now, and tells how far it is."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from sidestream_app.bench.query_hub import bench_hub
from sidestream_app.bench.query_signals import DAY_MIN, Signals
from sidestream_contracts.hub import HubFile
from sidestream_store import made_up
from sidestream_store.connect import open_connection
from sidestream_store.hub_apply import apply_hub
from sidestream_store.made_up import Columns
from sidestream_store.maintenance import compact
from sidestream_store.migrate import migrate
from sidestream_store.sizes import per_reading, sizes

Say = Callable[[str], None]
_MINUTE_US = 60_000_000


def fill(dsn: str, groups: int, days: int, say: Say) -> tuple[int, dict[str, float]]:
    """The empty database holds `days` of `groups` × 25 sensors until now; how many readings, and bytes of each by part."""
    migrate(dsn)
    hub = bench_hub(groups)
    with tempfile.TemporaryDirectory() as base:
        apply_hub(dsn, hub, Path(base))
    to_at = datetime.now(UTC).replace(second=0, microsecond=0)
    from_at = to_at - timedelta(days=days)
    began = time.monotonic()

    def tell(what: str) -> None:
        say(f"{time.monotonic() - began:5.0f} s  {what}")

    with open_connection(dsn, "bench", autocommit=True) as connection:
        rows = 0
        numbers = made_up.prepare(connection, from_at, to_at)
        for number, columns in enumerate(_days(hub, numbers, from_at, days)):
            made_up.copy_readings(connection, columns, groups * 25)
            rows += len(columns.time_us)
            day_at = from_at + timedelta(days=number)
            made_up.fill_minutes(connection, day_at, day_at + timedelta(days=1))
            if number % 5 == 4:
                tell(f"{rows:,} readings with their minute roll-ups")
        made_up.fill_coarser(connection, from_at, to_at)
        made_up.fill_twin(connection, from_at, to_at)
        tell("twin values")
        made_up.fill_rest(connection, from_at, to_at)
        compact(connection, to_at + timedelta(days=2))
        tell("maintenance done")
        return rows, per_reading(sizes(connection), rows)


def _days(hub: HubFile, numbers: made_up.Numbers, from_at: datetime, days: int) -> made_up.Days:
    measuring = [sensor for sensor in hub.sensors if sensor.quantity != "scan"]
    signals = Signals(measuring)
    sensor = np.array([numbers[s.id][0] for s in measuring], np.int32)
    device = np.array([numbers[s.id][1] for s in measuring], np.int64)
    start_us = int(from_at.timestamp()) * 1_000_000
    for number in range(days):
        minute = number * DAY_MIN + np.arange(DAY_MIN, dtype=np.int64)
        count = len(measuring)
        bad = np.random.default_rng(number).random(DAY_MIN * count) < 1e-3
        yield Columns(
            np.repeat(start_us + minute * _MINUTE_US, count),
            np.tile(sensor, DAY_MIN),
            signals.day(number).T.ravel(),
            bad.astype(np.int16) * 2,
            np.repeat(minute * 100, count) + np.tile(device, DAY_MIN),
        )
