"""Live is live again the moment the hub is: what was measured while it was away comes behind, and nothing is lost by that."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from statistics import median

import pytest
from edge_rig import edge_file, until
from test_agent import meter

from sidestream_edge import diversion
from sidestream_edge.diversion import MANY_FRAMES, Diversion
from sidestream_edge.outbox import read_journal


def test_a_busy_lane_that_the_hub_acknowledges_is_not_diverted() -> None:
    one = Diversion()
    assert not one.look(frames=60, oldest_s=6.0, silent_s=0.1)
    assert not one.look(frames=1, oldest_s=0.1, silent_s=3600.0), "an idle night is no silence"


def test_a_silent_hub_diverts_until_what_waits_has_gone() -> None:
    one = Diversion()
    assert one.look(frames=30, oldest_s=5.1, silent_s=5.1)
    assert one.look(frames=30, oldest_s=9.0, silent_s=0.0), "still waiting"
    assert not one.look(frames=0, oldest_s=0.0, silent_s=0.0)


@pytest.mark.parametrize(("frames", "oldest_s"), [(MANY_FRAMES + 1, 1.0), (3, 31.0)])
def test_a_line_that_carries_too_little_diverts_too_and_comes_back(frames: int, oldest_s: float) -> None:
    one = Diversion()
    assert one.look(frames, oldest_s, silent_s=0.0)
    assert not one.look(10, 0.5, silent_s=0.0)


@pytest.mark.server
def test_after_an_outage_new_readings_come_at_once_and_the_outage_behind_them(
    mosquitto, hub_on, agent, modbus, monkeypatch, tmp_path
):
    monkeypatch.setattr(diversion, "SILENT_S", 0.5)
    mosquitto.start()
    hub, device = hub_on(silent=True), modbus()
    agent(edge_file(mosquitto.port, meter(device.port, period_s=0.02), framing={"max_wait_s": 0.02}))
    until(lambda: len([key for key in hub.keys if key.lane == "live"]) > 10, "an outage begins")
    time.sleep(2.0)
    back_us = time.time_ns() // 1000
    hub.silent = False
    hub.hello()
    until(lambda: any(t > back_us + 500_000 for _, t, _, _ in hub.readings()), "new readings")
    live = [body for body, (_, lane, _) in zip(hub.bodies(), list(hub.frames), strict=False) if lane == "live"]
    bulk = [body for body, (_, lane, _) in zip(hub.bodies(), list(hub.frames), strict=False) if lane == "bulk"]
    assert max(t for body in live for t in body["t"]) > back_us
    assert max(len(body["t"]) for body in bulk) > 10 * median(len(body["t"]) for body in live), (
        "gathered into large frames"
    )
    device.stop()
    until(lambda: stored(tmp_path) == Counter(hub.frames.values()), "all that was stored")
    times = [(sensor, t) for sensor, t, _, _ in hub.readings()]
    assert len(times) == len(set(times))


def stored(folder: Path) -> Counter[bytes]:
    return Counter(read_journal(folder / "outbox.sqlite"))
