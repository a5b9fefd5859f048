"""kill -9 of agent and broker at seeded random moments under load: what the outbox took in arrives once by key, nothing else."""

from __future__ import annotations

import json
import os
import random
import resource
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
from edge_rig import AgentProcess, ScannerServer, edge_file, free_port, until

from sidestream_edge.outbox import Outbox, read_journal

pytestmark = pytest.mark.server

SEED = int(os.environ.get("SIDESTREAM_TEST_SEED", "20261122"))


def write_config(folder: Path, port: int, *drivers: dict, **changes: object) -> Path:
    path = folder / "edge.yaml"
    path.write_text(edge_file(port, *drivers, **changes).model_dump_json(by_alias=True, exclude_none=True))
    return path


def scan_file(name: str) -> dict:
    return {"id": "gate", "type": "scanner", "source": name, "sensor": "gate-qr"}


def csv_driver() -> dict:
    return {
        "id": "rec", "type": "recorded", "file": "r.csv", "time_column": "time", "time_format": "epoch_s",
        "sensors": [{"id": "energy", "column": "kwh"}],
    }  # fmt: skip


def test_files_arrive_exactly_once_through_kills_of_agent_and_broker(mosquitto, hub_on, tmp_path):
    """A recorded file and a growing scan file; the journal equals what the hub has by key; each row is there once."""
    print(f"SIDESTREAM_TEST_SEED={SEED}")
    dice = random.Random(SEED)
    rows = 60_000
    (tmp_path / "r.csv").write_text("time,kwh\n" + "".join(f"{n},{n}\n" for n in range(rows)))
    (tmp_path / "scans.txt").write_text("")
    mosquitto.start()
    hub = hub_on()
    outbox = {"path": "outbox.sqlite", "journal": True, "max_mb": 1.0}
    config = write_config(tmp_path, mosquitto.port, csv_driver(), scan_file("scans.txt"), outbox=outbox)
    written, stop = [], threading.Event()

    def scan_away() -> None:
        while not stop.wait(0.01):
            written.append(f"lot-{len(written)}")
            with (tmp_path / "scans.txt").open("a") as out:
                out.write(written[-1] + "\n")

    writer = threading.Thread(target=scan_away)
    writer.start()
    agent = AgentProcess(config)
    try:
        for n in range(8):
            time.sleep(dice.uniform(0.3, 1.1))
            if n % 4 == 3:
                mosquitto.kill()
                mosquitto.start()
            else:
                agent.kill()
                agent = AgentProcess(config)
    finally:
        stop.set()
        writer.join()
    until(lambda: len(hub.values("gate-qr")) >= len(written) and len(hub.values("energy")) >= rows, "all drained", 40)
    assert agent.end() == 0, agent.log()
    left = Outbox(tmp_path / "outbox.sqlite")
    assert left.is_empty
    left.close()
    assert Counter(read_journal(tmp_path / "outbox.sqlite")) == Counter(hub.frames.values())
    assert not hub.clashes
    assert Counter(hub.values("gate-qr")) == Counter(written)
    assert sorted(hub.values("energy")) == list(range(rows))
    assert "Traceback" not in agent.log()


def test_a_scan_taken_before_the_kill_is_in_the_journal_or_was_never_taken(mosquitto, hub_on, tmp_path):
    """Over TCP the agent can't ask again; but what it stored arrives, and nothing arrives that was not stored."""
    dice = random.Random(SEED + 1)
    mosquitto.start()
    hub, scanner = hub_on(), ScannerServer()
    source = {"id": "gate", "type": "scanner", "source": f"tcp://127.0.0.1:{scanner.port}", "sensor": "gate-qr"}
    config = write_config(tmp_path, mosquitto.port, source)
    for n in range(3):
        agent = AgentProcess(config)
        scanner.wait_for_agent()
        for k in range(40):
            scanner.send(f"{n}-{k}\n".encode())
            time.sleep(dice.uniform(0.0, 0.02))
        agent.kill()
        scanner.hang_up()
    last = AgentProcess(config)
    until(lambda: last.log().count("edge agent starts") == 4, "the last start")
    until(lambda: Counter(read_journal(tmp_path / "outbox.sqlite")) == Counter(hub.frames.values()), "drained")
    scanner.close()
    assert last.end() == 0
    taken = [code for body in hub.bodies() for code in body["val"]]
    assert len(taken) == len(set(taken)) > 0


def test_epochs_are_never_the_same_and_name_their_predecessor(mosquitto, hub_on, tmp_path):
    mosquitto.start()
    hub = hub_on()
    (tmp_path / "scans.txt").write_text("a\n")
    config = write_config(tmp_path, mosquitto.port, scan_file("scans.txt"))
    for n in range(3):
        agent = AgentProcess(config)
        until(lambda n=n: len(hub.frames) == n + 1, "the scan")
        agent.kill()
        with (tmp_path / "scans.txt").open("a") as out:
            out.write("b\n")
    keys = list({key.epoch: key for key in hub.keys}.values())
    assert len(keys) == 3
    assert [key.previous_epoch for key in keys] == [None, keys[0].epoch, keys[1].epoch]
    assert {key.seq for key in keys} == {1}


def test_a_full_disk_is_reported_and_nothing_stored_or_held_is_lost(mosquitto, hub_on, tmp_path):
    """The disk is simulated by a file-size limit of the process, which is then lifted."""
    mosquitto.start()
    hub = hub_on()
    (tmp_path / "r.csv").write_text("time,kwh\n" + "".join(f"{n},{n}\n" for n in range(30_000)))
    config = write_config(tmp_path, free_port(), csv_driver())
    agent = AgentProcess(config)
    try:
        resource.prlimit(agent.process.pid, resource.RLIMIT_FSIZE, (300_000, resource.RLIM_INFINITY))
        until(lambda: "can't be used now" in agent.log(), "the full disk in the log")
        time.sleep(1.5)
        assert agent.process.poll() is None
        assert agent.log().count("can't be used now") < 5, "said once, not with every attempt"
        resource.prlimit(agent.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        until(lambda: "takes readings again" in agent.log(), "recovery")
        until(lambda: "driver finished" in agent.log(), "the whole file")
    finally:
        assert agent.end() == 0
    write_config(tmp_path, mosquitto.port, csv_driver())
    again = AgentProcess(config, "drained")
    assert again.process.wait(20) == 0
    assert sorted(hub.values("energy")) == list(range(30_000))
    journal = [json.loads(payload) for payload in read_journal(tmp_path / "outbox.sqlite")]
    assert sum(len(body["i"]) for body in journal) == 30_000


def test_a_wrong_file_ends_with_exit_code_2_and_a_sentence(tmp_path):
    path = tmp_path / "edge.yaml"
    path.write_text("version: 1\nhub: H\n")
    agent = AgentProcess(path)
    assert agent.process.wait(10) == 2
    assert "edge.yaml:2" in agent.log()
    assert "Traceback" not in agent.log()


def test_a_scan_that_waits_is_sent_at_once_after_the_start_and_the_agent_ends_within_two_seconds(
    mosquitto, hub_on, tmp_path
):
    """How fast it starts is measured by `sidestream bench edge`."""
    mosquitto.start()
    hub = hub_on()
    (tmp_path / "scans.txt").write_text("a\n")
    config = write_config(tmp_path, mosquitto.port, scan_file("scans.txt"))
    agent = AgentProcess(config)
    until(lambda: hub.values("gate-qr") == ["a"], "the first scan", 30)
    began_s = time.monotonic()
    assert agent.end() == 0
    assert time.monotonic() - began_s < 2.0
