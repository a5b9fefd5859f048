"""The devices of a chaos run as a process: `python -m sidestream_app.chaos.devices SEED EDGE.YAML…`.

Real Modbus TCP servers whose every register moves ten times a second, and scanners that read a code five times a second.
"""

from __future__ import annotations

import asyncio
import logging
import random
import signal
import sys
from collections.abc import Sequence
from itertools import count
from pathlib import Path

from sidestream_contracts.edge import load_edge
from sidestream_contracts.edge_lines import ScannerDriver
from sidestream_contracts.edge_modbus import ModbusDriver
from sidestream_contracts.errors import ConfigurationError
from sidestream_simulators.modbus_server import ModbusServers
from sidestream_simulators.scan_lines import ScanServer, tcp_address

READY = "every device is there"
_TICK_S = 0.1
_TICKS_PER_SCAN = 2
_HIGHEST = 4_000_000


class Devices:
    """All devices that the edge files name."""

    def __init__(self, edges: Sequence[Path], seed: int) -> None:
        drivers = [(path, driver) for path in edges for driver in load_edge(path).drivers]
        modbus = [driver for _, driver in drivers if isinstance(driver, ModbusDriver)]
        self._sensors = [register.id for driver in modbus for register in driver.sensors]
        self._servers = ModbusServers(modbus, (), edges[0])
        self._scanners = [
            ScanServer(driver.sensor, *where, path)
            for path, driver in drivers
            if isinstance(driver, ScannerDriver) and (where := tcp_address(driver))
        ]
        self._draw = random.Random(seed)  # noqa: S311 - synthetic figures

    async def run(self, stop: asyncio.Event) -> None:
        """Serves until `stop`."""
        await self._servers.start()
        for scanner in self._scanners:
            await scanner.start()
        print(READY, file=sys.stderr, flush=True)
        for tick in count():
            self._servers.show({sensor: self._draw.randrange(_HIGHEST) / 1000 for sensor in self._sensors})
            if tick % _TICKS_PER_SCAN == 0:
                for scanner in self._scanners:
                    scanner.send(f"BAG-{scanner.sensor}-{tick}")
            try:
                await asyncio.wait_for(stop.wait(), _TICK_S)
                break
            except TimeoutError:
                continue
        await self._servers.stop()
        for scanner in self._scanners:
            await scanner.stop()


async def _serve(edges: Sequence[Path], seed: int) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await Devices(edges, seed).run(stop)


def main(argv: Sequence[str]) -> int:
    """Exit code 0 after SIGTERM, 2 for a wrong file or a port in use."""
    logging.getLogger("pymodbus.logging").setLevel(logging.WARNING)
    try:
        asyncio.run(_serve([Path(name) for name in argv[1:]], int(argv[0])))
    except ConfigurationError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
