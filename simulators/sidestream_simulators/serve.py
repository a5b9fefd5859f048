"""The simulator as a process: physics on the wall clock, behind real Modbus and OPC UA servers and scanners, truth on disk.

`seed` fixes every meter's systematic error and every draw; `speed` hastens the slow swings only. A later run with the
same truth file goes on with its stocks, lots and registers: while the simulator is off, nothing flows.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
import time
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from sidestream_contracts.edge import EdgeFile, load_edge, sensor_ids
from sidestream_contracts.edge_lines import ScannerDriver
from sidestream_contracts.edge_modbus import ModbusDriver
from sidestream_contracts.edge_opcua import OpcUaDriver
from sidestream_contracts.errors import ConfigurationError
from sidestream_contracts.hub import HubFile
from sidestream_contracts.hubcheck import load_hub
from sidestream_simulators.meters import Meters
from sidestream_simulators.modbus_server import ModbusServers
from sidestream_simulators.physics import Plant, Snapshot, plant_for
from sidestream_simulators.scan_lines import ScanServer, tcp_address
from sidestream_simulators.truth import TICK_MS, StepRecorder, TruthWriter, remember

if TYPE_CHECKING:
    from sidestream_simulators.opcua_server import OpcUaServers

_log = logging.getLogger(__name__)
_TICK_S = TICK_MS / 1000
_MAX_LAG_TICKS = 60_000 // TICK_MS  # after a longer sleep of the process the gap counts as "simulator off"


class Simulator:
    """A plant, its meters and scanners, stepped together; knows the time only from the ticks it is given."""

    def __init__(
        self, hub: HubFile, edge: EdgeFile, edge_path: Path, *, seed: int, truth_path: Path, speed: float
    ) -> None:
        memory = remember(truth_path)
        drivers = [driver for driver in edge.drivers if isinstance(driver, ModbusDriver)]
        opcua = [driver for driver in edge.drivers if isinstance(driver, OpcUaDriver)]
        self.plant: Plant = plant_for(hub, seed, speed, memory)
        self.meters = Meters(hub, [name for d in (*drivers, *opcua) for name in sensor_ids(d)], seed, memory.registers)
        self.modbus = ModbusServers(drivers, self.meters.registers(), edge_path)
        self.opcua = _opcua_servers(opcua, edge_path)
        self.scanners = _scanners(hub, edge, edge_path)
        self.writer = TruthWriter(truth_path)
        self.recorder = StepRecorder(self.writer, hub.hub.step_s)
        self._last: tuple[int, Snapshot] | None = None

    async def start(self, bind_host: str | None) -> None:
        """Listen on every port of the edge file."""
        await self.modbus.start(bind_host)
        if self.opcua is not None:
            await self.opcua.start(bind_host)
        for scanner in self.scanners.values():
            await scanner.start(bind_host)

    def tick(self, tick: int) -> None:
        """Simulate [tick, tick + 1)·100 ms since the Unix epoch."""
        snapshot = self.plant.step((tick + 1) * _TICK_S, _TICK_S)
        self.meters.advance(snapshot, _TICK_S)
        self.recorder.add(tick, snapshot, self.meters.registers())
        for scan in snapshot.scans:
            if scan.node in self.scanners:
                self.scanners[scan.node].send(scan.code)
        self._last = tick + 1, snapshot

    def show(self) -> None:
        """Let the Modbus and OPC UA servers show what the meters read after the last tick."""
        values = self.meters.read()
        self.modbus.show(values)
        if self.opcua is not None:
            self.opcua.show(values)

    async def stop(self) -> None:
        """Close every port and write what the next run must remember."""
        await self.modbus.stop()
        if self.opcua is not None:
            await self.opcua.stop()
        for scanner in self.scanners.values():
            await scanner.stop()
        if self._last:
            self.recorder.checkpoint(*self._last, self.meters.registers())
        self.writer.close()


def _opcua_servers(drivers: list[OpcUaDriver], edge_path: Path) -> OpcUaServers | None:
    """The servers of an edge file; the library for them is imported only where there are any."""
    if not drivers:
        return None
    if find_spec("asyncua") is None:
        raise ConfigurationError(
            f"{edge_path}: driver {drivers[0].id!r} is of type opcua, and the library for it is not installed here; run:"
            " pip install 'sidestream[opcua]'"
        )
    from sidestream_simulators.opcua_server import OpcUaServers

    return OpcUaServers(drivers, edge_path)


def _scanners(hub: HubFile, edge: EdgeFile, edge_path: Path) -> dict[str, ScanServer]:
    """The scan servers of an edge file, by the node at which each scanner sits."""
    nodes = {sensor.id: sensor.node for sensor in hub.sensors if sensor.role == "scan"}
    found: dict[str, ScanServer] = {}
    for driver in edge.drivers:
        if not isinstance(driver, ScannerDriver) or not (address := tcp_address(driver)):
            continue
        node = nodes.get(driver.sensor)
        if node is None:
            raise ConfigurationError(f"driver {driver.id!r}: {driver.sensor!r} is no scan sensor of the hub file.")
        found[node] = ScanServer(driver.sensor, *address, edge_path)
    return found


def serve(
    hub_path: Path,
    edge_path: Path,
    seed: int,
    truth_path: Path,
    speed: float = 1.0,
    *,
    bind_host: str | None = None,
    biases: Mapping[str, float] | None = None,
) -> int:
    """Simulate until SIGTERM or SIGINT, then return 0 within a second; logs plain lines to stderr.

    `bind_host` listens there instead of at the host that the edge file names (0.0.0.0 in a container).
    `biases`: meters that are wrong on purpose, by how many standard deviations of their class.
    Raises ConfigurationError for a wrong file, a hub without physics, or a port in use.
    """
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("pymodbus.logging").setLevel(logging.WARNING)
    hub, edge = load_hub(hub_path), load_edge(edge_path)
    if edge.hub != hub.hub.id:
        raise ConfigurationError(f"{edge_path}: is of hub {edge.hub!r}, and {hub_path} is hub {hub.hub.id!r}.")
    simulator = Simulator(hub, edge, edge_path, seed=seed, truth_path=truth_path, speed=speed)
    simulator.meters.make_wrong(biases or {})
    asyncio.run(_run(simulator, bind_host))
    return 0


async def _run(simulator: Simulator, bind_host: str | None) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    first = _whole_ticks()
    simulator.tick(first - 1)  # so that the very first request finds a value
    simulator.show()
    try:
        await simulator.start(bind_host)
        _log.info("simulating with synthetic figures; every port is open")
        await _keep_time(simulator, stop, first)
    finally:
        await simulator.stop()
    _log.info("ended")


async def _keep_time(simulator: Simulator, stop: asyncio.Event, due: int) -> None:
    """Tick with the wall clock from tick `due` until `stop`; a gap of over a minute, or a clock set back, is skipped."""
    while not stop.is_set():
        now = _whole_ticks()
        if abs(now - due) > _MAX_LAG_TICKS:
            _log.warning("the clock jumped by %.0f s; nothing flowed meanwhile", (now - due) * _TICK_S)
            due = now
        if due < now:
            for tick in range(due, now):
                simulator.tick(tick)
            simulator.show()
            due = now
        await _wait(stop, (due + 1) * _TICK_S - time.time())


def _whole_ticks() -> int:
    return int(time.time() * 1000) // TICK_MS


async def _wait(stop: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(stop.wait(), timeout=max(seconds, 0.0))
    except TimeoutError:
        return
