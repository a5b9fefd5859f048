"""`sidestream bench …`: what this machine measures, with the same keys each time."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any

from cyclopts import Parameter

from sidestream_app.commands.options import AsJson

Quick = Annotated[bool, Parameter(negative=(), help="A scaled-down run of under a minute; it says what it scaled.")]
TimescaleDsn = Annotated[
    str | None,
    Parameter(
        name="--timescale-dsn",
        env_var="SIDESTREAM_TEST_TIMESCALE_DSN",
        help="A PostgreSQL with the TimescaleDB extension, as a user that may make databases.",
    ),
]


def query(*, quick: Quick = False, timescale_dsn: TimescaleDsn = None, as_json: AsJson = False) -> int:
    """Time every dashboard panel's SQL over 30 days of 500 sensors at one minute, in both storage profiles.

    Fills a database of its own in an embedded PostgreSQL, and one on the TimescaleDB that is named; both are gone
    afterwards. Each panel is asked 20 times over 6 hours, a day, a week and 30 days, as Grafana's login would. Takes a
    quarter of an hour and 15 GB of disk on two cores. Exit code 1 if a panel's 95th percentile is not below 200 ms.
    """
    from sidestream_app.bench.query import FULL, LIMIT_MS, QUICK, bench_query

    found = bench_query(QUICK if quick else FULL, timescale_dsn, _say)
    measured = {name: profile for name, profile in found["profiles"].items() if isinstance(profile, dict)}
    if as_json:
        print(json.dumps(found, ensure_ascii=False))
    else:
        print(f"{found['scale']}.")
        for name, profile in measured.items():
            print("\n".join(_lines(name, profile)))
        if "timescale_why" in found["profiles"]:
            print(f"timescale: not measured, {found['profiles']['timescale_why']}.")
    return 1 if any(profile["p95_ms_worst"] >= LIMIT_MS for profile in measured.values()) else 0


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _lines(name: str, profile: dict[str, Any]) -> list[str]:
    sizes = profile["bytes_per_reading"]
    worst = f"worst p95 {profile['p95_ms_worst']} ms ({profile['worst_panel']})"
    readings = f"{sizes['readings']} and {sizes['readings_index']} index"
    return [
        f"{name}: {profile['rows']:,} readings, {profile['panels']} panels, {worst}",
        f"  bytes per reading: {readings}, ledger {sizes['ledger']}, roll-ups {sizes['rollups']}, twin {sizes['twin']}",
        *(f"  {each['p95_ms']:8.1f} ms  {each['panel']}, {each['range']}" for each in profile["all"][:5]),
    ]
