"""A hub filled as ingest and twin would fill it, and the real web server over it as a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
import uvicorn
import zmq
from fastapi import FastAPI
from hub_files import test_hub

from sidestream_app.embedded.ports import free_port
from sidestream_contracts.hints import encode_hint
from sidestream_contracts.hubcheck import load_hub
from sidestream_store.hub_apply import apply_hub
from sidestream_web.app import create_app
from sidestream_web.settings import NO_OPERATORS, Operators, Settings


class Filled:
    """Writes rows as ingest and twin do; every method says what the page should then know."""

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        self.sql = psycopg.connect(dsn, autocommit=True)

    def reading(self, sensor: str, value: float | None, *, ago_s: float = 0.0, quality: int = 0) -> None:
        """A committed reading that is the sensor's newest, and is in its history."""
        self.sql.execute("SELECT sidestream.ensure_partitions(now() - interval '2 days', now() + interval '1 day')")
        self.sql.execute(
            """
            WITH r AS (
                INSERT INTO sidestream.reading (time, sensor_id, value, quality, frame_id)
                SELECT now() - make_interval(secs => %(ago)s), sensor_id, %(value)s, %(quality)s, 1
                FROM sidestream.sensor WHERE id = %(sensor)s RETURNING *
            )
            INSERT INTO sidestream.latest (sensor_id, time, value, quality, recorded, received_at, frame_id)
            SELECT sensor_id, time, value, quality, false, now(), 1 FROM r
            ON CONFLICT (sensor_id) DO UPDATE SET time = excluded.time, value = excluded.value,
                quality = excluded.quality, received_at = excluded.received_at
            """,
            {"sensor": sensor, "value": value, "ago": ago_s, "quality": quality},
        )

    def state(self, kind: str, subject: str, quantity: str, value: float | None, sd: float = 0.0, **more: Any) -> None:
        """The twin's newest value, whose step ended just now unless `ago_s` says otherwise."""
        row = {"origin": "measured", "ago": more.pop("ago_s", 12), "flags": "[]", **more}
        self.sql.execute(
            """
            INSERT INTO sidestream.twin_latest SELECT %(kind)s, %(subject)s, %(quantity)s,
                now() - make_interval(secs => %(ago)s), 10, %(value)s, %(sd)s * 0.6, %(sd)s * 0.8, %(origin)s, 1,
                '{"sensors": ["x"]}', %(flags)s, now()
            ON CONFLICT (subject_kind, subject, quantity) DO UPDATE SET time = excluded.time, value = excluded.value
            """,
            {"kind": kind, "subject": subject, "quantity": quantity, "value": value, "sd": sd, **row},
        )

    def steps(self, kind: str, subject: str, quantity: str, value: float, sd: float, *, hours: float = 30) -> None:
        """A history of ten-minute steps up to now."""
        self.sql.execute(
            """
            INSERT INTO sidestream.twin_value SELECT %(kind)s, %(subject)s, %(quantity)s, t, 600,
                %(value)s * (1 + 0.05 * sin(extract(epoch FROM t) / 5000)), %(sd)s * 0.6, %(sd)s * 0.8, 'measured', 1, 60,
                '{"sensors": ["x"]}', '[]', now()
            FROM generate_series(date_bin('600 s', now() - make_interval(hours => %(hours)s::int), 'epoch'),
                now() - interval '600 s', '600 s') t
            """,
            {"kind": kind, "subject": subject, "quantity": quantity, "value": value, "sd": sd, "hours": hours},
        )

    def agreement(self, agreement: str, share: float, status: str, reason: str) -> None:
        """An assessment of today: `share` of what was expected so far is delivered."""
        self.sql.execute(
            """
            INSERT INTO sidestream.agreement_status
            SELECT id, date_trunc('day', now()), date_trunc('day', now()) + interval '1 day', amount * si_factor,
                amount * si_factor * 0.6, amount * si_factor * 0.6 * %(share)s, amount * si_factor * 0.005,
                amount * si_factor * 0.01, 'measured', 0.98, %(status)s, %(reason)s, '{}', now()
            FROM sidestream.agreement WHERE id = %(agreement)s
            """,
            {"agreement": agreement, "share": share, "status": status, "reason": reason},
        )

    def scan(self, sensor: str, code: str, *, ago_s: float = 0.0) -> None:
        """A code read by a scanner, its newest one."""
        self.sql.execute(
            """
            WITH r AS (
                INSERT INTO sidestream.scan (time, sensor_id, code, rssi, quality, recorded, frame_id)
                SELECT now() - make_interval(secs => %(ago)s), sensor_id, %(code)s, NULL, 0, false, 1
                FROM sidestream.sensor WHERE id = %(sensor)s RETURNING *
            )
            INSERT INTO sidestream.latest (sensor_id, time, code, quality, recorded, received_at, frame_id)
            SELECT sensor_id, time, code, quality, false, now(), 1 FROM r
            ON CONFLICT (sensor_id) DO UPDATE SET time = excluded.time, code = excluded.code
            """,
            {"sensor": sensor, "code": code, "ago": ago_s},
        )

    def lot(self, code: str, lot_type: str, place: str | None, *, from_place: str | None = None) -> None:
        """A lot at a place since ten minutes, after a stay elsewhere."""
        self.sql.execute(
            "INSERT INTO sidestream.lot VALUES (%s, %s, %s, now() - interval '10 min', now() - interval '2 min', 4, now())",
            [code, lot_type, place],
        )
        self.sql.execute(
            "INSERT INTO sidestream.lot_stay VALUES (%s, now() - interval '1 h', now() - interval '30 min', %s, 2),"
            " (%s, now() - interval '10 min', now() - interval '2 min', %s, 2)",
            [code, from_place, code, place],
        )

    def quarantine(self, device: str, reason: str, count: int = 1) -> None:
        """Something kept apart."""
        self.sql.execute(
            "INSERT INTO sidestream.quarantine (device, reason, hash, detail, topic, properties, raw, first_at, last_at,"
            " count, readings) VALUES (%s, %s, 'abc', 'A sentence.', 't', '{}', '\\xff00'::bytea, now() - interval '1 h',"
            " now() - interval '3 min', %s, %s)",
            [device, reason, count, count],
        )

    def device(self, device: str, state: str) -> None:
        """A status message of an agent."""
        body = json.dumps({"state": state, "outbox": [{"lane": "live", "frames": 2}], "drivers": [], "parked": 0})
        self.sql.execute(
            "INSERT INTO sidestream.device_status SELECT device_id, %s, 'e', now(), now(), %s FROM sidestream.device"
            " WHERE id = %s ON CONFLICT (device_id) DO UPDATE SET state = excluded.state",
            [state, body, device],
        )

    def rollup(self, sensor: str, *, hours: int = 3) -> None:
        """Roll-ups of the last hours from what is in the history."""
        self.sql.execute(
            "SELECT sidestream.refresh_rollups(ARRAY[sensor_id], now() - make_interval(hours => %s), now())"
            " FROM sidestream.sensor WHERE id = %s",
            [hours, sensor],
        )


