"""The demo as a user runs it: everything real, nothing lost under kill -9, no process left, ports explained."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.timeout(240)]


def start(home: Path, *options: str, web_port: int = 0) -> subprocess.Popen[str]:
    ports = ["--web-port", str(web_port), "--prefect-port", "0", "--broker-port", "0"]
    command = [sys.executable, "-m", "sidestream_app", "demo", "--dir", str(home), *ports, *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_killing_every_part_that_carries_readings_loses_and_doubles_nothing(tmp_path):
    process = start(tmp_path / "demo", "--for", "30s", "--json", "--kill", "ingest,broker,edge")
    out, progress = process.communicate(timeout=200)
    assert process.returncode == 0, progress
    summary = json.loads(out)
    assert (summary["lost"], summary["doubled"]) == (0, 0)
    assert summary["sent"] >= 150 * 30
    assert {kill["target"] for kill in summary["kills"]} == {"ingest", "broker", "edge"}
    assert summary["latency_ms"]["page"]["p50"] is not None
    assert summary["twin_error"]["samples"] > 0


def test_ctrl_c_ends_everything_within_five_seconds_and_the_data_stay(tmp_path):
    home = tmp_path / "demo"
    process = start(home)
    assert process.stderr is not None
    for line in process.stderr:
        if "is running" in line:
            break
    children = psutil.Process(process.pid).children(recursive=True)
    assert len(children) >= 8
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=10)
    assert time.monotonic() - began < 6
    assert process.returncode == 0
    assert not [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]
    assert (home / "postgres" / "cluster").exists()


def test_an_interrupt_while_it_starts_ends_it_as_quickly_and_says_so(tmp_path):
    process = start(tmp_path / "demo", "--for", "60s", "--json")
    assert process.stderr is not None
    for line in process.stderr:
        if "simulator" in line:
            break
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=20)
    assert time.monotonic() - began < 6
    assert (process.returncode, out) == (130, "")


def test_a_port_in_use_is_named_with_the_option_that_changes_it(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = start(tmp_path / "demo", web_port=port)
        _, progress = process.communicate(timeout=60)
    assert process.returncode == 2
    assert str(port) in progress
    assert "--web-port" in progress
