"""The simulator as a process: it serves, writes the truth, ends on SIGTERM, and goes on where it ended."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pymodbus.client import ModbusTcpClient

from sidestream_contracts.edge import load_edge
from sidestream_contracts.errors import ConfigurationError
from sidestream_contracts.hubcheck import load_hub
from sidestream_simulators.hubs import example_hub
from sidestream_simulators.physics import Memory
from sidestream_simulators.serve import Simulator, serve
from sidestream_simulators.truth import read_truth, remember

pytestmark = pytest.mark.server

PROGRAM = """
import sys
from pathlib import Path
from sidestream_simulators.serve import serve
hub, edge, truth = map(Path, sys.argv[1:])
sys.exit(serve(hub, edge, 7, truth))
"""
SCANNERS = ("BAGGING", "GATE", "YARD", "MIXER")


@pytest.fixture
def hub_path(tmp_path: Path) -> Path:
    """The demo hub with steps of one second, so that a test need not wait for ten."""
    example = example_hub()
    shutil.copy(example.edge_path, tmp_path / "edge.yaml")
    text = example.hub_path.read_text().replace("step_s: 10", "step_s: 1")
    (tmp_path / "hub.yaml").write_text(text)
    return tmp_path / "hub.yaml"


@pytest.fixture
def env(free_ports: Callable[[int], list[int]]) -> dict[str, str]:
    modbus, *scans = map(str, free_ports(5))
    names = (f"SIDESTREAM_SIM_SCAN_PORT_{name}" for name in SCANNERS)
    return {**os.environ, "SIDESTREAM_SIM_MODBUS_PORT": modbus, **dict(zip(names, scans, strict=True))}


@contextmanager
def simulator(hub_path: Path, env: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    truth = hub_path.with_name("truth.jsonl")
    command = [sys.executable, "-c", PROGRAM, str(hub_path), str(hub_path.with_name("edge.yaml")), str(truth)]
    with subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_until(condition: Callable[[], bool], process: subprocess.Popen[str], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def listening(port: str) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", int(port))) == 0


def end(process: subprocess.Popen[str]) -> float:
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    process.wait(timeout=5)
    return time.monotonic() - began


def main_temperature_c(client: ModbusTcpClient) -> float:
    answer = client.read_holding_registers(12, count=2, device_id=1)
    return client.convert_from_registers(answer.registers, client.DATATYPE.FLOAT32)


def facts(path: Path, quantity: str) -> int:
    return sum(record.quantity == quantity for record in read_truth(path)) if path.exists() else 0


def test_it_serves_ends_within_a_second_of_sigterm_and_later_goes_on_where_it_ended(
    hub_path: Path, env: dict[str, str]
) -> None:
    truth = hub_path.with_name("truth.jsonl")
    with simulator(hub_path, env) as process:
        wait_until(lambda: listening(env["SIDESTREAM_SIM_SCAN_PORT_MIXER"]), process)
        client = ModbusTcpClient("127.0.0.1", port=int(env["SIDESTREAM_SIM_MODBUS_PORT"]))
        assert client.connect()
        first = main_temperature_c(client)
        assert 100 < first < 115
        wait_until(lambda: main_temperature_c(client) != first, process)
        wait_until(lambda: facts(truth, "stock_mass") > 0, process)
        assert end(process) < 1.0
        assert process.returncode == 0
        client.close()
    steps = {record.at for record in read_truth(truth) if record.quantity == "heat_flow"}
    assert steps
    assert all(step.microsecond == 0 for step in steps)
    ended_with = remember(truth)
    assert ended_with.registers["fish-heat-energy"] > 0
    assert_goes_on(hub_path, ended_with)


def assert_goes_on(hub_path: Path, ended_with: Memory) -> None:
    """A later run begins with the stocks and registers that the first one ended with."""
    edge_path, truth = hub_path.with_name("edge.yaml"), hub_path.with_name("truth.jsonl")
    later = Simulator(load_hub(hub_path), load_edge(edge_path), edge_path, seed=7, truth_path=truth, speed=1.0)
    later.tick(18_000_000_000)
    asyncio.run(later.stop())
    went_on = remember(truth)
    for sensor, value in ended_with.registers.items():
        assert 0 < went_on.registers[sensor] - value < 1e6  # J: one tick of some MW
    for node, kg in ended_with.stock_kg.items():
        assert went_on.stock_kg[node] == pytest.approx(kg, abs=20)


def test_a_port_in_use_is_refused_naming_port_and_variable(
    hub_path: Path, env: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    port = env["SIDESTREAM_SIM_SCAN_PORT_YARD"]
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", int(port)))
        taken.listen()
        with pytest.raises(ConfigurationError, match=f"port {port} .*SIDESTREAM_SIM_SCAN_PORT_YARD"):
            serve(hub_path, hub_path.with_name("edge.yaml"), 7, hub_path.with_name("truth.jsonl"))


def test_an_edge_file_of_another_hub_is_refused(hub_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="is of hub 'minimal'"):
        serve(hub_path, example_hub("minimal").edge_path, 7, hub_path.with_name("truth.jsonl"))