@pytest.fixture
def small(database: str, tmp_path: Path) -> Iterator[Filled]:
    """The test hub of `hub_files`, nothing measured yet."""
    accurate = {"limit_pct": 2, "random_abs": 0.1}
    hub = test_hub()
    sensors = [s.model_copy(update={"accuracy": s.accuracy.model_copy(update=accurate)}) if s.id == "flow" else s
               for s in hub.sensors]  # fmt: skip
    apply_hub(database, hub.model_copy(update={"sensors": sensors}), tmp_path)
    filled = Filled(database)
    yield filled
    filled.sql.close()


@pytest.fixture
def kvinesdal(database: str) -> Iterator[Filled]:
    """The example hub in the middle of a day on which not everything is well."""
    path = Path(str(files("sidestream_simulators") / "hubs" / "kvinesdal_like" / "hub.yaml"))
    hub = load_hub(path)
    apply_hub(database, hub, path.parent)
    filled = Filled(database)
    for number, sensor in enumerate(hub.sensors):
        if sensor.quantity != "scan":
            low, high = sensor.range or (0, 100)
            filled.reading(sensor.id, low + (high - low) * (0.35 + 0.02 * (number % 9)))
    for sensor, ago_s in (("school-heat-flow", 400), ("school-heat-ts", 405)):
        filled.reading(sensor, 12.5, ago_s=ago_s)
    filled.reading("silo-level", 7.3)
    filled.reading("slag-moisture", 6.1, quality=2)
    _fill_flows(filled)
    _fill_rest(filled)
    yield filled
    filled.sql.close()


def _fill_flows(filled: Filled) -> None:
    heat = {"boiler-heat": 8.4e6, "dump-heat": 1.9e6, "orc-heat": 3.35e6, "fish-heat": 1.31e6, "fish-intake": 1.26e6,
            "net-heat": 1.78e6, "net-intake": 1.69e6, "village-heat": 1.02e6, "orc-reject": 2.9e6}  # fmt: skip
    for stream, watts in heat.items():
        filled.state("stream", stream, "heat_flow", watts, watts * 0.018)
        filled.steps("stream", stream, "heat_flow", watts, watts * 0.018)
    filled.state("stream", "school-heat", "heat_flow", 0.61e6, 0.02e6, ago_s=400)
    filled.state("stream", "offgas", "heat_flow", 9.1e6, 0.31e6, origin="estimated")
    filled.state("stream", "power-out", "power", 412e3, 1.9e3)
    filled.steps("stream", "power-out", "power", 412e3, 1.9e3)
    mass = {"slag-arisings": 61.0, "slag-to-bagging": 48.5, "slag-to-deposit": 20.1, "slag-reclaim": 7.7, "bagged": 49.0,
            "bags-delivered": 47.2, "bags-out": 47.9}  # fmt: skip
    for stream, kg_s in mass.items():
        filled.state("stream", stream, "mass_flow", kg_s, kg_s * 0.01)
        filled.steps("stream", stream, "mass_flow", kg_s, kg_s * 0.01)
    stock = {
        "slag-silo": (14_900, 140),
        "deposit": (63_870_000, 1_500_000),
        "bag-store": (9_500, 26),
        "yard": (800, 21),
    }
    for node, (kg, sd) in stock.items():
        filled.state("node", node, "stock_mass", kg, sd, origin="estimated" if node == "deposit" else "measured")
        filled.steps("node", node, "stock_mass", kg, sd)


