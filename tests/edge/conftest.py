"""Fixtures of the edge tests: the real counterparts of edge_rig.py, started and ended for each test."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from driver_rig import DriverRig
from edge_rig import MOSQUITTO, AgentThread, FakeHub, Mosquitto, ScannerServer, free_port
from modbus_rig import ModbusServer

from sidestream_contracts.edge import EdgeFile


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    if MOSQUITTO is None:
        pytest.skip("mosquitto is not installed: apt install mosquitto")
    broker = Mosquitto(tmp_path)
    yield broker
    broker.kill()


@pytest.fixture
def hub_on(mosquitto: Mosquitto) -> Iterator[Callable[..., FakeHub]]:
    hubs: list[FakeHub] = []

    def make(**how: Any) -> FakeHub:
        hubs.append(FakeHub(mosquitto.port, **how))
        return hubs[-1]

    yield make
    for hub in hubs:
        hub.close()


@pytest.fixture
def scanner() -> Iterator[ScannerServer]:
    server = ScannerServer()
    yield server
    server.close()


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Callable[..., AgentThread]]:
    agents: list[AgentThread] = []

    def start(edge: EdgeFile, **how: Any) -> AgentThread:
        agents.append(AgentThread(edge, tmp_path, **how))
        return agents[-1]

    yield start
    for one in agents:
        one.stop()


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of installed packages, here and in processes that are started."""
    folder = tmp_path / "site"
    folder.mkdir()
    before = set(sys.modules)
    monkeypatch.setenv("PYTHONPATH", str(folder))
    monkeypatch.syspath_prepend(str(folder))
    yield folder
    for name in set(sys.modules) - before:
        if str(folder) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


@pytest.fixture
def modbus() -> Iterator[Callable[..., ModbusServer]]:
    servers: list[ModbusServer] = []

    def start(port: int | None = None, **how: Any) -> ModbusServer:
        servers.append(ModbusServer(port or free_port(), **how).start())
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def run_driver(tmp_path: Path) -> Iterator[Callable[..., DriverRig]]:
    rigs: list[DriverRig] = []

    def start(section: dict[str, Any], **how: Any) -> DriverRig:
        rigs.append(DriverRig(section, tmp_path, **how))
        return rigs[-1]

    yield start
    for rig in rigs:
        rig.stop()
