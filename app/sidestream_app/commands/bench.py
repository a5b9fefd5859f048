"""`sidestream bench …`: what this machine measures, with the same keys each time."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from sidestream_app.commands.options import AsJson

_LEAST_100, _LEAST_1000 = 0.25, 0.5
"""What share of raw COPY frames of 100 and of 1 000 readings must reach."""
Quick = Annotated[bool, Parameter(negative=(), help="A scaled-down run of under a minute; it says what it scaled.")]
TimescaleDsn = Annotated[
    str | None,
    Parameter(
        name="--timescale-dsn",
        env_var="SIDESTREAM_TEST_TIMESCALE_DSN",
        help="A PostgreSQL with the TimescaleDB extension, as a user that may make databases.",
    ),
]


Keep = Annotated[
    Path | None,
    Parameter(
        help="A folder in which the filled database stays; a later run with it measures again and fills nothing."
    ),
]


def query(
    *, quick: Quick = False, timescale_dsn: TimescaleDsn = None, keep: Keep = None, as_json: AsJson = False
) -> int:
    """Time every dashboard panel's SQL over 30 days of 500 sensors at one minute, in both storage profiles.

    Fills a database of its own in an embedded PostgreSQL, and one on the TimescaleDB that is named; both are gone
    afterwards unless `--keep` is given. Each panel is asked 20 times over 6 hours, a day, a week and 30 days, as Grafana's login would. Takes a
    quarter of an hour and 15 GB of disk on two cores. Exit code 1 if a panel's 95th percentile is not below 200 ms.
    """
    from sidestream_app.bench.query import FULL, LIMIT_MS, QUICK, bench_query

    found = bench_query(QUICK if quick else FULL, timescale_dsn, _say, keep)
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


def ingest(*, quick: Quick = False, timescale_dsn: TimescaleDsn = None, as_json: AsJson = False) -> int:
    """Measure how fast frames are committed, against raw COPY into the same table in the same run, in both profiles.

    Frames of 1, 10, 100 and 1 000 readings wait at the broker and are drained by one ingest worker; then frames come as fast
    as a client sends them; then real edges empty filled outboxes, and one of them a day's backlog of 100 sensors at 1 Hz
    while live readings go on. Everything runs on servers and databases of its own, which are gone afterwards. About eight
    minutes and 3 GB of disk on two cores. Exit code 1 where frames of 100 reach less than a quarter of COPY, or of 1 000 less
    than half.
    """
    from sidestream_app.bench.ingest.run import FULL, QUICK, bench_ingest

    found = bench_ingest(QUICK if quick else FULL, timescale_dsn, _say)
    measured = {name: profile for name, profile in found["profiles"].items() if isinstance(profile, dict)}
    if as_json:
        print(json.dumps(found, ensure_ascii=False))
    else:
        print("\n".join(_ingest_lines(found, measured)))
    return 0 if all(p["ratio_100"] >= _LEAST_100 and p["ratio_1000"] >= _LEAST_1000 for p in measured.values()) else 1


def edge(*, quick: Quick = False, as_json: AsJson = False) -> int:
    """Measure what the edge agent costs a gateway: memory and processor with one Modbus driver at 60 and 1 000 values/s.

    Also how soon the first reading is on the disk, how many durable writes a second the outbox makes on this disk, and how
    fast a day's backlog drains until the hub has acknowledged it. Real agent, meter, broker, ingest and PostgreSQL, which are
    gone afterwards. About eight minutes. Exit code 1 if at 60 values/s the agent takes more than 65 MB or 3 % of a core, or
    starts in 2 s or more.
    """
    from sidestream_app.bench.edge.run import FULL, QUICK, bench_edge, lines, missed

    found = bench_edge(QUICK if quick else FULL, _say)
    print(json.dumps(found, ensure_ascii=False) if as_json else "\n".join(lines(found)))
    return 1 if any(missed(found)) else 0


def twin(
    *,
    quick: Quick = False,
    study: Annotated[
        bool, Parameter(negative=(), help="Instead: how good reconciliation's statistics are, on a known truth.")
    ] = False,
    seeds: Annotated[int | None, Parameter(help="With --study: how many runs; 500, or 50 with --quick.")] = None,
    as_json: AsJson = False,
) -> int:
    """Measure the twin: reconciliation of 30 to 3 000 flows on one core, beside a dense solver with the same answers.

    Exit code 1 if 1 000 flows take 0.3 s or more, or if the answers differ.

    With --study no time is measured. A made-up hub with a known truth is run with seeded meters that err as they declare:
    errors before and after reconciliation, how often 90 % bands hold the truth, how many faults of five deviations are
    named within three intervals, false accusations, and which meters nothing can check. Five minutes for 500 runs. Exit
    code 1 if bands hold less than 85 or more than 95 %, less than 95 % is named, or one accusation in 1 000 intervals is false.
    """
    from sidestream_app.bench.twin.report import speed_lines, speed_ok, study_lines, study_ok
    from sidestream_app.bench.twin.run import bench_twin
    from sidestream_app.bench.twin.study import run_study

    if study:
        found = run_study(seeds or (50 if quick else 500), _say)
        print(json.dumps(found, ensure_ascii=False) if as_json else "\n".join(study_lines(found)))
        return 0 if study_ok(found) else 1
    found = bench_twin(quick=quick, say=_say)
    print(json.dumps(found, ensure_ascii=False) if as_json else "\n".join(speed_lines(found)))
    return 0 if speed_ok(found) else 1


def _ingest_lines(found: dict[str, Any], measured: dict[str, dict[str, Any]]) -> list[str]:
    lines = [f"{found['scale']}."]
    for name, profile in measured.items():
        rates = ", ".join(f"{rate:,} in frames of {size}" for size, rate in profile["frames"].items())
        sizes = profile["bytes_per_reading"]
        lines += [
            f"{name}: raw COPY {profile['copy_rows_s']:,} rows/s; readings/s committed: {rates}; live {profile['live_100']:,}",
            f"  of COPY: {profile['ratio_100']:.2f} in frames of 100, {profile['ratio_1000']:.2f} of 1 000",
            f"  bytes per reading: {_bytes(sizes)}; a worker's peak memory {profile['memory_mb']} MB",
        ]
    late = found["backlog_live_ms"]
    return [
        *lines,
        *([] if measured.get("timescale") else [f"timescale: not measured, {found['profiles']['timescale_why']}."]),
        f"from four outboxes to acknowledgement: {found['edge_to_ack_100']:,} readings/s in frames of 100",
        f"a day's backlog (8.64 M readings): {found['backlog_s']} s; live meanwhile p50 {late['p50']}, p95 {late['p95']} ms",
    ]


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _lines(name: str, profile: dict[str, Any]) -> list[str]:
    sizes = profile["bytes_per_reading"]
    worst = f"worst p95 {profile['p95_ms_worst']} ms ({profile['worst_panel']})"
    return [
        f"{name}: {profile['rows']:,} readings, {profile['panels']} panels, {worst}",
        f"  bytes per reading: {_bytes(sizes)}, twin {sizes['twin']}",
        *(f"  {each['p95_ms']:8.1f} ms  {each['panel']}, {each['range']}" for each in profile["all"][:5]),
    ]


def _bytes(sizes: dict[str, float]) -> str:
    return f"{sizes['readings']} and {sizes['readings_index']} index, ledger {sizes['ledger']}, roll-ups {sizes['rollups']}"
