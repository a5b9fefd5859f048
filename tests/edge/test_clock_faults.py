"""Faults 17 and 18: a gateway's clock years off, and one that steps back. Order is by seq, and nothing waits for the clock.

That the hub does not believe such times, keeps the readings and says so: tests/ingest/test_check.py; here is the gateway.
"""

from __future__ import annotations

import time
from datetime import timedelta
from types import SimpleNamespace

import pytest
from edge_rig import edge_file, until
from test_agent import reader

from sidestream_edge import measurement

pytestmark = pytest.mark.server

YEARS_OFF = {"400 days behind": timedelta(days=-400), "10 years ahead": timedelta(days=3652), "1970": None}


def us(duration: timedelta) -> int:
    return duration // timedelta(microseconds=1)


@pytest.mark.parametrize("how", YEARS_OFF)
def test_scans_of_a_clock_that_is_years_off_and_then_set_right_arrive_in_order_with_the_times_it_showed(
    mosquitto, hub_on, agent, scanner, monkeypatch, how
):
    off = YEARS_OFF[how]
    off_us = -time.time_ns() // 1000 if off is None else us(off)
    shown = SimpleNamespace(off_us=off_us)
    clock = SimpleNamespace(time_ns=lambda: time.time_ns() + shown.off_us * 1000)
    monkeypatch.setattr(measurement, "time", clock)
    mosquitto.start()
    hub = hub_on()
    agent(edge_file(mosquitto.port, reader(scanner)))
    scanner.wait_for_agent()
    for n in range(3):
        scanner.send(f"wrong-{n}\n".encode())
        until(lambda n=n: f"wrong-{n}" in hub.values("gate-qr"), "a scan of the wrong time")
    shown.off_us = 0
    scanner.send(b"right\n")
    until(lambda: "right" in hub.values("gate-qr"), "a scan of the right time")
    shown.off_us = us(timedelta(seconds=-3600))
    scanner.send(b"an hour back\n")
    until(lambda: "an hour back" in hub.values("gate-qr"), "a scan after the step back")
    assert [key.seq for key in hub.keys] == list(range(1, len(hub.keys) + 1))
    times = {val: t for _, t, val, _ in hub.readings()}
    assert list(times) == ["wrong-0", "wrong-1", "wrong-2", "right", "an hour back"]
    assert abs(times["wrong-0"] - off_us - times["right"]) < 60e6
    assert times["an hour back"] < times["right"] - 3000e6, "a value is never stamped anew"
    assert not hub.clashes
