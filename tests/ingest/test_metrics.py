"""Metrics and heartbeats of real workers: they share the load, each tells its part, and a killed one is seen to be gone."""

from __future__ import annotations

import subprocess
import sys
import time
import urllib.request

import pytest
from fake_edge import FakeEdge, wait_for
from frames import key_of, readings_body
from hub_files import test_hub
from prometheus_client.parser import text_string_to_metric_families

from sidestream_app.embedded.ports import free_port
from sidestream_store.hub_apply import apply_hub

pytestmark = pytest.mark.server


def scraped(port: int) -> dict[tuple[str, ...], float]:
    """Every sample of a worker, by name and label values; empty while it does not answer."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            families = list(text_string_to_metric_families(answer.read().decode()))
    except OSError:  # not up yet, or dead
        return {}
    return {(s.name, *s.labels.values()): s.value for family in families for s in family.samples}


@pytest.fixture
def workers(database, broker, tmp_path):
    """Two ingest processes on one broker, with the ports at which they show their metrics."""
    apply_hub(database, test_hub(), tmp_path)
    ports = [free_port(), free_port()]
    command = [
        sys.executable,
        "-m",
        "sidestream_app",
        "ingest",
        "run",
        "--dsn",
        database,
        "--broker-port",
        str(broker[1]),
    ]
    with (tmp_path / "ingest.log").open("wb") as log:
        started = [subprocess.Popen([*command, "--metrics-port", str(port)], stderr=log) for port in ports]
    yield list(zip(started, ports, strict=True))
    for process in started:
        process.kill()
        process.wait()


def test_two_workers_share_the_load_and_one_killed_half_way_costs_nothing(workers, broker, connect):
    (first, first_port), (_, second_port) = workers
    frames = []
    for n in range(300):
        payload = readings_body(*(("flow", time.time_ns() // 1000, float(n * 10 + k)) for k in range(10)))
        frames.append((key_of(payload, n + 1), payload))
    new = ("sidestream_ingest_frames_total", "new")
    wait_for(lambda: all(scraped(p).get(("sidestream_ingest_broker_connected",)) for _, p in workers), 20)
    edge, sent = FakeEdge(broker[1]), 0
    try:
        while not all(scraped(port)[new] for _, port in workers):  # the broker gives each of them something
            for key, payload in frames[sent : sent + 20]:
                edge.send(key, payload)
            sent += 20
            wait_for(lambda: sum(scraped(port)[new] for _, port in workers) >= sent)  # noqa: B023
            assert sent < 200, "one worker gets nothing"
        for key, payload in frames[sent : sent + 60]:
            edge.send(key, payload)
        first.kill()
        edge.send_until_acknowledged(frames, within_s=30)
    finally:
        edge.close()
    counted = connect().execute("SELECT count(*), count(DISTINCT value) FROM sidestream.reading").fetchone()
    assert counted == (3000, 3000)
    figures = scraped(second_port)
    assert figures["sidestream_ingest_readings_total",] == 10 * figures[new]
    assert figures["sidestream_ingest_commit_seconds_count",] > 0
    assert (
        figures["sidestream_ingest_commit_seconds_bucket", "+Inf"] == figures["sidestream_ingest_commit_seconds_count",]
    )
    assert figures["sidestream_ingest_database_waiting_seconds",] == 0
    assert abs(figures["sidestream_ingest_last_commit_timestamp_seconds",] - time.time()) < 60
    rows = connect().execute("SELECT kind, figures ? 'readings_per_s' FROM sidestream_v.worker").fetchall()
    assert rows == [("ingest", True)] * 2
    assert scraped(first_port) == {}
