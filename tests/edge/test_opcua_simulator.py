"""The simulator's OPC UA servers, read by the driver from the same file: nodes, paths, scales, units, times and history."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from edge_rig import free_port
from opcua_rig import Watched

from sidestream_contracts.edge_opcua import OpcUaDriver
from sidestream_contracts.errors import ConfigurationError
from sidestream_simulators.opcua_server import OpcUaServers


def driver(port: int, **how: Any) -> OpcUaDriver:
    sensors = [
        {"id": "flow", "node": "nsu=urn:plant;s=Flow", "unit": "m3/h"},
        {"id": "power", "path": "Plant/Boiler&/1/Power", "scale": 1000, "unit": "W"},
        {"id": "temp", "node": "nsu=urn:plant;i=7", "scale": 0.1, "offset": -10},
    ]
    section = {
        "id": "plc",
        "type": "opcua",
        "url": f"opc.tcp://127.0.0.1:{port}",
        "sensors": sensors,
        "publishing_s": 0.1,
        **how,
    }
    return OpcUaDriver.model_validate(section)


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def servers(port: int, tmp_path: Path) -> Iterator[tuple[OpcUaServers, asyncio.AbstractEventLoop]]:
    """Running in a loop of their own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    made = OpcUaServers([driver(port)], tmp_path / "edge.yaml")
    asyncio.run_coroutine_threadsafe(made.start(), loop).result(30)
    yield made, loop
    asyncio.run_coroutine_threadsafe(made.stop(), loop).result(30)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.mark.server
def test_the_driver_reads_what_the_meters_show(
    servers: tuple[OpcUaServers, asyncio.AbstractEventLoop], port: int, tmp_path: Path
) -> None:
    shown, loop = servers
    loop.call_soon_threadsafe(shown.show, {"flow": 12.5, "power": 2500.0, "temp": 61.5})
    watched = Watched(driver(port), tmp_path / "opcua")
    try:
        for sensor, value in (("flow", 12.5), ("power", 2500.0), ("temp", 61.5)):
            watched.until(
                lambda s=sensor, v=value: v in [round(x, 9) for x in watched.values(s) if x is not None], sensor
            )
        assert watched.status.notes == []  # type: ignore[attr-defined]
        assert {reading.q for reading in watched.readings("flow") if reading.val == 12.5} == {0}
    finally:
        watched.close()


def test_security_that_the_simulator_does_not_have_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="leave `security` and `user` out"):
        OpcUaServers([driver(4840, security={"mode": "Sign"})], tmp_path / "edge.yaml")
