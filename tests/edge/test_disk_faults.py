"""Fault 14: the disk reports that what was written is not on it. The agent stops, and nothing of it is ever acknowledged."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from edge_rig import AgentProcess, until
from test_kill import scan_file, write_config

from sidestream_edge.outbox import Draft, Outbox, OutboxNotDurableError

FAILING = "fdatasync,fsync:error=EIO:when={from_call}+"


class Disk:
    """A connection whose next commits fail as SQLite tells a failed fsync; everything else is the real one's."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def execute(self, text: str, *values: object) -> sqlite3.Cursor:
        if text == "COMMIT":
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC
            raise error
        return self._db.execute(text, *values)

    def __getattr__(self, name: str) -> object:
        return getattr(self._db, name)


def test_after_a_failed_fsync_an_outbox_takes_nothing_more_though_the_disk_says_that_all_is_well(
    tmp_path: Path,
) -> None:
    path = tmp_path / "outbox.sqlite"
    outbox = Outbox(path)
    outbox.append([Draft("live", "readings", b"1")])
    sound = outbox._db
    outbox._db = Disk(sound)
    with pytest.raises(OutboxNotDurableError, match="did not make durable"):
        outbox.append([Draft("live", "readings", b"2")])
    outbox._db = sound
    with pytest.raises(OutboxNotDurableError):
        outbox.append([Draft("live", "readings", b"3")])
    with pytest.raises(OutboxNotDurableError):
        outbox.waiting("live", None, 10)
    outbox.close()
    again = Outbox(path)
    assert [(one.key.epoch, one.payload) for one in again.waiting("live", None, 10)] == [(outbox.epoch, b"1")]
    again.close()


@pytest.mark.server
def test_an_agent_whose_disk_fails_ends_with_a_sentence_and_goes_on_where_it_was_sure(
    mosquitto, hub_on, tmp_path: Path
) -> None:
    strace = shutil.which("strace")
    if strace is None or subprocess.run([strace, "-qq", "true"], capture_output=True, check=False).returncode:
        pytest.skip("strace is not here or may not trace: apt install strace")
    mosquitto.start()
    hub = hub_on()
    scans = [f"lot-{n}" for n in range(16)]
    (tmp_path / "scans.txt").write_text("")
    config = write_config(tmp_path, mosquitto.port, scan_file("scans.txt"))
    inject = [strace, "-f", "-qq", "-o", "/dev/null", "-e", "trace=fdatasync,fsync"]
    inject += ["-e", "inject=" + FAILING.format(from_call=14)]
    code = "import sys; from pathlib import Path; from sidestream_edge.agent import serve; sys.exit(serve(Path(sys.argv[1])))"
    with config.with_suffix(".log").open("ab") as log:
        failing = subprocess.Popen([*inject, sys.executable, "-c", code, str(config)], stdout=log, stderr=log)
    for scan in scans:
        with (tmp_path / "scans.txt").open("a") as out:
            out.write(scan + "\n")
        if failing.poll() is not None:
            break
        until(lambda scan=scan: failing.poll() is not None or scan in hub.values("gate-qr"), "the scan or the end")
    assert failing.wait(20) == 1
    assert "did not make durable" in config.with_suffix(".log").read_text()
    (tmp_path / "scans.txt").write_text("".join(f"{scan}\n" for scan in scans))
    sound = AgentProcess(config)
    until(lambda: len(hub.values("gate-qr")) >= len(scans), "every scan")
    assert sound.end() == 0
    assert Counter(hub.values("gate-qr")) == Counter(scans)
    assert not hub.clashes
    assert len({key.epoch for key in hub.keys}) == 2
    assert all(json.loads(body) for body in hub.frames.values())
