"""The agent's metrics and status while nobody takes what it measures: what waits, what is held back, and why."""

from __future__ import annotations

import urllib.request

from edge_rig import edge_file, free_port, until
from prometheus_client.parser import text_string_to_metric_families


def scraped(port: int) -> dict[tuple[str, ...], float]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            families = list(text_string_to_metric_families(answer.read().decode()))
    except OSError:  # not up yet, or dead
        return {}
    return {(s.name, *s.labels.values()): s.value for family in families for s in family.samples}


def test_a_full_outbox_is_seen_in_the_metrics_with_its_reason(tmp_path, agent):
    (tmp_path / "r.csv").write_text("time,kwh\n" + "".join(f"{n},{n}\n" for n in range(20_000)))
    recorded = {
        "id": "rec", "type": "recorded", "file": "r.csv", "time_column": "time", "time_format": "epoch_s",
        "sensors": [{"id": "energy", "column": "kwh"}],
    }  # fmt: skip
    port = free_port()
    agent(edge_file(free_port(), recorded, outbox={"path": "o.sqlite", "max_mb": 0.1}, metrics={"port": port}))
    full = ("sidestream_edge_held", "bulk", "outbox_full")
    until(lambda: full in scraped(port), "the full outbox in the metrics")
    figures = scraped(port)
    assert figures["sidestream_edge_outbox_frames", "bulk"] > 0
    assert 0.8 <= figures["sidestream_edge_outbox_bytes",] / figures["sidestream_edge_outbox_limit_bytes",] < 1.5
    assert figures["sidestream_edge_outbox_oldest_age_seconds", "bulk"] > 0
    assert figures["sidestream_edge_broker_connected",] == 0
    assert figures["sidestream_edge_driver_running", "rec"] == 1
