"""A real Modbus TCP server in a thread of its own, whose registers a test sets and which can be stopped and come back."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable

from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice


class ModbusServer:
    """Holding registers 0…99; reads that touch an address in `refused` are answered with exception 2."""

    def __init__(self, port: int, refused: Iterable[int] = ()) -> None:
        self.port = port
        self.words = [0] * 100
        self.refused = set(refused)
        self.reads: list[tuple[int, int]] = []
        self._loop = asyncio.new_event_loop()
        self._up = threading.Event()
        self._server: ModbusTcpServer | None = None
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),))

    def start(self) -> ModbusServer:
        self._thread.start()
        assert self._up.wait(10)
        return self

    async def _serve(self) -> None:
        device = SimDevice(1, [SimData(0, count=100, datatype=DataType.REGISTERS)], action=self._answer)
        self._server = ModbusTcpServer(device, address=("127.0.0.1", self.port))
        await self._server.serve_forever(background=True)
        self._up.set()
        await self._server.serving

    async def _answer(
        self, _code: int, _start: int, address: int, count: int, registers: list[int], _set: object
    ) -> ExcCodes | None:
        self.reads.append((address, count))
        if self.refused.intersection(range(address, address + count)):
            return ExcCodes.ILLEGAL_ADDRESS
        registers[:] = self.words[: len(registers)]
        return None

    def stop(self) -> None:
        server = self._server
        if server is not None:
            asyncio.run_coroutine_threadsafe(server.shutdown(), self._loop).result(10)
            self._thread.join(10)
            self._loop.close()
            self._server = None
