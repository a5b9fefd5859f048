"""`sidestream bench query`: every dashboard panel's SQL over a month of a large hub, in both storage profiles."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from sidestream_app.bench.query_fill import Say, fill, find_filled
from sidestream_app.bench.query_hub import GROUP
from sidestream_app.embedded.postgres import EmbeddedPostgres
from sidestream_dashboards.generate import generate
from sidestream_dashboards.loaded import load
from sidestream_dashboards.queries import panel_sqls, variable_choices, window
from sidestream_store.migrate import create_database, drop_database, on_database
from sidestream_store.read.panels import PanelReader, open_panel_reader

TIMESCALE_DSN = "SIDESTREAM_TEST_TIMESCALE_DSN"
RANGES_S = {"6h": 6 * 3600, "24h": 86_400, "7d": 7 * 86_400, "30d": 30 * 86_400}
LIMIT_MS = 200.0
"""What the slowest panel may take, 95 of 100 times."""
NO_TIMESCALE = f"no TimescaleDB: name one with --timescale-dsn or {TIMESCALE_DSN}"


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is filled and how often each panel is asked."""

    groups: int
    days: int
    runs: int

    def words(self) -> str:
        """As a person reads it."""
        return f"{self.days} days of {self.groups * GROUP} sensors at one minute, each panel {self.runs} times for each time range"


FULL = Scale(20, 30, 20)
QUICK = Scale(1, 7, 3)


def bench_query(scale: Scale, timescale_dsn: str | None, say: Say, keep: Path | None = None) -> dict[str, Any]:
    """The object that `--json` prints. Databases and servers made for it are gone afterwards, unless `keep` names a folder.

    There the plain one stays; on the TimescaleDB a database of the folder's name. The next run with it fills nothing.
    """
    found: dict[str, Any] = {"scale": scale.words(), "profiles": {}}
    with tempfile.TemporaryDirectory(prefix="sidestream-bench-") as folder:
        server = EmbeddedPostgres(keep or Path(folder))
        server.start()
        try:
            found["profiles"]["plain"] = _profile("plain", server.dsn("postgres"), scale, say, keep)
        finally:
            server.stop()
    dsn = timescale_dsn or os.environ.get(TIMESCALE_DSN)
    if dsn:
        found["profiles"]["timescale"] = _profile("timescale", dsn, scale, say, keep)
    else:
        found["profiles"] |= {"timescale": None, "timescale_why": NO_TIMESCALE}
    return found


def _profile(name: str, admin_dsn: str, scale: Scale, say: Say, keep: Path | None) -> dict[str, Any]:
    def tell(line: str) -> None:
        say(f"{name}: {line}")

    with _database(admin_dsn, keep) as dsn:
        filled = find_filled(dsn, scale.groups, scale.days)
        if filled is None:
            tell(f"filling {scale.words()}")
            filled = fill(dsn, scale.groups, scale.days, tell)
        else:
            tell(f"filled already, until {filled.until:%Y-%m-%d %H:%M}Z")
        with open_panel_reader(dsn, timeout_s=60) as reader:
            timed = _time_panels(reader, filled.until, scale.runs, tell)
    worst = max(timed, key=lambda each: each["p95_ms"])
    return {
        "profile": reader.profile,
        "rows": filled.rows,
        "panels": len({each["panel"] for each in timed}),
        "p95_ms_worst": worst["p95_ms"],
        "worst_panel": f"{worst['panel']}, {worst['range']}",
        "bytes_per_reading": filled.bytes_per_reading,
        "all": sorted(timed, key=lambda each: -each["p95_ms"]),
    }


@contextmanager
def _database(admin_dsn: str, keep: Path | None) -> Iterator[str]:
    name = f"sidestream_bench_query_{keep.resolve().name if keep else os.getpid()}"
    create_database(admin_dsn, name)
    try:
        yield on_database(admin_dsn, name)
    finally:
        if keep is None:
            drop_database(admin_dsn, name)


def _time_panels(reader: PanelReader, until: datetime, runs: int, say: Say) -> list[dict[str, Any]]:
    timed = []
    for board in load(generate()).dashboards:
        for name, length_s in RANGES_S.items():
            over = window(length_s, until)
            choices = variable_choices(reader, board, over)
            for panel in board.panels():
                if panel.sql:
                    texts = panel_sqls(panel, over, choices)
                    timed.append({"panel": panel.where, "range": name, **_asked(reader, texts, runs)})
        slowest = max((each for each in timed if each["panel"].startswith(board.name)), key=lambda each: each["p95_ms"])
        say(f"{board.name}: slowest {slowest['p95_ms']} ms, {slowest['panel']}, {slowest['range']}")
    return timed


def _asked(reader: PanelReader, texts: list[str], runs: int) -> dict[str, Any]:
    answers = [reader.run(texts[n % len(texts)]) for n in range(max(runs, len(texts)))]
    times_ms = [answer.elapsed_s * 1000 for answer in answers]
    return {
        "p50_ms": round(float(np.percentile(times_ms, 50)), 1),
        "p95_ms": round(float(np.percentile(times_ms, 95)), 1),
        "rows": max(len(answer.rows) for answer in answers),
    }
