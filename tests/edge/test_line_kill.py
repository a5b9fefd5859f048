"""Scales, counters and loggers through kill -9 of the real agent: what was said to be stored is, and nothing is there twice."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from edge_rig import AgentProcess, edge_file, free_port, until

from sidestream_edge.outbox import read_journal
from sidestream_simulators.pulses import PulseMeter
from sidestream_simulators.scale import ScaleLine, SimulatedScale

pytestmark = pytest.mark.server


def drivers(bridge: ScaleLine, count: Path, port: int) -> list[dict]:
    weighing = {"id": "truck", "above": 500, "below": 200, "stable_s": 0.1, "within": 20}
    return [
        {
            "id": "bridge", "type": "scale", "source": f"serial://{bridge.path}", "protocol": "toledo", "checksum": True,
            "unit": "kg", "period_s": 0.1, "sensors": [{"id": "weight"}], "weighing": weighing,
        },
        {
            "id": "s0", "type": "pulse", "source": f"counter://{count}", "per_unit": 1, "period_s": 0.05,
            "register": {"id": "pulses", "unit": "1"},
        },
        {
            "id": "web", "type": "http", "host": "127.0.0.1", "port": port,
            "devices": [{"path": "/x", "time": {"path": "t", "format": "epoch_s"}, "sensors": [{"id": "x", "path": "x"}]}],
        },
    ]  # fmt: skip


def journal(folder: Path) -> dict[str, list[float | None]]:
    """What the outbox ever held, by sensor, in the order of its frames."""
    found: dict[str, list[float | None]] = {}
    for payload in read_journal(folder / "outbox.sqlite"):
        body = json.loads(payload)
        for i, value in zip(body["i"], body["val"], strict=True):
            found.setdefault(body["sensors"][i], []).append(value)
    return found


def post(port: int, n: int) -> int:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) as connection:
        connection.request("POST", "/x", json.dumps({"t": 1_795_000_000 + n, "x": n}).encode())
        with connection.getresponse() as answer:
            return answer.status


def posted(port: int, n: int) -> bool:
    try:
        return post(port, n) == 200
    except OSError:
        return False


@pytest.fixture
def bridge() -> Iterator[ScaleLine]:
    line = ScaleLine(SimulatedScale(limit_kg=9_000.0), "toledo")
    yield line
    line.close()


def test_one_weighing_each_pulse_and_each_posted_value_once_through_kill_9(mosquitto, hub_on, bridge, tmp_path) -> None:
    mosquitto.start()
    hub_on()
    count, meter, port = tmp_path / "count", PulseMeter(pulses=1_000), free_port()
    config = tmp_path / "edge.yaml"
    edge = edge_file(mosquitto.port, *drivers(bridge, count, port))
    config.write_text(edge.model_dump_json(by_alias=True, exclude_none=True))
    meter.show(count)
    bridge.scale.load_kg = 8_100.0
    agent = AgentProcess(config)
    try:
        until(lambda: posted(port, 0), "the logger is answered")
        assert journal(tmp_path)["x"] == [0], "what was answered with yes is on the disk"
        until(lambda: journal(tmp_path).get("truck") == [8_100.0], "the weighing")
        until(lambda: 0 in journal(tmp_path).get("pulses", []), "the count")
    finally:
        agent.kill()
    meter.run(7)
    meter.show(count)
    agent = AgentProcess(config)
    try:
        until(lambda: posted(port, 0) and posted(port, 1), "the same value again, and another")
        until(lambda: journal(tmp_path)["pulses"][-1] == 7, "pulses while the agent was dead")
        bridge.scale.load_kg = 0.0
        until(lambda: journal(tmp_path)["weight"][-1] == 0.0, "the bridge is empty")
        bridge.scale.load_kg = 7_000.0
        until(lambda: journal(tmp_path)["truck"] == [8_100.0, 7_000.0], "the next vehicle")
    finally:
        assert agent.end() == 0, agent.log()
    assert journal(tmp_path)["x"] == [0, 1]
    assert "Traceback" not in agent.log()
