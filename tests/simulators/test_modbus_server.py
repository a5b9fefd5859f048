"""A real Modbus client finds every sensor under the register, type, word order and scale of the edge file."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from pymodbus.client import AsyncModbusTcpClient

from sidestream_contracts.edge import load_edge
from sidestream_contracts.edge_modbus import WORDS, ModbusDriver, ModbusRegister
from sidestream_contracts.errors import ConfigurationError
from sidestream_simulators.hubs import example_hub
from sidestream_simulators.modbus_server import ModbusServers

pytestmark = pytest.mark.server

HELD = {
    "int16": -1234.0,
    "uint16": 43210.0,
    "int32": -1_234_567.0,
    "uint32": 3_123_456_789.0,
    "int64": -(2.0**40),
    "uint64": 2.0**45,
    "float32": 0.15625,
    "float64": 1e-17,
}


def every_type(port: int) -> list[ModbusDriver]:
    """Two devices on one port; each type in each word order and table."""
    devices = []
    for unit_id, word_order in ((1, "big"), (7, "little")):
        sensors = [
            {
                "id": f"{kind}-{table}-{word_order}",
                "register": 10 * n,
                "type": kind,
                "table": table,
                "word_order": word_order,
                "scale": 0.5,
            }
            for table in ("holding", "input")
            for n, kind in enumerate(WORDS)
        ]
        devices.append(
            ModbusDriver.model_validate(
                {
                    "id": f"d{unit_id}",
                    "type": "modbus",
                    "host": "127.0.0.1",
                    "port": port,
                    "unit_id": unit_id,
                    "sensors": sensors,
                }
            )
        )
    return devices


async def read(client: AsyncModbusTcpClient, driver: ModbusDriver, register: ModbusRegister) -> float:
    ask = client.read_holding_registers if register.table == "holding" else client.read_input_registers
    answer = await ask(register.register_, count=WORDS[register.type], device_id=driver.unit_id)
    assert not answer.isError()
    raw = client.convert_from_registers(
        answer.registers, client.DATATYPE[register.type.upper()], word_order=register.word_order
    )
    return raw * register.scale + register.offset


async def with_server(drivers: list[ModbusDriver], values: dict[str, float], use: Callable) -> None:
    servers = ModbusServers(drivers, [], Path("edge.yaml"))
    await servers.start()
    client = AsyncModbusTcpClient("127.0.0.1", port=drivers[0].port)
    try:
        servers.show(values)
        assert await client.connect()
        await use(client, servers)
    finally:
        client.close()
        await servers.stop()


def test_every_register_type_is_read_back(free_ports: Callable[[int], list[int]]) -> None:
    drivers = every_type(free_ports(1)[0])
    values = {r.id: HELD[r.type] * 0.5 for d in drivers for r in d.sensors}

    async def use(client, _servers) -> None:
        for driver in drivers:
            for register in driver.sensors:
                assert await read(client, driver, register) == pytest.approx(values[register.id], rel=1e-7), register.id

    asyncio.run(with_server(drivers, values, use))


def test_the_demo_hub_is_read_back_by_its_own_edge_file(
    free_ports: Callable[[int], list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIDESTREAM_SIM_MODBUS_PORT", str(free_ports(1)[0]))
    edge = load_edge(example_hub().edge_path)
    drivers = [driver for driver in edge.drivers if isinstance(driver, ModbusDriver)]
    values = {register.id: 3.0 + n / 2 for n, register in enumerate(r for d in drivers for r in d.sensors)}

    async def use(client, servers) -> None:
        for factor in (1.0, 2.0):
            servers.show({name: value * factor for name, value in values.items()})
            for driver in drivers:
                for register in driver.sensors:
                    expected = values[register.id] * factor
                    assert await read(client, driver, register) == pytest.approx(expected, abs=register.scale)

    asyncio.run(with_server(drivers, values, use))


def test_unknown_addresses_writes_and_devices_are_refused(free_ports: Callable[[int], list[int]]) -> None:
    drivers = every_type(free_ports(1)[0])
    values = {r.id: 1.0 for d in drivers for r in d.sensors}

    async def use(client, _servers) -> None:
        assert (await client.read_holding_registers(5000, count=1, device_id=1)).exception_code == 2
        assert (await client.read_holding_registers(0, count=2, device_id=1)).exception_code == 2
        assert (await client.write_register(0, 7, device_id=1)).isError()
        assert (await client.read_coils(0, count=1, device_id=1)).isError()
        assert (await client.read_holding_registers(0, count=1, device_id=99)).isError()
        assert await read(client, drivers[0], drivers[0].sensors[0]) == 1.0

    asyncio.run(with_server(drivers, values, use))


def test_a_port_in_use_is_named_with_the_variable_that_sets_it(
    free_ports: Callable[[int], list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_ports(1)[0]
    monkeypatch.setenv("SIDESTREAM_SIM_MODBUS_PORT", str(port))
    path = example_hub("minimal").edge_path
    drivers = [driver for driver in load_edge(path).drivers if isinstance(driver, ModbusDriver)]

    async def twice() -> None:
        first, second = (ModbusServers(drivers, [], path) for _ in range(2))
        await first.start()
        try:
            with pytest.raises(ConfigurationError, match=rf"port {port} .*SIDESTREAM_SIM_MODBUS_PORT"):
                await second.start()
        finally:
            await first.stop()
            await second.stop()

    asyncio.run(twice())


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"serial": {"port": "/dev/ttyUSB0"}}, "only Modbus TCP devices can be simulated"),
        (
            {"host": "127.0.0.1", "sensors": [{"id": "a", "register": 0, "table": "coil"}]},
            "sensor 'a' of driver 'm' is a coil",
        ),
    ],
)
def test_a_driver_that_can_not_be_simulated_is_named_with_a_way_out(section, said, tmp_path):
    sensors = [{"id": "a", "register": 0}]
    driver = ModbusDriver.model_validate({"id": "m", "type": "modbus", "sensors": sensors, **section})
    with pytest.raises(ConfigurationError, match=said):
        ModbusServers([driver], (), tmp_path / "edge.yaml")
