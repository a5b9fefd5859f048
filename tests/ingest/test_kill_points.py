"""Each process dies by SIGKILL exactly at each point where order matters; afterwards journal and database agree."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_edge import wait_for
from hub_files import test_hub

from sidestream_contracts.failpoint import EDGE_POINTS, INGEST_POINTS, VARIABLE
from sidestream_edge.outbox import read_journal, waiting_frames
from sidestream_store.audit import committed, quarantined
from sidestream_store.hub_apply import apply_hub

pytestmark = [pytest.mark.server, pytest.mark.slow]
ROWS = 3000


class Plant:
    """A gateway whose files grow, and a hub; both as processes of their own."""

    def __init__(self, folder: Path, dsn: str, broker_port: int) -> None:
        self._folder, self._dsn, self._port = folder, dsn, broker_port
        self._stop = threading.Event()
        self._writer = threading.Thread(target=self._write)
        self._processes: list[subprocess.Popen[bytes]] = []
        self.scans = folder / "scans.txt"
        self.codes: list[str] = []
        self.outbox = folder / "outbox.sqlite"
        self.scans.touch()
        (folder / "meter.csv").write_text("time,flow\n" + "".join(f"{n + 1},{n}\n" for n in range(ROWS)))
        (folder / "edge.yaml").write_text(json.dumps(self._edge()))
        self._writer.start()

    def _edge(self) -> dict[str, Any]:
        scanner = {"id": "gun", "type": "scanner", "source": "scans.txt", "sensor": "gate"}
        meter = {
            "id": "meter",
            "type": "recorded",
            "file": "meter.csv",
            "time_column": "time",
            "time_format": "epoch_s",
        }
        return {
            "version": 1, "hub": "h", "party": "a", "device": "gw",
            "broker": {"host": "127.0.0.1", "port": self._port}, "outbox": {"path": "outbox.sqlite", "journal": True},
            "framing": {"max_wait_s": 0.05},
            "drivers": [scanner, {**meter, "sensors": [{"id": "flow", "column": "flow"}]}],
        }  # fmt: skip

    def _write(self) -> None:
        while not self._stop.wait(0.005):
            self.codes.append(f"BAG-{len(self.codes)}")
            with self.scans.open("a") as out:
                out.write(self.codes[-1] + "\n")

    def start(self, what: str, failpoint: str | None = None) -> subprocess.Popen[bytes]:
        words = {
            "edge": ["edge", "run", str(self._folder / "edge.yaml")],
            "ingest": ["ingest", "run", "--dsn", self._dsn, "--broker-port", str(self._port)],
        }[what]
        env = {**os.environ, **({VARIABLE: failpoint} if failpoint else {})}
        with (self._folder / f"{what}.log").open("ab") as log:
            started = subprocess.Popen([sys.executable, "-m", "sidestream_app", *words], stderr=log, env=env)
        self._processes.append(started)
        return started

    def dies_at(self, what: str, point: str) -> None:
        """Starts it, and it ends by its own SIGKILL at the second pass of that point."""
        process = self.start(what, f"{point}@2")
        assert process.wait(20) == -signal.SIGKILL, f"{what} never came to {point}"

    def drained(self) -> bool:
        """Whether all that was ever written is in the journal, and the hub has acknowledged it."""
        if waiting_frames(self.outbox):
            return False
        stored = sum(len(body["i"]) for body in map(json.loads, read_journal(self.outbox)))
        return stored >= len(self.codes) + ROWS

    def finish_writing(self) -> None:
        self._stop.set()
        self._writer.join()

    def close(self) -> None:
        self.finish_writing()
        for process in self._processes:
            process.kill()
            process.wait()


@pytest.fixture
def plant(database, broker, tmp_path) -> Iterator[Plant]:
    apply_hub(database, test_hub(), tmp_path)
    built = Plant(tmp_path, database, broker[1])
    yield built
    built.close()


def journal(path: Path) -> Counter:
    return Counter(
        (body["sensors"][i], t, val)
        for body in map(json.loads, read_journal(path))
        for i, t, val in zip(body["i"], body["t"], body["val"], strict=True)
    )


def test_at_every_kill_point_nothing_is_lost_and_nothing_doubled(plant, database, connect):
    edge = plant.start("edge")
    for point in INGEST_POINTS:
        plant.dies_at("ingest", point)
    edge.terminate()
    assert edge.wait(10) == 0
    plant.start("ingest")
    for point in EDGE_POINTS:
        plant.dies_at("edge", point)
    plant.start("edge")
    plant.finish_writing()
    wait_for(plant.drained, 30)
    sent = journal(plant.outbox)
    epochs = {str(row[0]).replace("-", "") for row in connect().execute("SELECT DISTINCT epoch FROM sidestream.frame")}
    landed = Counter(committed(database, epochs).measurements)
    assert not quarantined(database, epochs).measurements
    assert landed - sent == Counter(), "doubled"
    assert sent - landed == Counter(), "lost"
    assert Counter(code for _, _, code in landed.elements() if isinstance(code, str)) == Counter(plant.codes)
    assert sorted(val for sensor, _, val in landed.elements() if sensor == "flow") == list(range(ROWS))
