"""`edge.yaml`, one per gateway: how to read. Outbox, drivers with their addresses, registers and columns.

Brokers and the drivers that listen to them stand in `edge_brokers`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from sidestream_contracts import yamlfile
from sidestream_contracts.edge_brokers import (
    LEVEL,
    Broker,
    Host,
    MqttDriver,
    Port,
    SparkplugDriver,
    check_mqtt,
    check_sparkplug,
)
from sidestream_contracts.ids import Id
from sidestream_contracts.part import FilePart
from sidestream_contracts.topics import DeviceAddress
from sidestream_contracts.yamlfile import Problem

Positive = Annotated[float, Field(gt=0)]
RegisterType = Literal["int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64"]
WORDS = {"int16": 1, "uint16": 1, "int32": 2, "uint32": 2, "float32": 2, "int64": 4, "uint64": 4, "float64": 4}
LAST_REGISTER = 65535


class Outbox(FilePart):
    """Where frames wait until the hub has committed them."""

    path: str = Field(default="outbox.sqlite", description="relative to edge.yaml")
    max_mb: Positive = 1024.0
    journal: bool = Field(default=False, description="keep a copy of every frame for counting (tests, demo)")


class Framing(FilePart):
    """When readings become a frame: whichever limit is reached first."""

    max_readings: Annotated[int, Field(ge=1, le=10_000)] = 100
    max_wait_s: Positive = 0.2


class Metrics(FilePart):
    """Where Prometheus may ask for the agent's figures."""

    host: Host = Field(default="127.0.0.1", description="address to listen on")
    port: Port


class ModbusRegister(FilePart):
    """One value in a Modbus device; `value = raw * scale + offset`."""

    id: Id
    register_: Annotated[int, Field(ge=0, le=LAST_REGISTER, alias="register", description="address from 0")]
    type: RegisterType = "uint16"
    table: Literal["holding", "input"] = "holding"
    word_order: Literal["big", "little"] = "big"
    scale: float = 1.0
    offset: float = 0.0
    unit: str | None = Field(default=None, description="UCUM code, announced to the hub")
    quantity: str | None = Field(default=None, description="announced to the hub")


class _Driver(FilePart):
    id: Id


class ModbusDriver(_Driver):
    """Polls a Modbus TCP device."""

    type: Literal["modbus"]
    host: Host
    port: Port = 502
    unit_id: Annotated[int, Field(ge=0, le=255)] = 1
    period_s: Positive = 1.0
    timeout_s: Positive = 3.0
    sensors: list[ModbusRegister] = Field(min_length=1)


class ScannerDriver(_Driver):
    """Takes lines of text from a QR, barcode or EPC scanner: `tcp://host:port`, or a file that grows."""

    type: Literal["scanner"]
    source: str = Field(description="tcp://host:port, or a path relative to edge.yaml")
    sensor: Id
    timeout_s: Positive = 3.0


class RecordedColumn(FilePart):
    """A column of numbers that is one sensor's readings."""

    id: Id
    column: str
    unit: str | None = None
    quantity: str | None = None


class RecordedScans(FilePart):
    """Columns of codes (and signal strength) that are one reader's scans."""

    id: Id
    column: str
    rssi_column: str | None = None


class RecordedDriver(_Driver):
    """Plays a CSV file into the chain with its own timestamps (clock `recorded`)."""

    type: Literal["recorded"]
    file: str = Field(description="CSV, relative to edge.yaml")
    time_column: str
    time_format: Literal["iso8601", "epoch_ms", "epoch_s"] = "iso8601"
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    sensors: list[RecordedColumn] = Field(default=[])
    scans: RecordedScans | None = None


AnyDriver = ModbusDriver | ScannerDriver | RecordedDriver | MqttDriver | SparkplugDriver
Driver = Annotated[AnyDriver, Field(discriminator="type")]


class EdgeFile(FilePart):
    """The whole of `edge.yaml`, version 1."""

    version: Literal[1]
    hub: Id
    party: Id
    device: Id
    broker: Broker
    outbox: Outbox = Outbox()
    framing: Framing = Framing()
    metrics: Metrics | None = Field(default=None, description="left out: no metrics are shown")
    drivers: list[Driver] = Field(min_length=1)

    @property
    def address(self) -> DeviceAddress:
        """Who this agent is on the wire."""
        return DeviceAddress(self.hub, self.party, self.device)


def load_edge(path: Path) -> EdgeFile:
    """An `edge.yaml` without contradictions; ConfigurationError with file and line of each mistake."""
    return yamlfile.load(path, EdgeFile, check_edge)


def sensor_ids(driver: AnyDriver) -> list[str]:
    """Ids of the sensors that `driver` reads; without those that only the topic of a message tells."""
    if isinstance(driver, ModbusDriver | SparkplugDriver):
        return [sensor.id for sensor in driver.sensors]
    if isinstance(driver, MqttDriver):
        return [sensor.id for topic in driver.topics for sensor in topic.sensors if not LEVEL.search(sensor.id)]
    if isinstance(driver, ScannerDriver):
        return [driver.sensor]
    return [*(column.id for column in driver.sensors), *([driver.scans.id] if driver.scans else [])]


def check_edge(edge: EdgeFile) -> Iterator[Problem]:
    """Every problem of an edge file whose types are right."""
    drivers: set[str] = set()
    owner: dict[str, str] = {}
    for n, driver in enumerate(edge.drivers):
        if driver.id in drivers:
            yield Problem(("drivers", n, "id"), f"drivers.{n}.id: {driver.id!r} stands twice; ids are unique")
        drivers.add(driver.id)
        for sensor in sensor_ids(driver):
            if sensor in owner:
                yield Problem(
                    ("drivers", n), f"drivers.{n}: sensor {sensor!r} is already read by driver {owner[sensor]!r}"
                )
            owner[sensor] = driver.id
        if isinstance(driver, ModbusDriver):
            yield from _check_registers(n, driver)
        if isinstance(driver, MqttDriver):
            yield from check_mqtt(n, driver)
        if isinstance(driver, SparkplugDriver):
            yield from check_sparkplug(n, driver)
        if isinstance(driver, RecordedDriver) and not driver.sensors and not driver.scans:
            yield Problem(("drivers", n), f"drivers.{n}: a recorded file needs `sensors` or `scans`")


def _check_registers(n: int, driver: ModbusDriver) -> Iterator[Problem]:
    """A register that can't be read as declared, or that two sensors of one poll claim."""
    holder: dict[tuple[str, int], str] = {}
    for k, sensor in enumerate(driver.sensors):
        where = f"drivers.{n}.sensors.{k}"
        words = range(sensor.register_, sensor.register_ + WORDS[sensor.type])
        if sensor.scale == 0:
            yield Problem(
                ("drivers", n, "sensors", k, "scale"),
                f"{where}.scale: 0 makes every reading {sensor.offset:g}; value = raw × scale + offset",
            )
        if words[-1] > LAST_REGISTER:
            yield Problem(
                ("drivers", n, "sensors", k, "register"),
                f"{where}.register: {sensor.register_} with {len(words)} words of {sensor.type} runs past {LAST_REGISTER}",
            )
        taken = next((word for word in words if (sensor.table, word) in holder), None)
        if taken is not None:
            yield Problem(
                ("drivers", n, "sensors", k, "register"),
                f"{where}.register: {sensor.table} register {taken} is already part of {holder[sensor.table, taken]!r}; "
                f"{sensor.type} takes {len(words)}",
            )
        holder.update(((sensor.table, word), sensor.id) for word in words)
