"""The part of `edge.yaml` that speaks Modbus: a device over TCP, on a serial line, or behind a serial server, and its registers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, Literal

from pydantic import Field

from sidestream_contracts.edge_brokers import Host, Port
from sidestream_contracts.edge_driver import DriverPart, announced_as
from sidestream_contracts.ids import Id
from sidestream_contracts.messages import AnnouncedSensor
from sidestream_contracts.part import FilePart
from sidestream_contracts.yamlnodes import Problem

Positive = Annotated[float, Field(gt=0)]
Baud = Annotated[int, Field(ge=300, le=921_600)]
Parity = Literal["none", "even", "odd"]
RegisterType = Literal["int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64"]
Table = Literal["holding", "input", "coil", "discrete"]
WORDS: dict[RegisterType, int] = {
    "int16": 1, "uint16": 1, "int32": 2, "uint32": 2, "float32": 2, "int64": 4, "uint64": 4, "float64": 4,
}  # fmt: skip
BIT_TABLES: tuple[Table, ...] = ("coil", "discrete")
LAST_REGISTER = 65535
LAST_UNIT = 247
TCP_TIMEOUT_S, LINE_TIMEOUT_S = 3.0, 0.5


class ModbusRegister(FilePart):
    """One value in a Modbus device; `value = raw * scale + offset`, a coil or discrete input is 1 or 0."""

    id: Id
    register_: Annotated[int, Field(ge=0, le=LAST_REGISTER, alias="register", description="address from 0")]
    type: RegisterType = Field(default="uint16", description="of no meaning for `coil` and `discrete`")
    table: Table = Field(default="holding", description="holding, input, coil, discrete: functions 3, 4, 1, 2")
    word_order: Literal["big", "little"] = Field(default="big", description="which of several words comes first")
    byte_order: Literal["big", "little"] = Field(default="big", description="within a word; big by the standard")
    scale: float = 1.0
    offset: float = 0.0
    unit: str | None = Field(default=None, description="UCUM code, announced to the hub")
    quantity: str | None = Field(default=None, description="announced to the hub")

    @property
    def is_bit(self) -> bool:
        """Whether it is a coil or a discrete input."""
        return self.table in BIT_TABLES

    @property
    def width(self) -> int:
        """How many addresses it takes: words, or one bit."""
        return 1 if self.is_bit else WORDS[self.type]


class SerialLine(FilePart):
    """A serial line; drivers that name the same port share it, and must give it the same settings."""

    port: Annotated[str, Field(min_length=1)] = Field(description="/dev/serial/by-id/… stays the same after a restart")
    baud: Baud = 19_200
    parity: Parity = "even"
    stop_bits: Annotated[int, Field(ge=1, le=2)] = 1


class ModbusDriver(DriverPart):
    """Polls a Modbus device: TCP (`host`), RTU on a serial line (`serial`), or RTU through a serial server (`framing: rtu`)."""

    type: Literal["modbus"]
    host: Host | None = Field(default=None, description="the device, or the serial server it hangs on")
    port: Port = 502
    framing: Literal["tcp", "rtu"] = Field(
        default="tcp", description="rtu: RTU frames over TCP, as serial servers pass on"
    )
    serial: SerialLine | None = Field(default=None, description="instead of host: Modbus RTU on this line")
    unit_id: Annotated[int, Field(ge=0, le=255)] = 1
    period_s: Positive = 1.0
    timeout_s: Positive | None = Field(
        default=None, description="to connect and for each answer; 3 by TCP, 0.5 on a line"
    )
    sensors: list[ModbusRegister] = Field(min_length=1)

    def announced(self) -> Iterator[AnnouncedSensor]:
        """A sensor for each register."""
        yield from (announced_as(self.id, sensor) for sensor in self.sensors)

    def problems(self, n: int) -> Iterator[Problem]:
        """No way to the device or two, registers that can't be read as declared, or that two sensors claim."""
        yield from super().problems(n)
        if (self.host is None) == (self.serial is None):
            yield Problem(
                ("drivers", n),
                f"drivers.{n}: a Modbus device needs either `host` (TCP) or `serial` (RTU), not "
                + ("both" if self.serial else "neither"),
            )
        if self.shares_line and not 1 <= self.unit_id <= LAST_UNIT:
            yield Problem(
                ("drivers", n, "unit_id"),
                f"drivers.{n}.unit_id: {self.unit_id} is no device's address on a serial line; 1 to {LAST_UNIT}",
            )
        yield from _check_registers(n, self)

    @property
    def answer_s(self) -> float:
        """How long to wait for the connection, and for the first byte of each answer, in s."""
        return self.timeout_s or (LINE_TIMEOUT_S if self.shares_line else TCP_TIMEOUT_S)

    @property
    def line(self) -> str:
        """What it shares with other drivers: the serial line, or host and port."""
        return self.serial.port if self.serial else f"{self.host}:{self.port}"

    @property
    def shares_line(self) -> bool:
        """Whether only one device of its line can be asked at a time."""
        return self.serial is not None or self.framing == "rtu"


def check_lines(drivers: Iterable[tuple[int, ModbusDriver]]) -> Iterator[Problem]:
    """Drivers that share a line and don't agree about it."""
    first: dict[str, ModbusDriver] = {}
    for n, driver in drivers:
        if not driver.shares_line:
            continue
        other = first.setdefault(driver.line, driver)
        if (driver.serial, driver.framing) != (other.serial, other.framing):
            yield Problem(
                ("drivers", n),
                f"drivers.{n}: {driver.id!r} and {other.id!r} share the line {driver.line} and give it different settings;"
                " one line has one baud rate, parity and number of stop bits",
            )
        if other is not driver and "process" in {driver.isolation, other.isolation}:
            yield Problem(
                ("drivers", n),
                f"drivers.{n}: {driver.id!r} and {other.id!r} share the line {driver.line}, which one process must hold;"
                " leave out `isolation: process`",
            )


def _check_registers(n: int, driver: ModbusDriver) -> Iterator[Problem]:
    """A register that can't be read as declared, or that two sensors of one poll claim."""
    holder: dict[tuple[str, int], str] = {}
    for k, sensor in enumerate(driver.sensors):
        where = f"drivers.{n}.sensors.{k}"
        words = range(sensor.register_, sensor.register_ + sensor.width)
        if sensor.is_bit and "type" in sensor.model_fields_set:
            yield Problem(
                ("drivers", n, "sensors", k, "type"),
                f"{where}.type: a {sensor.table} is one bit and has no type; leave it out",
            )
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
