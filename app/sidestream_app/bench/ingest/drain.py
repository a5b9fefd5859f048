"""One profile: raw COPY, a filled session drained for each frame size, frames as fast as they come, bytes and memory."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sidestream_app.bench.ingest.frames import gateways, in_turn
from sidestream_app.bench.ingest.load import Load
from sidestream_app.bench.ingest.stand import Say, Stand, copy_database, stand
from sidestream_contracts.hub import HubFile
from sidestream_store.connect import open_connection
from sidestream_store.copy_rate import CopyRate, copy_rate
from sidestream_store.maintenance import compact
from sidestream_store.sizes import per_reading, sizes
from sidestream_store.twin.dirty import claim, refresh_rollups

_PATIENCE_S = 120.0
_HISTORY_S = 6 * 3600
_DIRTY_ROWS = 5_000


@dataclass(frozen=True, slots=True)
class Scale:
    """How many frames of each size are drained, how many of 100 are sent live, how many COPYs give the ceiling."""

    frames: Mapping[int, int]
    live: int
    copies: int


def measure(admin_dsn: str, hub: HubFile, scale: Scale, folder: Path, say: Say) -> dict[str, Any]:
    """The figures of one profile, as BENCH names them. Ratios are against the median of COPYs before, between and after."""
    with copy_database(admin_dsn, hub, folder) as bare, stand(admin_dsn, hub, folder) as bench:
        copies = [copy_rate(bare, scale.copies)]
        say(f"raw COPY: {copies[0].rows_s:,.0f} rows/s")
        senders, sent, rates = gateways(hub, _HISTORY_S), 0, {}
        with Load(bench.broker_port) as load:
            for size, frames in scale.frames.items():
                sent += size * frames
                with bench.frozen():
                    load.send(in_turn(senders, frames, size))
                    began_s = time.time()
                rates[size] = size * frames / (bench.committed_s(sent, _PATIENCE_S) - began_s)
                say(f"{frames:,} frames of {size}: {rates[size]:,.0f} readings/s")
                copies.append(copy_rate(bare, scale.copies))
            sent += 100 * scale.live
            messages = list(in_turn(senders, scale.live, 100))
            began_s = time.time()
            load.send(messages)
            live = 100 * scale.live / (bench.committed_s(sent, _PATIENCE_S) - began_s)
        say(f"frames of 100 as fast as one client sends them: {live:,.0f} readings/s")
        return {
            **_ceiling(copies),
            "frames": {str(size): round(rate) for size, rate in rates.items()},
            **_ratios(rates, copies),
            "live_100": round(live),
            "bytes_per_reading": _bytes(bench, sent),
            "memory_mb": round(bench.worker_peak_mb(), 1),
        }


def _ceiling(copies: list[CopyRate]) -> dict[str, Any]:
    return {
        "copy_rows_s": round(statistics.median(copy.rows_s for copy in copies)),
        "copy_rows_s_each": [round(copy.rows_s) for copy in copies],
        "copy_into_columns": copies[0].into_columns,
        "settings": copies[0].settings,
    }


def _ratios(rates: Mapping[int, float], copies: list[CopyRate]) -> dict[str, float]:
    ceiling = statistics.median(copy.rows_s for copy in copies)
    return {f"ratio_{size}": round(rates[size] / ceiling, 3) for size in (100, 1000) if size in rates}


def _bytes(bench: Stand, readings: int) -> dict[str, float]:
    """After roll-ups and maintenance, as the flows would do them."""
    with open_connection(bench.dsn, "bench", autocommit=True) as connection:
        while True:
            with connection.transaction():
                claimed = claim(connection, 60, _DIRTY_ROWS)
                refresh_rollups(connection, claimed.changed, 60, datetime.now(UTC))
            if not claimed.rows:
                break
        compact(connection, datetime.now(UTC) + timedelta(days=2))
        return per_reading(sizes(connection), readings)
