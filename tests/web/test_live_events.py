"""Server-sent events: newest first, soon after the hint, nothing piles up, and the end is quick."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from queue import Empty, Queue
from typing import Any

import psycopg
import pytest
from hub_files import test_hub

from sidestream_app.embedded.ports import free_port
from sidestream_store.hub_apply import apply_hub

pytestmark = pytest.mark.server


class Reader:
    """An open live page: its events, each with the time it came."""

    def __init__(self, url: str) -> None:
        self.events: Queue[tuple[str, dict[str, Any], float]] = Queue()
        connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=30)
        connection.request("GET", "/api/v1/live")
        self._socket = connection.sock
        self._answer = connection.getresponse()
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        name = ""
        with suppress(http.client.IncompleteRead):  # a server that ends may cut the last chunk
            for line in self._answer:
                field, _, text = line.decode().rstrip("\n").partition(": ")
                if field == "event":
                    name = text
                elif field == "data":
                    self.events.put((name, json.loads(text), time.time()))

    def next(
        self, name: str, wanted: Callable[[dict[str, Any]], bool] = lambda _: True, within_s: float = 10
    ) -> dict[str, Any]:
        """The next event of that name that is wanted; others are passed over."""
        deadline = time.monotonic() + within_s
        while True:
            try:
                found, data, _ = self.events.get(timeout=max(deadline - time.monotonic(), 0.01))
            except Empty:
                pytest.fail(f"no {name} within {within_s} s")
            if found == name and wanted(data):
                return data

    def close(self) -> None:
        with suppress(OSError):  # the server may have closed first
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)
        self._answer.close()
        self._socket.close()


@contextmanager
def reading(url: str) -> Iterator[Reader]:
    reader = Reader(url)
    try:
        yield reader
    finally:
        reader.close()


def shows(sensor: str, value: float) -> Callable[[dict[str, Any]], bool]:
    return lambda data: any(row["sensor"] == sensor and row["value"] == value for row in data["readings"])


def test_a_page_gets_everything_on_connecting_and_then_only_what_changed(small, start_web):
    small.reading("flow", 10.0)
    web = start_web(small.dsn)
    with reading(web.url) as page:
        snapshot = page.next("snapshot")
        assert snapshot["hub"]["hub"]["synthetic"] is True
        assert {row["sensor"] for row in snapshot["readings"]} == {"flow", "gate", "silo_mass", "theirs", "tin", "tout"}
        sections = {
            "exchanges",
            "stocks",
            "agreements",
            "devices",
            "quarantine",
            "scans",
            "places",
            "totals",
            "database",
        }
        assert sections <= snapshot.keys()
        assert abs(snapshot["server_t"] / 1e6 - time.time()) < 5
        small.reading("flow", 11.0)
        web.hint("flow")
        (row,) = page.next("latest", shows("flow", 11.0))["readings"]
        assert row["unit"] == "m3/h"
        assert row["mark"] == "good"
        assert row.keys() == {"sensor", "t", "value", "sd", "code", "quality", "mark", "unit", "received_t"}
        small.state("node", "silo", "stock_mass", 500.0, 5.0)
        assert page.next("states", lambda data: "stocks" in data)["stocks"][0]["mass_kg"] == 500.0


def test_without_hints_polling_brings_a_reading_within_three_seconds(small, start_web):
    web = start_web(small.dsn)
    with reading(web.url) as page:
        page.next("snapshot")
        small.reading("tin", 71.5)
        page.next("latest", shows("tin", 71.5), within_s=3)


def test_a_reading_becomes_stale_on_the_page_without_any_message(small, start_web):
    web = start_web(small.dsn)
    small.reading("flow", 10.0, ago_s=12)
    with reading(web.url) as page:
        page.next("snapshot", lambda data: any(r["sensor"] == "flow" and r["mark"] == "good" for r in data["readings"]))
        page.next("latest", lambda data: any(r["sensor"] == "flow" and r["mark"] == "stale" for r in data["readings"]))


def test_committed_readings_reach_pages_within_a_second_and_a_half_at_200_readings_a_second(small, start_web):
    """40 sensors × 5 Hz for six seconds; t is the commit's time, so t → arrival is commit → page."""
    small.sql.execute(
        "INSERT INTO sidestream.sensor (id, device_id, name, quantity, unit, si_unit, si_factor, si_offset, role, limit_pct,"
        " limit_abs, random_pct, random_abs, period_s) SELECT 's' || n, (SELECT min(device_id) FROM sidestream.device), 's',"
        " 'power', 'kW', 'W', 1000, 0, 'other', 1, 0, 0, 0, 0.2 FROM generate_series(1, 40) n"
    )
    names = [f"s{n}" for n in range(1, 41)]
    web = start_web(small.dsn)
    with reading(web.url) as first, reading(web.url) as second:
        first.next("snapshot")
        second.next("snapshot")
        for tick in range(30):
            next_tick = time.monotonic() + 0.2
            small.sql.execute(
                "INSERT INTO sidestream.latest SELECT sensor_id, clock_timestamp(), %s, NULL, 0, false, now(), 1"
                " FROM sidestream.sensor WHERE id LIKE 's_%%' AND unit = 'kW' ON CONFLICT (sensor_id) DO UPDATE"
                " SET time = excluded.time, value = excluded.value",
                [float(tick)],
            )
            web.hint(*names)
            time.sleep(max(next_tick - time.monotonic(), 0))
        for page in (first, second):
            delays = sorted(_delays(page, last=29.0))
            assert len(delays) > 40 * 10
            assert delays[int(0.95 * len(delays))] < 1.5


