"""What can't be meant in `edge.yaml` about brokers and others' devices is explained."""

from __future__ import annotations

import pytest
from edge_rig import edge_file

from sidestream_contracts.edge import check_edge


def problems(*drivers: dict) -> list[str]:
    return [problem.message for problem in check_edge(edge_file(1883, *drivers))]


def test_a_topic_stands_once() -> None:
    topic = {"topic": "a", "sensors": [{"id": "x"}]}
    driver = {"id": "d", "type": "mqtt", "topics": [topic, {**topic, "sensors": [{"id": "y"}]}]}
    assert any("stands twice" in text for text in problems(driver))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({}, "name the edge nodes"),
        ({"nodes": ["a/b"]}, "can't be a Sparkplug id"),
        ({"sensors": [{"id": i, "node": "n", "metric": "m"} for i in ("x", "y")]}, "already sensor 'x'"),
        ({"sensors": [{"id": "x", "node": "n", "metric": "m", "scale": 0}]}, "scale"),
    ],
)
def test_a_sparkplug_mapping_that_cannot_be_meant(change: dict, text: str) -> None:
    assert any(text in found for found in problems({"id": "d", "type": "sparkplug", "group": "g", **change}))
