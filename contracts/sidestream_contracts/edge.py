"""`edge.yaml`, one per gateway: how to read. Outbox, drivers with their addresses, registers and columns.

Brokers and the drivers that listen to them stand in `edge_brokers`, Modbus in `edge_modbus`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import Discriminator, Field, Tag

from sidestream_contracts import yamlfile
from sidestream_contracts.edge_brokers import Broker, Host, MqttDriver, Port, SparkplugDriver
from sidestream_contracts.edge_driver import DriverPart, announced_as
from sidestream_contracts.edge_http import HttpDriver
from sidestream_contracts.edge_lines import ScaleDriver, ScannerDriver
from sidestream_contracts.edge_modbus import ModbusDriver, check_lines
from sidestream_contracts.edge_opcua import OpcUaDriver
from sidestream_contracts.edge_plugins import PluginDriver
from sidestream_contracts.edge_pulse import PulseDriver
from sidestream_contracts.edge_rfid import LlrpDriver
from sidestream_contracts.ids import Id
from sidestream_contracts.messages import AnnouncedSensor
from sidestream_contracts.part import FilePart
from sidestream_contracts.topics import DeviceAddress
from sidestream_contracts.yamlnodes import Problem

Positive = Annotated[float, Field(gt=0)]


class Outbox(FilePart):
    """Where frames wait until the hub has committed them."""

    path: str = Field(default="outbox.sqlite", description="relative to edge.yaml")
    max_mb: Positive = Field(
        default=1024.0,
        description="above it nothing more is taken: of lane bulk from 80 % on, of live from 100 %, of scans never",
    )
    max_days: Positive | None = Field(
        default=None,
        description="the same by age: how long the oldest frame may have waited for the hub, by the gateway's clock; left out: "
        "no bound. Nothing that is stored is ever thrown away",
    )
    journal: bool = Field(default=False, description="keep a copy of every frame for counting (tests, demo)")


class Framing(FilePart):
    """When readings become a frame: whichever limit is reached first."""

    max_readings: Annotated[int, Field(ge=1, le=10_000)] = 100
    max_wait_s: Positive = 0.2


class Metrics(FilePart):
    """Where Prometheus may ask for the agent's figures."""

    host: Host = Field(default="127.0.0.1", description="address to listen on")
    port: Port


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


class RecordedDriver(DriverPart):
    """Plays a CSV file into the chain with its own timestamps (clock `recorded`), or follows one that is being written."""

    type: Literal["recorded"]
    file: str = Field(description="CSV, relative to edge.yaml")
    time_column: str
    time_format: Literal["iso8601", "epoch_ms", "epoch_s"] = "iso8601"
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    sensors: list[RecordedColumn] = Field(default=[])
    scans: RecordedScans | None = None
    follow: bool = Field(default=False, description="goes on with what is appended, through rotation")
    rotated: str | None = Field(
        default=None,
        description="pattern of the names that earlier files get, e.g. log-*.csv: read first, oldest first",
    )
    clock: Literal["recorded", "live"] = Field(
        default="recorded", description="live: what it says is of now; then the hub judges times and staleness"
    )

    def announced(self) -> Iterator[AnnouncedSensor]:
        """Its columns of numbers, and its reader of codes."""
        yield from (announced_as(self.id, column) for column in self.sensors)
        if self.scans:
            yield AnnouncedSensor(id=self.scans.id, driver=self.id, unit="1", quantity="scan")

    def problems(self, n: int) -> Iterator[Problem]:
        """A file of which nothing is wanted."""
        yield from super().problems(n)
        if not self.sensors and not self.scans:
            yield Problem(("drivers", n), f"drivers.{n}: a recorded file needs `sensors` or `scans`")
        if self.rotated is not None and not self.follow:
            yield Problem(("drivers", n, "rotated"), f"drivers.{n}.rotated: only a file with `follow: true` is rotated")


BuiltInDriver = (
    ModbusDriver
    | ScannerDriver
    | RecordedDriver
    | MqttDriver
    | SparkplugDriver
    | OpcUaDriver
    | ScaleDriver
    | LlrpDriver
    | PulseDriver
    | HttpDriver
)
"""Add a driver of ours here, and to the table in `sidestream_edge.drivers`."""

BUILT_IN: dict[str, type[DriverPart]] = {
    get_args(model.model_fields["type"].annotation)[0]: model for model in get_args(BuiltInDriver)
}
"""Model of each type of driver that comes with Sidestream."""


def _whose(section: Any) -> str:
    """The tag of the model for one section of `drivers`; what has no type at all is explained by the built-in ones."""
    kind = section.get("type") if isinstance(section, dict) else getattr(section, "type", None)
    return "plugin" if isinstance(kind, str) and kind not in BUILT_IN else "built_in"


AnyDriver = BuiltInDriver | PluginDriver
Driver = Annotated[
    Annotated[BuiltInDriver, Field(discriminator="type"), Tag("built_in")] | Annotated[PluginDriver, Tag("plugin")],
    Discriminator(_whose),
]


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

    def driver(self, name: str) -> AnyDriver:
        """The driver of this id; KeyError if there is none."""
        return {driver.id: driver for driver in self.drivers}[name]


def load_edge(path: Path) -> EdgeFile:
    """An `edge.yaml` without contradictions; ConfigurationError with file and line of each mistake."""
    return yamlfile.load(path, EdgeFile, check_edge)


def sensor_ids(driver: DriverPart) -> list[str]:
    """Ids of the sensors that `driver` reads; without those that it learns only from its device."""
    return [sensor.id for sensor in driver.announced()]


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
        if isinstance(driver, PluginDriver) and not driver.is_installed:
            yield driver.unknown(n, BUILT_IN)
            continue
        yield from driver.problems(n)
    yield from check_lines((n, d) for n, d in enumerate(edge.drivers) if isinstance(d, ModbusDriver))