def _delays(page: Reader, last: float) -> list[float]:
    delays: list[float] = []
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        name, data, came = page.events.get(timeout=10)
        if name == "latest":
            rows = [row for row in data["readings"] if row["unit"] == "kW"]
            delays += [came - row["t"] / 1e6 for row in rows]
            if any(row["value"] == last for row in rows):
                return delays
    pytest.fail("the last reading never came")


def test_a_page_that_does_not_read_finds_the_newest_value_and_not_a_backlog(small, start_web):
    web = start_web(small.dsn)
    host, port = web.url.removeprefix("http://").split(":")
    sensors = ("flow", "tin", "tout", "silo_mass", "theirs")
    small.sql.execute("UPDATE sidestream.sensor SET unit = repeat('x', 250000) WHERE quantity <> 'scan'")
    for sensor in sensors:
        small.reading(sensor, -1.0)
    with socket.create_connection((host, int(port))) as slow:
        slow.sendall(b"GET /api/v1/live HTTP/1.1\r\nHost: x\r\n\r\n")
        with reading(web.url) as quick:
            quick.next("snapshot")
            for value in range(40):
                small.sql.execute("UPDATE sidestream.latest SET time = clock_timestamp(), value = %s", [float(value)])
                web.hint(*sensors)
                quick.next("latest", shows("theirs", float(value)))
        slow.settimeout(10)
        came = bytearray()
        while came.rfind(b'"value":39.0', max(len(came) - 2_000_000, 0)) < 0:
            came += slow.recv(1 << 20)
    values = [value for value in range(40) if b'"value":%d.0' % value in came]
    assert len(values) < 30, "what the page was too slow for must be passed over"


def test_a_new_hub_version_brings_a_new_snapshot(small, start_web, tmp_path):
    web = start_web(small.dsn)
    with reading(web.url) as page:
        page.next("snapshot")
        apply_hub(small.dsn, test_hub(sensors=[]), tmp_path)
        assert page.next("snapshot")["hub"]["sensors"] == []


def test_the_page_is_told_when_the_database_is_away_and_when_it_is_back(small, postgres, start_web):
    web = start_web(small.dsn)
    name = psycopg.conninfo.conninfo_to_dict(small.dsn)["dbname"]
    with reading(web.url) as page, psycopg.connect(postgres.dsn("postgres"), autocommit=True) as admin:
        page.next("snapshot")
        admin.execute(f"ALTER DATABASE {name} CONNECTION LIMIT 0")
        admin.execute("SET ROLE NONE")
        _cut(admin, name)
        admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        _cut(admin, name)
        page.next("states", lambda data: data.get("database", {}).get("ok") is False, within_s=20)
        admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        admin.execute(f"ALTER DATABASE {name} CONNECTION LIMIT -1")
        page.next("states", lambda data: data.get("database", {}).get("ok") is True, within_s=40)


def _cut(admin: psycopg.Connection[Any], name: str) -> None:
    admin.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND application_name = 'sidestream web'",
        [name],
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_in_two_seconds_with_open_pages(small, start_process, number):
    web, process = start_process(small.dsn)
    with reading(web.url) as page:
        page.next("snapshot")
        began = time.monotonic()
        os.kill(process.pid, number)
        assert process.wait(10) == 0
        assert time.monotonic() - began < 2


def test_a_port_in_use_is_said_with_a_way_out(small):
    port = free_port()
    with socket.create_server(("127.0.0.1", port)):
        code = (
            "from sidestream_web.serve import serve; from sidestream_contracts.errors import ConfigurationError as E\n"
            f"try: serve({small.dsn!r}, '127.0.0.1', {port})\nexcept E as error: print(error)"
        )
        out = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30
        ).stdout
    assert f"127.0.0.1:{port}" in out
    assert "--port" in out
