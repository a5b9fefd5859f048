"""How long one update of a hub with 500 streams takes, and how much faster than time itself a month is computed.

Both on an embedded PostgreSQL with fsync on, through the product's own update, balances included.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from sidestream_app.bench.twin.live_hub import live_hub, readings
from sidestream_app.embedded.postgres import EmbeddedPostgres
from sidestream_contracts.hub import HubFile
from sidestream_store import made_up
from sidestream_store.connect import open_connection
from sidestream_store.hub_apply import apply_hub
from sidestream_store.made_up import Columns, Numbers, copy_readings, prepare
from sidestream_store.migrate import create_database, migrate, on_database
from sidestream_twin.core.arrays import FloatArray
from sidestream_twin.update import update, update_until_clean

Say = Callable[[str], None]
_BUSBARS = 20
_REPLAY_BUSBARS = 1
_REPLAY_DAYS = {True: 2, False: 30}
_UPDATES = {True: 16, False: 31}
_HISTORY_MIN = 60
_NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
_SEED = 7


def update_part(*, quick: bool, say: Say) -> dict[str, Any]:
    """`update_500_s`: the slowest of a quarter of an hour's updates and more; `replay_speedup`; each with how it was measured."""
    with tempfile.TemporaryDirectory(prefix="sidestream-bench-") as folder:
        server = EmbeddedPostgres(Path(folder))
        server.start()
        try:
            return _updates(server, quick, say) | _replay(server, quick, say)
        finally:
            server.stop()


def _updates(server: EmbeddedPostgres, quick: bool, say: Say) -> dict[str, Any]:
    hub, count = live_hub(_BUSBARS), _UPDATES[quick]
    say(f"{count} updates of a hub with {len(hub.streams)} streams, a reading of each in between")
    values = readings(hub, _HISTORY_MIN + count, _SEED)
    dsn, numbers = _database(server, "updates", hub, _NOON + timedelta(hours=3))
    with open_connection(dsn, "bench", autocommit=True) as connection:
        _bring(dsn, hub, numbers, values[:_HISTORY_MIN], _NOON)
        update_until_clean(connection, now_at=_NOON + timedelta(minutes=_HISTORY_MIN, seconds=5))
        seconds, cpu = [], []
        for minute in range(_HISTORY_MIN, _HISTORY_MIN + count):
            at = _NOON + timedelta(minutes=minute)
            _bring(dsn, hub, numbers, values[minute : minute + 1], at)
            began, began_cpu = time.perf_counter(), time.process_time()
            update(connection, now_at=at + timedelta(seconds=65))
            seconds.append(time.perf_counter() - began)
            cpu.append(time.process_time() - began_cpu)
    closing = [s for n, s in enumerate(seconds) if (_HISTORY_MIN + n + 1) % 15 == 0]
    return {
        "update_500_s": round(max(closing), 4),
        "update_500_median_s": round(float(np.median(seconds)), 4),
        "update_500_own_cpu_s": round(float(np.median(cpu)), 4),
        "update_500_how": f"{len(hub.streams)} streams, {len(hub.sensors)} readings an update, {count} updates; the slowest of "
        f"{len(closing)} that close the balances of all streams; median: of all updates",
    }


def _replay(server: EmbeddedPostgres, quick: bool, say: Say) -> dict[str, Any]:
    hub, days = live_hub(_REPLAY_BUSBARS), _REPLAY_DAYS[quick]
    minutes = days * 1440
    say(f"replay of {days} days of {len(hub.streams)} streams at one minute")
    dsn, numbers = _database(server, "replay", hub, _NOON + timedelta(days=days + 1))
    _bring(dsn, hub, numbers, readings(hub, minutes, _SEED), _NOON)
    began = time.perf_counter()
    report = update_until_clean(dsn, now_at=_NOON + timedelta(days=days, seconds=65))
    seconds = time.perf_counter() - began
    return {
        "replay_speedup": round(minutes * 60 / seconds),
        "replay_s": round(seconds, 2),
        "replay_how": f"{days} days ({'scaled down from 30' if quick else 'a month'}) of {len(hub.streams)} streams at one minute, "
        f"{minutes * len(hub.sensors):,} readings in the database already, {report.steps:,} figures in {report.passes} passes",
    }


def _database(server: EmbeddedPostgres, name: str, hub: HubFile, until: datetime) -> tuple[str, Numbers]:
    create_database(server.dsn("postgres"), name)
    dsn = on_database(server.dsn("postgres"), name)
    migrate(dsn)
    with tempfile.TemporaryDirectory() as base:
        apply_hub(dsn, hub, Path(base))
    with open_connection(dsn, "bench", autocommit=True) as connection:
        return dsn, prepare(connection, _NOON - timedelta(days=1), until)


def _bring(dsn: str, hub: HubFile, numbers: Numbers, values: FloatArray, from_at: datetime) -> None:
    """Readings as ingest leaves them: rows, and the ranges to compute."""
    minutes, sensors = values.shape
    ids = np.array([numbers[sensor.id][0] for sensor in hub.sensors], dtype=np.int32)
    first_us = int(from_at.timestamp()) * 1_000_000 + 500_000
    times = first_us + 60_000_000 * np.arange(minutes, dtype=np.int64)
    size = minutes * sensors
    columns = Columns(
        np.repeat(times, sensors),
        np.tile(ids, minutes),
        values.ravel(),
        np.zeros(size, np.int16),
        np.ones(size, np.int64),
    )
    with open_connection(dsn, "bench", autocommit=True) as connection:
        copy_readings(connection, columns, sensors)
        made_up.mark_dirty(connection, ids.tolist(), from_at, from_at + timedelta(minutes=minutes))
