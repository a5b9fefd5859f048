"""The table of metrics: in the documentation as in the code, named by Prometheus' rules, and shown as declared."""

from __future__ import annotations

import re
import socket
import urllib.request
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from sidestream_contracts.errors import ConfigurationError
from sidestream_contracts.metrics import METRICS, Sample, show

ROOT = Path(__file__).parents[2]
SOURCES = ["ingest/sidestream_ingest/metrics.py", "edge/sidestream_edge/metrics.py", "flows/sidestream_flows/stats.py"]


def test_the_documentation_lists_every_metric_as_it_is_declared():
    told = re.findall(
        r"^\| `(sidestream_\w+)` \| (\w+) \| (.+?) \| (.+?) \|$", (ROOT / "docs/metrics.md").read_text(), re.MULTILINE
    )
    assert told == [(m.name, m.kind, ", ".join(f"`{label}`" for label in m.labels) or "–", m.meaning) for m in METRICS]


def test_every_metric_is_given_somewhere_and_nothing_is_given_that_is_not_declared():
    given = set()
    for source in SOURCES:
        code = (ROOT / source).read_text()
        prefix = re.search(r'_PREFIX = "(\w+)"', code)
        assert prefix is not None
        given |= {prefix[1] + name for name in re.findall(r"\{_PREFIX\}(\w+)", code)}
    assert given == {m.name for m in METRICS}


def test_names_follow_prometheus_rules():
    for metric in METRICS:
        assert metric.name.endswith("_total") == (metric.kind == "counter"), metric.name
        assert metric.kind != "histogram" or metric.name.endswith("_seconds")


def test_figures_are_read_when_they_are_asked_for():
    count = iter((7, 8))
    shown = show(lambda: [Sample("sidestream_ingest_frames_total", next(count), ("new",))], port=0)
    try:
        for expected in (7, 8):
            with urllib.request.urlopen(f"http://127.0.0.1:{shown.port}/metrics", timeout=5) as answer:
                (family,) = text_string_to_metric_families(answer.read().decode())
            assert [(s.name, s.labels, s.value) for s in family.samples] == [
                ("sidestream_ingest_frames_total", {"result": "new"}, expected)
            ]
    finally:
        shown.close()


def test_a_port_that_is_taken_is_a_configuration_error():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"{port}.*another port"):
            show(list, port)
