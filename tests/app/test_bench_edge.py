"""What the edge bench says of its figures; the measuring itself needs a minute and servers (`sidestream bench edge --quick`)."""

from __future__ import annotations

from pathlib import Path

import pytest

from sidestream_app.bench.edge.footprint import outbox_rates
from sidestream_app.bench.edge.gateway import bench_hub
from sidestream_app.bench.edge.run import DAY_READINGS, FULL, PACES, QUICK, lines, missed

GOOD = {
    "scale": "s",
    "footprint": {
        key: {"pss_mb": 45.0, "cpu_pct": 1.0, "values_s": round(pace.values_s), "how": str(pace)}
        for key, pace in PACES.items()
    },
    "start_s": 1.2, "start_cpu_s": 0.9, "outbox_writes_s": 700, "outbox_readings_s": 60_000, "outbox_filesystem": "ext4",
    "drain_readings_s": 90_000, "drain_24_h_s": 57.6, "drain_live_ms": {"p50": 200.0, "p95": 400.0},
}  # fmt: skip


def test_good_figures_miss_no_bar_and_are_told_with_units():
    assert list(missed(GOOD)) == []
    text = "\n".join(lines(GOOD))
    assert "60 registers every 1 s (60 values/s): 45.0 MB (PSS of the whole tree), 1.0 % of a core" in text
    assert "90,000 readings/s until acknowledged, 57.6 s for the day" in text


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"pss_mb": 65.1}, "memory at 60 values/s: 65.1 MB, at most 65"),
        ({"cpu_pct": 3.2}, "processor at 60 values/s: 3.2 % of a core, at most 3"),
    ],
)
def test_a_missed_bar_is_named(change, said):
    one = {**GOOD["footprint"]["60"], **change}
    assert list(missed({**GOOD, "footprint": {**GOOD["footprint"], "60": one}})) == [said]
    assert list(missed({**GOOD, "start_s": 2.0})) == ["start: 2.0 s, less than 2"]


def test_the_scale_says_what_part_of_a_day_is_drained():
    assert FULL.words().endswith("a day's backlog at 60 values/s")
    assert DAY_READINGS == 5_184_000
    assert "2.1% of a day's backlog at 60 values/s, scaled up" in QUICK.words()
    assert max(pace.sensors for pace in PACES.values()) <= sum(s.id.startswith("r") for s in bench_hub().sensors)


def test_the_outbox_is_measured_with_durable_writes(tmp_path: Path):
    found = outbox_rates(bench_hub(), 0.1, tmp_path)
    assert found["outbox_writes_s"] > 0
    assert found["outbox_readings_s"] > found["outbox_writes_s"]
    assert found["outbox_filesystem"] != "unknown"
