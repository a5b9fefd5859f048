"""Puts the figures of `sidestream bench edge` together, and says which of them miss their bar."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sidestream_app.bench.edge.footprint import footprint, outbox_rates, starts
from sidestream_app.bench.edge.gateway import Pace, bench_hub
from sidestream_app.bench.ingest.outboxes import backlog, backlog_hub
from sidestream_app.bench.ingest.stand import Say, stand
from sidestream_app.embedded.postgres import EmbeddedPostgres

PACES = {"60": Pace(60, 1.0), "1000": Pace(1000, 1.0), "60_at_10_hz": Pace(6, 0.1), "1000_at_10_hz": Pace(100, 0.1)}
MOST_PSS_MB, MOST_CPU_PCT, MOST_START_S = 65.0, 3.0, 2.0
"""For one Modbus driver at 60 values a second, durable outbox on."""

DAY_READINGS = 24 * 3600 * 60
"""What such a gateway gathers while the hub is away for a day."""


@dataclass(frozen=True, slots=True)
class Size:
    """How long and how much is measured."""

    warm_s: float
    window_s: float
    starts: int
    writes_s: float
    drained: int

    def words(self) -> str:
        """As a person reads it."""
        part = self.drained / DAY_READINGS
        drained = (
            "a day's backlog at 60 values/s"
            if part == 1
            else f"{part:.1%} of a day's backlog at 60 values/s, scaled up"
        )
        return f"{self.window_s:g} s each after {self.warm_s:g} s of warming up; {self.starts} starts; {drained}"


FULL = Size(warm_s=10, window_s=60, starts=5, writes_s=5, drained=DAY_READINGS)
QUICK = Size(warm_s=2, window_s=4, starts=1, writes_s=1, drained=DAY_READINGS // 48)


def bench_edge(size: Size, say: Say) -> dict[str, Any]:
    """The object that `--json` prints. Servers, databases and outboxes made for it are gone afterwards."""
    found: dict[str, Any] = {"scale": size.words(), "footprint": {}}
    with tempfile.TemporaryDirectory(prefix="sidestream-bench-") as name:
        folder = Path(name)
        hub = bench_hub()
        found |= outbox_rates(hub, size.writes_s, folder)
        say(f"outbox: {found['outbox_writes_s']:,} durable writes/s on {found['outbox_filesystem']}")
        found |= starts(size.starts, folder)
        say(
            f"first reading on the disk {found['start_s']} s after the start, {found['start_cpu_s']} s of it processor time"
        )
        server = EmbeddedPostgres(folder / "postgres")
        server.start()
        try:
            admin = server.dsn("postgres")
            with stand(admin, hub, _room(folder, "stand")) as bench:
                for key, pace in PACES.items():
                    one = footprint(pace, bench.broker_port, folder / f"gateway-{key}", size.warm_s, size.window_s)
                    found["footprint"][key] = one
                    say(f"{pace}: {one['pss_mb']} MB, {one['cpu_pct']} % of a core")
            found |= _drained(backlog(admin, backlog_hub(), size.drained // 1000, _room(folder, "backlog"), say), size)
        finally:
            server.stop()
    return found


def _drained(found: dict[str, Any], size: Size) -> dict[str, Any]:
    """Readings a second from a filled outbox to the hub's acknowledgement, and what a whole day takes at that rate."""
    rate = size.drained // 1000 * 1000 / found["backlog_s"]
    return {
        "drain_readings_s": round(rate),
        "drain_24_h_s": round(DAY_READINGS / rate, 1),
        "drain_measured_s": found["backlog_s"],
        "drain_live_ms": found["backlog_live_ms"],
    }


def missed(found: dict[str, Any]) -> Iterator[str]:
    """Every bar that the figures miss."""
    one = found["footprint"]["60"]
    if one["pss_mb"] > MOST_PSS_MB:
        yield f"memory at 60 values/s: {one['pss_mb']} MB, at most {MOST_PSS_MB:g}"
    if one["cpu_pct"] > MOST_CPU_PCT:
        yield f"processor at 60 values/s: {one['cpu_pct']} % of a core, at most {MOST_CPU_PCT:g}"
    if found["start_s"] >= MOST_START_S:
        yield f"start: {found['start_s']} s, less than {MOST_START_S:g}"


def lines(found: dict[str, Any]) -> Iterator[str]:
    """For a person."""
    yield f"{found['scale']}."
    for one in found["footprint"].values():
        yield f"{one['how']} ({one['values_s']:,} values/s): {one['pss_mb']} MB (PSS of the whole tree), {one['cpu_pct']} % of a core"
    yield f"start: {found['start_s']} s until the first reading is on the disk, {found['start_cpu_s']} s of it processor time"
    yield f"outbox: {found['outbox_writes_s']:,} durable writes/s, {found['outbox_readings_s']:,} readings/s in frames of 100, on {found['outbox_filesystem']}"
    live = found["drain_live_ms"]
    yield (
        f"after 24 h offline: {found['drain_readings_s']:,} readings/s until acknowledged, {found['drain_24_h_s']} s for the day;"
        f" live meanwhile p50 {live['p50']}, p95 {live['p95']} ms"
    )
    yield from (f"MISSED {text}" for text in missed(found))


def _room(folder: Path, name: str) -> Path:
    room = folder / name
    room.mkdir()
    return room
