"""The ingest process on a real broker and a real PostgreSQL: once each, acknowledged after commit, whatever dies."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import zmq
from fake_edge import FakeEdge, wait_for
from frames import key_of, readings_body, scans_body
from hub_files import test_hub

from sidestream_app.embedded.broker_config import BrokerKind
from sidestream_app.embedded.ports import free_port
from sidestream_contracts.hints import decode_hint
from sidestream_contracts.topics import DeviceAddress
from sidestream_ingest import arrivals
from sidestream_ingest.patience import Patience
from sidestream_ingest.stats import Stats
from sidestream_ingest.subscriber import BrokerAddress, Subscriber
from sidestream_store.fault_injection import refuse_value
from sidestream_store.hub_apply import apply_hub

pytestmark = pytest.mark.server


def now_us() -> int:
    return time.time_ns() // 1000


@pytest.fixture
def start_ingest(database, broker, tmp_path):
    """Starts ingest processes as a user does; all are ended with the test."""
    apply_hub(database, test_hub(), tmp_path)
    _, port = broker
    started = []

    def start(*options: str) -> subprocess.Popen:
        command = [
            sys.executable,
            "-m",
            "sidestream_app",
            "ingest",
            "run",
            "--dsn",
            database,
            "--broker-port",
            str(port),
        ]
        with (tmp_path / f"ingest-{len(started)}.log").open("wb") as log:
            started.append(subprocess.Popen([*command, *options], stderr=log))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
def edge(broker):
    sender = FakeEdge(broker[1])
    yield sender
    sender.close()


def counted(connection) -> tuple[int, int]:
    return connection.execute("SELECT count(*), count(DISTINCT (time, sensor_id)) FROM sidestream.reading").fetchone()


def some_frames(count: int, size: int = 10):
    start = now_us()
    frames = []
    for n in range(count):
        payload = readings_body(*(("flow", start + n * size + k, float(k)) for k in range(size)))
        frames.append((key_of(payload, n + 1), payload))
    return frames


def test_readings_land_once_are_acknowledged_and_hinted(start_ingest, edge, connect):
    hints = f"tcp://127.0.0.1:{free_port()}"
    with zmq.Context() as context, context.socket(zmq.SUB) as listener:
        listener.setsockopt(zmq.LINGER, 0)
        listener.subscribe(b"")
        listener.connect(hints)
        start_ingest("--hints", hints)
        assert edge.hello.wait(60)
        edge.send_until_acknowledged(some_frames(20))
        assert counted(connect()) == (200, 200)
        late = [(key_of(p, n + 21), p) for n, (_, p) in enumerate(some_frames(30))]
        for frame in late:  # a subscription takes a moment, and hints before it are missed by design
            edge.send_until_acknowledged([frame])
            if listener.poll(100):
                break
        assert decode_hint(listener.recv_multipart()) == ["flow"]


def test_bad_messages_are_kept_with_their_reason_and_cost_no_neighbour(start_ingest, edge, connect, database):
    refuse_value(database, 13.5)
    start_ingest()
    assert edge.hello.wait(60)
    t = now_us()
    bodies = [
        readings_body(("flow", t, 1.0), ("nosuch", t, 2.0), ("tin", t, float("nan")), ("tout", t, "12,5")),
        b'{"v":1,"kind":"readings","sens',
        readings_body(("flow", t + 3_600_000_000, 1.0), ("tin", t, 3.0)),
        readings_body(("flow", t + 1, 13.5)),
        readings_body(("flow", t + 2, 4.0)),
    ]
    edge.send(None, b"{}")
    edge.send(None, b"{}", topic="sidestream/v1/h/a/BAD ID/readings")
    edge.send_until_acknowledged([(key_of(body, n + 1), body) for n, body in enumerate(bodies)])
    connection = connect()
    assert connection.execute("SELECT count(*) FROM sidestream.reading").fetchone() == (3,)
    reasons = dict(
        connection.execute("SELECT reason, sum(readings)::int FROM sidestream.quarantine GROUP BY 1").fetchall()
    )
    assert reasons == {
        "unknown_sensor": 1,
        "not_finite": 1,
        "not_a_number": 1,
        "not_json": 0,
        "time_future": 1,
        "database_refused": 1,
        "bad_key": 0,
        "bad_topic": 0,
    }


POISON = [
    ("readings", readings_body(("flow", 10**400, 1.0))),
    ("readings", b'{"v":1,"kind":"parked","reason":"\\ud800","bytes":1,"limit":1,"hash":"x"}'),
    ("readings", readings_body(("flow", 1, 1.0), note="\ud800")),
    ("readings", b'{"a":' * 5000 + b"1" + b"}" * 5000),
    ("status", b'{"v":1,"state":"online","epoch":"e","at":"2026-11-22T12:00:00Z","trouble":"\\u0000"}'),
    ("status", b'{"v":1,"state":"online","epoch":"e","at":"2026-11-22T12:00:00Z","x":"\\ud800"}'),
    ("status", b'{"v":1,"state":"online","epoch":"\\u0000","at":"2026-11-22T12:00:00Z"}'),
]


def test_no_message_ends_ingest_for_the_others(start_ingest, edge, connect):
    process = start_ingest()
    assert edge.hello.wait(60)
    for n, (channel, body) in enumerate(POISON):
        edge.send(key_of(body, n + 1, "bulk") if channel == "readings" else None, body, channel=channel)
    edge.send_until_acknowledged(some_frames(3))
    connection = connect()
    wait_for(lambda: connection.execute("SELECT count(*) FROM sidestream.quarantine").fetchone()[0] >= len(POISON) - 1)
    assert process.poll() is None
    assert counted(connection) == (30, 30)


def test_a_frame_damaged_on_the_way_is_not_acknowledged_and_the_good_one_still_lands(start_ingest, edge, connect):
    start_ingest()
    assert edge.hello.wait(60)
    ((key, payload),) = some_frames(1)
    edge.send(key, payload.replace(b"flow", b"flov"))
    connection = connect()
    wait_for(
        lambda: connection.execute("SELECT 1 FROM sidestream.quarantine WHERE reason = 'hash_mismatch'").fetchone()
    )
    assert not edge.acknowledged
    edge.send_until_acknowledged([(key, payload)])
    assert counted(connection) == (10, 10)


def test_a_full_queue_makes_the_broker_wait_and_loses_nothing(edge, broker, monkeypatch):
    monkeypatch.setattr(arrivals, "MOST_MESSAGES", 100)
    subscriber = Subscriber(BrokerAddress("127.0.0.1", broker[1], keepalive_s=2), "h", "w")
    subscriber.start()
    try:
        assert edge.hello.wait(60)
        frames = some_frames(700, size=40)
        for key, payload in frames:
            edge.send(key, payload)
        wait_for(lambda: subscriber.times_full == 1)
        time.sleep(4)  # longer than the keep-alive, in which nobody takes anything
        assert subscriber.backlog()[0] < 700
        taken = []
        wait_for(lambda: taken.extend(subscriber.take(50, 0.05, 0.1)) or len(taken) == 700)
        assert [a.payload for a in taken] == [payload for _, payload in frames]
        assert {a.generation for a in taken} == {1}
    finally:
        subscriber.stop()


def test_an_unknown_device_is_quarantined_and_acknowledged(start_ingest, broker, connect):
    start_ingest()
    stranger = FakeEdge(broker[1], DeviceAddress("h", "a", "stranger"))
    try:
        assert stranger.hello.wait(60)
        stranger.send_until_acknowledged(some_frames(1))
    finally:
        stranger.close()
    assert connect().execute("SELECT reason, readings FROM sidestream.quarantine").fetchall() == [
        ("unknown_device", 10)
    ]


def test_killing_ingest_at_any_moment_loses_and_doubles_nothing(start_ingest, edge, connect):
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    draw = random.Random(seed)
    frames = some_frames(300, size=20)
    process = start_ingest()
    assert edge.hello.wait(60)
    for n, (key, payload) in enumerate(frames):
        edge.send(key, payload)
        if n % 75 == 50:
            time.sleep(draw.uniform(0, 0.05))
            process.send_signal(signal.SIGKILL)
            process.wait()
            process = start_ingest()
    edge.send_until_acknowledged(frames, within_s=30)
    assert counted(connect()) == (6000, 6000)


def test_two_workers_share_the_load_and_stay_correct(start_ingest, edge, connect):
    first = start_ingest()
    start_ingest()
    assert edge.hello.wait(60)
    frames = some_frames(200)
    for key, payload in frames[:100]:
        edge.send(key, payload)
    first.kill()
    edge.send_until_acknowledged(frames, within_s=30)
    assert counted(connect()) == (2000, 2000)


def test_a_database_that_goes_away_is_waited_for_and_nothing_is_acknowledged_meanwhile(
    start_ingest, edge, connect, postgres
):
    start_ingest()
    assert edge.hello.wait(60)
    edge.send_until_acknowledged(some_frames(5))
    restarts = postgres.supervisor.restarts("postgres")
    postgres.supervisor.kill("postgres")
    frames = [(key_of(p, n + 6), p) for n, (_, p) in enumerate(some_frames(20))]
    for key, payload in frames:
        edge.send(key, payload)
    postgres.supervisor.wait_ready("postgres", restarts=restarts + 1)
    edge.send_until_acknowledged(frames, within_s=30)
    assert counted(connect()) == (250, 250)


def test_it_ends_cleanly_on_sigterm(start_ingest, edge):
    process = start_ingest()
    assert edge.hello.wait(60)
    process.send_signal(signal.SIGTERM)
    assert process.wait(5) == 0


def test_it_ends_cleanly_while_it_waits_for_a_database_that_is_away():
    stop, stats = threading.Event(), Stats()
    patience = Patience("commit", f"postgresql://127.0.0.1:{free_port()}/none", stop, stats)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(patience.persist, lambda _: "done")
        wait_for(lambda: stats.waiting_s > 0)
        stop.set()
        assert waiting.result(5) is None


def test_what_goes_wrong_while_a_batch_is_committed_ends_the_worker_and_says_why(start_ingest, edge, connect, tmp_path):
    process = start_ingest()
    assert edge.hello.wait(60)
    connect().execute("ALTER TABLE sidestream.dirty RENAME TO gone")
    ((key, payload),) = some_frames(1)
    edge.send(key, payload)
    assert process.wait(30) == 2
    assert b"sidestream db migrate" in (tmp_path / "ingest-0.log").read_bytes()
    assert counted(connect()) == (0, 0)


def test_a_database_without_a_hub_is_refused_with_exit_code_2(database, broker):
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
    done = subprocess.run(command, capture_output=True, timeout=30, check=False, env=os.environ)
    assert done.returncode == 2
    assert b"sidestream hub apply" in done.stderr


def test_a_will_of_an_old_connection_does_not_put_a_device_offline(start_ingest, edge, connect):
    start_ingest()
    assert edge.hello.wait(60)
    for state, epoch in (("online", "2" * 32), ("offline", "1" * 32)):
        body = f'{{"v":1,"state":"{state}","epoch":"{epoch}","at":"2026-11-22T12:00:00Z"}}'.encode()
        edge.send(None, body, channel="status")
    connection = connect()
    wait_for(lambda: connection.execute("SELECT 1 FROM sidestream.device_status").fetchone())
    time.sleep(0.3)
    assert connection.execute("SELECT state FROM sidestream_v.device WHERE device = 'gw'").fetchone() == ("online",)


@pytest.mark.parametrize("broker_kind", [None, BrokerKind.IOTCORE])
def test_a_killed_broker_comes_back_empty_and_everything_still_lands_once(start_ingest, edge, broker, connect):
    supervisor, _ = broker
    start_ingest()
    assert edge.hello.wait(60)
    frames = some_frames(60)
    edge.send_until_acknowledged(frames[:30])
    supervisor.kill("broker")
    supervisor.wait_ready("broker", restarts=1)
    edge.send_until_acknowledged(frames[30:], within_s=30)
    scans = [scans_body(("gate", now_us(), f"BAG-{n}")) for n in range(5)]
    for n, body in enumerate(scans):
        edge.send_until_acknowledged([(key_of(body, n + 1, "scan"), body)], channel="scans")
    assert counted(connect()) == (600, 600)
    assert connect().execute("SELECT count(*) FROM sidestream.scan").fetchone() == (5,)
