"""Fills a database with weeks of a hub's history, ending now, and tells how far it is."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from sidestream_app.bench.query_hub import GROUP, bench_hub
from sidestream_app.bench.query_signals import DAY_MIN, Signals
from sidestream_contracts.errors import ConfigurationError
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


@dataclass(frozen=True, slots=True)
class Filled:
    """What a filled database holds: readings, the minute before which they end, bytes of each by part."""

    rows: int
    until: datetime
    bytes_per_reading: dict[str, float]


def find_filled(dsn: str, groups: int, days: int) -> Filled | None:
    """What `fill` left in a database that was kept, at today's schema; None where it is empty.

    ConfigurationError where it holds something else, or was left half filled.
    """
    with open_connection(dsn, "bench", autocommit=True) as connection:
        if not made_up.is_used(connection):
            return None
        until = made_up.filled_until(connection)
        rows = days * DAY_MIN * groups * GROUP
        if until is None or made_up.count_readings(connection) != rows:
            raise ConfigurationError(
                f"The database kept for the bench doesn't hold {rows:,} readings (another scale, or filling was interrupted); "
                "name another folder, or delete the folder and the database."
            )
    migrate(dsn)
    with open_connection(dsn, "bench", autocommit=True) as connection:
        return Filled(rows, until, per_reading(sizes(connection), rows))


def fill(dsn: str, groups: int, days: int, say: Say) -> Filled:
    """The empty database holds `days` of `groups` × 25 sensors until now."""
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
            made_up.copy_readings(connection, columns, groups * GROUP)
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
        return Filled(rows, to_at, per_reading(sizes(connection), rows))


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
