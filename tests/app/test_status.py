"""`sidestream status`: on a well plant all is OK; each part that is down is named, with what to do, within two seconds."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hub_files import test_hub

from sidestream_app.embedded.ports import free_port
from sidestream_app.status.ask import Where, disk, look
from sidestream_app.status.judge import device_troubles, devices, flows, ingest, judge, quarantine, storage, twin
from sidestream_contracts.metrics import Sample, show
from sidestream_store.hub_apply import apply_hub
from sidestream_store.partitions import ensure_range
from sidestream_store.read.plant import (
    DeviceState,
    Plant,
    QuarantineState,
    StorageState,
    TwinState,
    WorkerState,
    read_plant,
)  # fmt: skip
from sidestream_store.roles import ensure_viewer
from sidestream_store.workers import Identity, beat

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
WELL = {
    "broker": "127.0.0.1:1883", "broker_connected": True, "readings_per_s": 500.0, "queue_full_lately": 0,
    "last_commit_at": NOW.isoformat(),
}  # fmt: skip


def worker(kind="ingest", *, alive=True, silent_s=2.0, started_s=3600.0, **figures) -> WorkerState:
    return WorkerState(
        "w", kind, "host", 42, "0.1.0", NOW - timedelta(seconds=started_s), NOW - timedelta(seconds=silent_s), silent_s,
        alive, {**WELL, **figures},
    )  # fmt: skip


def device(state="online", **body) -> DeviceState:
    return DeviceState("gw", "a", "Gateway", state, NOW - timedelta(minutes=5), body)


STORED = StorageState("plain", 5_000_000, NOW + timedelta(days=10), 3)
RULES = [
    (ingest([worker()], NOW), "ok", "500 readings/s"),
    (ingest([], NOW), "broken", "no worker is running"),
    (ingest([worker(alive=False, silent_s=300)], NOW), "broken", "process 42 on host was last seen 5 min ago"),
    (ingest([worker(broker_connected=False)], NOW), "broken", "without the broker 127.0.0.1:1883"),
    (ingest([worker(), worker(broker_connected=False)], NOW), "attention", "1 worker without the broker"),
    (ingest([worker(queue_full_lately=7)], NOW), "attention", "the queue was full 7 times in the last seconds"),
    (ingest([worker(), worker(alive=False, silent_s=60)], NOW), "attention", "ended without a word"),
    (ingest([worker(started_s=50), worker(alive=False, silent_s=60)], NOW), "ok", "1 worker"),
    (ingest(None, NOW), "attention", "could not be read"),
    (flows([worker("flows", last_pass_s=0.2)], NOW), "ok", "last pass 0.2 s"),
    (flows([worker()], NOW), "broken", "no flows process"),
    (flows([worker("flows", trouble="the heat of s1 can't be computed")], NOW), "attention", "the heat of s1"),
    (twin(TwinState(9, 0, NOW), STORED, NOW), "ok", "9 figures"),
    (twin(TwinState(9, 2, NOW), STORED, NOW), "attention", "2 are stale"),
    (twin(TwinState(9, 0, NOW), replace(STORED, dirty_ranges=100_000), NOW), "attention", "100000+ changes wait"),
    (twin(TwinState(9, 0, NOW - timedelta(hours=1)), STORED, NOW), "attention", "nothing is computed"),
    (twin(TwinState(0, 0, None), replace(STORED, dirty_ranges=0), NOW), "ok", "no figures yet"),
    (devices([device()], NOW), "ok", "1 of 1 online"),
    (devices([device(), device("offline")], NOW), "attention", "gw (offline for 5 min)"),
    (devices([replace(device("never seen"), received_at=None)], NOW), "broken", "gw (never seen)"),
    (devices([device(), device("manual")], NOW), "ok", "1 of 1 online; 1 device of kind manual"),
    (devices([device("manual")], NOW), "ok", "no gateway; 1 device of kind manual"),
    (devices([device("offline"), device("manual")], NOW), "broken", "0 of 1 online; 1 device of kind manual"),
    (devices([device(held={"bulk": "outbox_full"}, refused={"outbox_full": 12})], NOW), "attention", "dropped 12 readings"),
    (quarantine(QuarantineState(0, 0, None, None, None), NOW), "ok", "nothing is open"),
    (quarantine(QuarantineState(4, 2, NOW, "unknown_sensor", "h/a/gw"), NOW), "attention", "h/a/gw: unknown_sensor"),
    (storage(STORED, NOW), "ok", "partitions until 2026-12-02"),
    (storage(replace(STORED, partitions_until=NOW + timedelta(hours=5)), NOW), "attention", "partitions until"),
    (storage(replace(STORED, profile="timescale", partitions_until=None), NOW), "ok", "timescale profile"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "level", "text"), RULES, ids=lambda value: value if isinstance(value, str) else "")
def test_each_state_has_its_level_and_its_words_and_trouble_says_what_to_do(line, level, text):
    assert line.level == level
    assert text in line.text
    assert bool(line.todo) == (level != "ok")


def test_a_gateway_tells_its_own_troubles():
    body = {
        "outbox_bytes": 800, "outbox_limit_bytes": 1000, "parked": 2,
        "drivers": [{"id": "meter", "state": "failed", "error": "connection refused"}, {"id": "gun", "state": "running"},
                    {"id": "plc", "state": "running", "trouble": "No answer.", "last_good_at": "2026-11-22T11:58:03Z"}],
    }  # fmt: skip
    assert list(device_troubles(device(**body))) == [
        "gw's outbox is 80 % full (800 B of 1 kB)",
        "gw keeps 2 frames that the broker would not carry",
        "gw: driver meter failed: connection refused",
        "gw: driver plc: No answer. Last good 2026-11-22 11:58 UTC.",
    ]


def test_a_disk_is_told_with_its_room(tmp_path):
    assert "free at" in disk(tmp_path).text
    assert disk(tmp_path / "nowhere").level == "attention"


def status(*words: str, **env: str) -> tuple[subprocess.CompletedProcess[str], float]:
    began_s = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "sidestream_app", "status", *words],
        capture_output=True, text=True, timeout=30, check=False, env={**os.environ, **env},
    )  # fmt: skip
    return done, time.monotonic() - began_s


def test_without_a_database_it_says_so_and_still_tells_of_broker_and_ingest():
    waiting = [
        Sample("sidestream_ingest_database_waiting_seconds", 150.0),
        Sample("sidestream_ingest_queue_messages", 500),
    ]
    shown = show(lambda: waiting, port=0)
    with socket.create_server(("127.0.0.1", 0)) as broker:
        where = ["--dsn", f"host=127.0.0.1 port={free_port()} dbname=x", "--metrics", f"http://127.0.0.1:{shown.port}/metrics",
                 "--broker-host", "127.0.0.1", "--broker-port", str(broker.getsockname()[1])]  # fmt: skip
        done, _ = status(*where)
    shown.close()
    assert done.returncode == 1
    assert "BROKEN     database     does not answer" in done.stdout
    assert "OK         broker" in done.stdout
    assert "waiting for the database for 2 min, 500 messages in its queue" in " ".join(done.stdout.split())


def test_a_server_that_takes_connections_and_never_answers_costs_a_second():
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        began_s = time.monotonic()
        seen = look(Where(f"host=127.0.0.1 port={deaf.getsockname()[1]} user=x dbname=x"))
        took_s = time.monotonic() - began_s
    assert [(line.subject, line.level) for line in seen.lines] == [("database", "broken")]
    assert took_s < 1.5


@pytest.mark.server
def test_a_well_plant_is_all_ok_for_a_login_that_only_reads_the_views(database, connect, tmp_path, broker):
    connection = connect()
    apply_hub(
        database,
        test_hub(devices=[{"id": "gw", "party": "a", "name": "Gateway"}, {"id": "gw2", "party": "b", "name": "B"}]),
        tmp_path,
    )
    now_at = datetime.now(UTC)
    ensure_range(connection, now_at, now_at + timedelta(weeks=2))
    where = f"127.0.0.1:{broker[1]}"
    for kind in ("ingest", "flows"):
        beat(
            connection,
            Identity(kind),
            {"broker": where, "broker_connected": True, "last_commit_at": now_at.isoformat()},
        )
    connection.execute(
        "INSERT INTO sidestream.device_status SELECT device_id, 'online', 'e', now(), now(), '{}' FROM sidestream.device"
    )
    done, _ = status("--json", "--strict", "--disk", str(tmp_path), SIDESTREAM_DSN=viewer(database))
    told = json.loads(done.stdout)
    assert {line["level"] for line in told["lines"] if line["subject"] != "disk"} == {"ok"}, told
    assert [line["subject"] for line in told["lines"]] == [
        "database", "broker", "ingest", "flows", "twin", "findings", "devices", "quarantine", "storage", "disk",
    ]  # fmt: skip
    assert told["hub"] == "h"


def viewer(database: str) -> str:
    """The address of the same database for a login that is a viewer and nothing else."""
    ensure_viewer(database, "looker", "looker")
    return database.replace(database.partition("//")[2].partition("@")[0], "looker:looker")


@pytest.mark.server
def test_an_empty_database_says_that_it_needs_a_hub_and_one_without_schema_that_it_needs_migrating(database, postgres):
    plant = read_plant(database)
    assert isinstance(plant, Plant)
    assert ("hub", "broken", "sidestream hub apply hub.yaml") in [(x.subject, x.level, x.todo) for x in judge(plant)]
    (line,) = look(Where(postgres.dsn("template1"))).lines
    assert "sidestream db migrate" in line.text
