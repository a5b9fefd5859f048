"""Real Modbus TCP servers that show the meters' values under the register map of `edge.yaml`.

One server per host and port, one Modbus device per driver. A register that the map does not name answers
`illegal address`, and every write is refused, as a meter does. All values of a device change at once, so that one
request never sees words of two instants.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from sidestream_contracts.edge_modbus import ModbusDriver
from sidestream_contracts.errors import ConfigurationError
from sidestream_simulators.ports import port_in_use
from sidestream_simulators.registers import encode

_TABLE_OF_FUNCTION = {3: "holding", 4: "input"}


class RegisterImage:
    """The words of one Modbus device, by table and address; swapped as a whole."""

    def __init__(self, driver: ModbusDriver, counters: frozenset[str]) -> None:
        self.driver = driver
        self._counters = counters
        self._words: dict[str, dict[int, int]] = {"holding": {}, "input": {}}
        self.show({register.id: 0.0 for register in driver.sensors})

    def show(self, values: Mapping[str, float]) -> None:
        """Show `values`, by sensor id, from the next request on."""
        words: dict[str, dict[int, int]] = {"holding": {}, "input": {}}
        for register in self.driver.sensors:
            encoded = encode(register, values[register.id], rolls_over=register.id in self._counters)
            words[register.table].update(enumerate(encoded, start=register.register_))
        self._words = words

    def device(self) -> SimDevice:
        """The image as a device of pymodbus, which asks it anew at each request."""
        coils = [SimData(0, values=False, datatype=DataType.BITS)]
        tables = (self._blocks("holding"), self._blocks("input"))
        return SimDevice(self.driver.unit_id, simdata=(coils, list(coils), *tables), action=self._answer)

    def _blocks(self, table: str) -> list[SimData]:
        registers = sorted((r for r in self.driver.sensors if r.table == table), key=lambda r: r.register_)
        if not registers:
            return [SimData(0, datatype=DataType.INVALID)]
        return [SimData(r.register_, values=[0] * r.width, datatype=DataType.REGISTERS) for r in registers]

    async def _answer(  # noqa: PLR0917  pymodbus calls it so
        self,
        function_code: int,
        start_address: int,
        address: int,
        count: int,
        current_registers: list[int],
        set_values: list[int] | list[bool] | None,
    ) -> ExcCodes | None:
        table = _TABLE_OF_FUNCTION.get(function_code)
        if set_values is not None or table is None:
            return ExcCodes.ILLEGAL_FUNCTION
        words = self._words[table]
        for n in range(address, address + count):
            current_registers[n - start_address] = words[n]
        return None


class ModbusServers:
    """Every Modbus device that the drivers of an edge file expect."""

    def __init__(self, drivers: Iterable[ModbusDriver], counters: Iterable[str], edge_path: Path) -> None:
        self._edge_path = edge_path
        known_counters = frozenset(counters)
        self._images: dict[tuple[str, int], list[RegisterImage]] = {}
        for driver in drivers:
            _must_be_like(driver, edge_path)
            self._images.setdefault((driver.host or "", driver.port), []).append(RegisterImage(driver, known_counters))
        self._running: list[ModbusTcpServer] = []

    async def start(self, bind_host: str | None = None) -> None:
        """Listen on every port; ConfigurationError naming port and variable if one is taken."""
        for (host, port), images in self._images.items():
            server = ModbusTcpServer([image.device() for image in images], address=(bind_host or host, port))
            try:
                await server.serve_forever(background=True)
            except RuntimeError as error:
                raise port_in_use(self._edge_path, bind_host or host, port, "Modbus") from error
            self._running.append(server)

    def show(self, values: Mapping[str, float]) -> None:
        """Show `values`, by sensor id, from the next request on."""
        for images in self._images.values():
            for image in images:
                image.show(values)

    async def stop(self) -> None:
        """Close every connection and every port."""
        while self._running:
            await self._running.pop().shutdown()  # type: ignore[no-untyped-call]


def _must_be_like(driver: ModbusDriver, edge_path: Path) -> None:
    """A plant has meters, no switches, and they hang on the network."""
    if driver.shares_line:
        raise ConfigurationError(
            f"{edge_path}: driver {driver.id!r} is Modbus RTU ({driver.line}); only Modbus TCP devices can be simulated. "
            "Leave the driver out of the edge.yaml that is simulated."
        )
    bit = next((sensor for sensor in driver.sensors if sensor.is_bit), None)
    if bit is not None:
        raise ConfigurationError(
            f"{edge_path}: sensor {bit.id!r} of driver {driver.id!r} is a {bit.table}; only holding and input registers "
            "can be simulated. Leave the sensor out of the edge.yaml that is simulated."
        )
