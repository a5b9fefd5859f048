"""Faults 8 to 11 of the line between a gateway and its broker: cut for long, half open, flapping, thin.

A proxy stands between the agent and a real broker. What took hours is shortened by the agent's own clocks of patience.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from edge_rig import edge_file, free_port, until
from test_agent import meter, reader

from sidestream_app.chaos.proxy import Proxy
from sidestream_edge import diversion, publisher
from sidestream_edge.backoff import Backoff
from sidestream_edge.framing import readings_payload
from sidestream_edge.measurement import Reading
from sidestream_edge.outbox import Draft, Outbox, read_journal

pytestmark = pytest.mark.server


@pytest.fixture
def line(mosquitto) -> Iterator[Proxy]:
    mosquitto.start()
    proxy = Proxy(free_port(), mosquitto.port)
    proxy.start()
    yield proxy
    proxy.close()


def edge_on(line: Proxy, *drivers: dict, keepalive_s: int = 5, **changes: object):
    broker = {"host": "127.0.0.1", "port": line.port, "keepalive_s": keepalive_s}
    return edge_file(line.port, *drivers, broker=broker, **changes)


def stored(folder: Path) -> Counter:
    return Counter(read_journal(folder / "outbox.sqlite"))


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_a_cut_of_hours_loses_and_doubles_nothing_and_drains_in_order(
    line, hub_on, agent, modbus, tmp_path, monkeypatch
):
    """Fault 8. A meter at 100 readings a second: two seconds stand for an hour at one reading in 18 s."""
    monkeypatch.setattr(diversion, "SILENT_S", 0.3)
    hub, device = hub_on(), modbus()
    one = agent(edge_on(line, meter(device.port, period_s=0.02), framing={"max_wait_s": 0.02}))
    until(lambda: len(hub.values("flow")) > 5, "readings")
    line.refuse()
    time.sleep(2.0)
    before, began_s = len(hub.readings()), time.monotonic()
    line.mend()
    device.stop()
    until(lambda: stored(tmp_path) == Counter(hub.frames.values()), "all that was stored")
    drained = len(hub.readings()) - before
    print(f"{drained} readings drained in {time.monotonic() - began_s:.1f} s")
    one.stop()
    assert drained > 100
    assert not hub.clashes
    arrived = Counter((sensor, t) for sensor, t, val, _ in hub.readings() if val is not None)
    assert set(arrived.values()) == {1}
    for lane in ("live", "bulk"):
        seqs = list(dict.fromkeys(key.seq for key in hub.keys if key.lane == lane))
        assert seqs == list(range(1, len(seqs) + 1)), lane


def test_a_half_open_line_is_seen_within_one_and_a_half_keep_alives(line, hub_on, agent, scanner):
    """Fault 9. The other end is gone without a word: nothing more comes, and nothing is closed."""
    keepalive_s = 1
    hub = hub_on()
    agent(edge_on(line, reader(scanner), keepalive_s=keepalive_s))
    scanner.wait_for_agent()
    scanner.send(b"before\n")
    until(lambda: hub.values("gate-qr") == ["before"], "a scan")
    links, began_s = line.traffic.accepted, time.monotonic()
    line.go_deaf()
    until(lambda: line.traffic.accepted > links, "another connection")
    assert time.monotonic() - began_s < 1.5 * keepalive_s + 3.0, "with three seconds for a busy machine"
    scanner.send(b"meanwhile\n")
    line.mend()
    until(lambda: hub.values("gate-qr") == ["before", "meanwhile"], "what came meanwhile")


def test_two_hundred_flaps_cost_no_reading_no_thread_and_no_descriptor(
    line, hub_on, agent, scanner, tmp_path, monkeypatch
):
    """Fault 10. Each connection is reset as soon as it stands."""
    monkeypatch.setattr(publisher, "LASTED_S", 0.0)
    monkeypatch.setattr(publisher, "Backoff", lambda **_: Backoff(first_s=0.002, longest_s=0.002))
    hub = hub_on()
    agent(edge_on(line, reader(scanner)))
    scanner.wait_for_agent()
    scanner.send(b"lot-0\n")
    until(lambda: hub.values("gate-qr") == ["lot-0"], "a scan")
    before = threading.active_count(), open_files()
    for n in range(1, 201):
        until(line.reset, "a connection to reset")
        if n % 10 == 0:
            scanner.send(b"lot-%d\n" % n)
    expected = {"lot-0", *(f"lot-{n}" for n in range(10, 201, 10))}
    until(lambda: set(hub.values("gate-qr")) == expected, "every scan")
    until(lambda: stored(tmp_path) == Counter(hub.frames.values()), "all that was stored")
    assert len(hub.values("gate-qr")) == len(expected)
    until(lambda: threading.active_count() <= before[0] + 2, "no thread more")
    until(lambda: open_files() <= before[1] + 4, "no descriptor more")


def test_on_a_line_of_64_kbit_s_an_alarm_overtakes_the_backlog(line, hub_on, agent, scanner, tmp_path):
    """Fault 11. A backlog of some 40 s waits; the newest scan does not wait behind it."""
    hub = hub_on()
    outbox = Outbox(tmp_path / "outbox.sqlite")
    many = [Reading("s", n, n + 0.123456789) for n in range(500)]
    outbox.append([Draft("bulk", "readings", readings_payload(many, "live")) for _ in range(24)])
    waiting = outbox.size_bytes
    outbox.close()
    assert waiting > 20 * 8_000
    line.throttle(8_000)
    agent(edge_on(line, reader(scanner), keepalive_s=30))
    scanner.wait_for_agent()
    until(lambda: len(hub.frames) >= 2, "the backlog on its way")
    began_s = time.monotonic()
    scanner.send(b"alarm\n")
    until(lambda: hub.values("gate-qr") == ["alarm"], "the alarm")
    took_s = time.monotonic() - began_s
    print(f"the alarm took {took_s:.1f} s, {len(hub.frames)} of 25 frames had arrived")
    assert len(hub.frames) < 25, "the backlog is still on its way"
    assert not hub.clashes
