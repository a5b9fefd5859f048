"""Puts the figures of `sidestream bench ingest` together: both profiles, then from outboxes to acknowledgement."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sidestream_app.bench.ingest.drain import Scale, measure
from sidestream_app.bench.ingest.outboxes import backlog, backlog_hub, edge_to_ack
from sidestream_app.bench.ingest.stand import Say
from sidestream_app.bench.query import NO_TIMESCALE, TIMESCALE_DSN
from sidestream_app.bench.query_hub import bench_hub
from sidestream_app.embedded.postgres import EmbeddedPostgres

_GROUPS = 20
_DAY_READINGS = 8_640_000


@dataclass(frozen=True, slots=True)
class Size:
    """How much one run sends."""

    profile: Scale
    edge_frames: int
    backlog_frames: int

    def words(self) -> str:
        """As a person reads it."""
        drained = ", ".join(f"{count:,} of {size}" for size, count in self.profile.frames.items())
        part = self.backlog_frames * 1000 / _DAY_READINGS
        whole = "a day's backlog" if part == 1 else f"{part:.1%} of a day's backlog, its seconds scaled up to the day"
        return f"frames drained: {drained}; {whole}"


FULL = Size(Scale({1: 40_000, 10: 40_000, 100: 12_000, 1000: 2_500}, 8_000, 20), 2_500, 8_640)
QUICK = Size(Scale({1: 8_000, 10: 8_000, 100: 3_000, 1000: 800}, 2_000, 8), 300, 216)


def bench_ingest(size: Size, timescale_dsn: str | None, say: Say) -> dict[str, Any]:
    """The object that `--json` prints. Databases and servers made for it are gone afterwards."""
    hub = bench_hub(_GROUPS)
    dsn = timescale_dsn or os.environ.get(TIMESCALE_DSN)
    found: dict[str, Any] = {
        "scale": size.words(),
        "drained_how": (
            "the worker is stopped by SIGSTOP while its session at the broker fills, then goes on; timed from then to its last commit"
        ),
        "profiles": {},
    }
    with tempfile.TemporaryDirectory(prefix="sidestream-bench-") as name:
        folder = Path(name)
        server = EmbeddedPostgres(folder / "postgres")
        server.start()
        try:
            admin = server.dsn("postgres")
            found["profiles"]["plain"] = measure(admin, hub, size.profile, _room(folder, "plain"), _of("plain", say))
            found["edge_to_ack_100"] = round(edge_to_ack(admin, hub, size.edge_frames, _room(folder, "edges")))
            say(f"plain: from four outboxes to acknowledgement: {found['edge_to_ack_100']:,} readings/s")
            found |= _whole_day(backlog(admin, backlog_hub(), size.backlog_frames, _room(folder, "backlog"), say), size)
            say(f"plain: a day's backlog: {found['backlog_s']} s, live meanwhile {found['backlog_live_ms']} ms")
        finally:
            server.stop()
        if dsn:
            room = _room(folder, "timescale")
            found["profiles"]["timescale"] = measure(dsn, hub, size.profile, room, _of("timescale", say))
        else:
            found["profiles"] |= {"timescale": None, "timescale_why": NO_TIMESCALE}
    return found


def _of(profile: str, say: Say) -> Say:
    return lambda line: say(f"{profile}: {line}")


def _whole_day(found: dict[str, Any], size: Size) -> dict[str, Any]:
    """The time of a part of the day's backlog, scaled to the whole; how long the part took stands beside it."""
    scale = _DAY_READINGS / (size.backlog_frames * 1000)
    return {**found, "backlog_s": round(found["backlog_s"] * scale, 1), "backlog_measured_s": found["backlog_s"]}


def _room(folder: Path, name: str) -> Path:
    room = folder / name
    room.mkdir()
    return room