def _fill_rest(filled: Filled) -> None:
    filled.agreement("heat-to-powerco", 1.02, "on_track", "within_tolerance")
    filled.agreement("heat-to-fishfarm", 0.81, "at_risk", "below")
    filled.agreement("slag-to-roadbuilder", 1.0, "unknown", "low_coverage")
    for number in range(14):
        place = ("bag-store", "gate", "yard", None)[number % 4]
        filled.lot(f"SS-BAG-{number:04}", "big-bag", place, from_place="bag-store")
    for number in range(8):
        filled.scan(
            ("scan-bagging", "scan-gate", "scan-yard")[number % 3], f"SS-BAG-{number:04}", ago_s=40.0 * (8 - number)
        )
    filled.device("gw-smelter", "online")
    filled.quarantine("kvinesdal-like/smelter/gw-smelter", "unknown_sensor", 12)
    filled.quarantine("kvinesdal-like/smelter/gw-smelter", "not_a_number", 3)


@dataclass
class Running:
    """A web server and the socket that stands for ingest's hints."""

    url: str
    hints: zmq.Socket[bytes]

    def hint(self, *sensors: str) -> None:
        """What ingest says after a commit."""
        self.hints.send_multipart(encode_hint(sensors))

    def get(self, path: str, **params: Any) -> httpx.Response:
        """A GET of the read API."""
        return httpx.get(f"{self.url}/api/v1/{path}", params=params, timeout=20)

    def answers(self) -> bool:
        """Whether it serves, well or not."""
        try:
            return self.get("health").status_code in (200, 503)
        except httpx.TransportError:
            return False


@pytest.fixture
def hint_socket() -> Iterator[tuple[zmq.Socket[bytes], str]]:
    """A bound PUB socket and its address."""
    with zmq.Context() as context, context.socket(zmq.PUB) as hints:
        hints.setsockopt(zmq.LINGER, 0)
        yield hints, f"tcp://127.0.0.1:{hints.bind_to_random_port('tcp://127.0.0.1')}"


@pytest.fixture
def start_web(hint_socket: tuple[zmq.Socket[bytes], str]) -> Iterator[Callable[[str], Running]]:
    """Starts the real server on a real port, in a thread of the test's process, since starting a process takes seconds."""
    started: list[tuple[FastAPI, uvicorn.Server, threading.Thread]] = []

    def start(dsn: str, operators: Operators = NO_OPERATORS) -> Running:
        app = create_app(Settings(dsn=dsn, hints_address=hint_socket[1], operators=operators))
        port = free_port()
        server = uvicorn.Server(uvicorn.Config(app, port=port, log_config=None, timeout_graceful_shutdown=1))
        thread = threading.Thread(target=server.run)
        thread.start()
        started.append((app, server, thread))
        wait_until(lambda: server.started)
        return Running(f"http://127.0.0.1:{port}", hint_socket[0])

    yield start
    for app, server, thread in started:
        app.state.broadcaster.close()
        server.should_exit = True
        thread.join(10)
        assert not thread.is_alive()
        assert app.state.failure is None


_SERVE = "import sys; from sidestream_web.serve import serve; sys.exit(serve(sys.argv[1], '127.0.0.1', int(sys.argv[2]), sys.argv[3]))"


@pytest.fixture
def start_process(
    hint_socket: tuple[zmq.Socket[bytes], str],
) -> Iterator[Callable[[str], tuple[Running, subprocess.Popen[bytes]]]]:
    """Starts `serve` as a process of its own, to be ended by signals."""
    started: list[subprocess.Popen[bytes]] = []

    def start(dsn: str) -> tuple[Running, subprocess.Popen[bytes]]:
        port = free_port()
        started.append(subprocess.Popen([sys.executable, "-c", _SERVE, dsn, str(port), hint_socket[1]]))
        running = Running(f"http://127.0.0.1:{port}", hint_socket[0])
        wait_until(running.answers)
        return running, started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait(10)


def wait_until(condition: Callable[[], bool], within_s: float = 30.0) -> None:
    """Returns when the condition holds; fails the test at the deadline."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {within_s} s"
        time.sleep(0.02)
