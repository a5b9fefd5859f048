"""The part of `edge.yaml` about loggers that send their values by HTTP POST."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from sidestream_contracts.edge_brokers import Host, MqttQuality, MqttSensor, MqttTime, Port
from sidestream_contracts.edge_driver import DriverPart, announced_as
from sidestream_contracts.ids import Id
from sidestream_contracts.messages import AnnouncedSensor, Delivery
from sidestream_contracts.part import FilePart
from sidestream_contracts.yamlnodes import Problem

Named = Annotated[str, Field(min_length=1)]


class HttpSensor(MqttSensor):
    """One value of a body; `value = raw * scale + offset`, a boolean is 1 or 0."""

    id: Id
    path: Named = Field(description="into JSON: `data.temp`, `values[0].v`; csv: the name of the column")


class HttpDevice(FilePart):
    """A logger and what its bodies look like."""

    path: Annotated[str, Field(pattern=r"^/[A-Za-z0-9._~/-]*$")] = Field(description="where it posts, e.g. /logger-7")
    token: Annotated[str, Field(min_length=8)] | None = Field(
        default=None, description="as bearer token, or as password of basic authentication; from the environment"
    )
    payload: Literal["json", "csv"] = "json"
    rows: str | None = Field(default=None, description="json: place of the list whose elements are measurements")
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    columns: list[str] | None = Field(default=None, description="csv: names of the columns, where no header is sent")
    time: MqttTime | None = None
    quality: MqttQuality | None = None
    in_order: bool = Field(default=False, description="it sends by time: what is not newer than the newest is a repeat")
    sensors: list[HttpSensor] = Field(min_length=1)


class HttpDriver(DriverPart):
    """Listens for loggers that post JSON or CSV, and answers 2xx when it is on the disk."""

    type: Literal["http"]
    host: Host = Field(description="address to listen on; 0.0.0.0 for all of this machine")
    port: Port
    max_bytes: Annotated[int, Field(ge=1024, le=4_000_000)] = Field(default=262_144, description="of a body")
    max_connections: Annotated[int, Field(ge=1, le=256)] = 32
    timeout_s: Annotated[float, Field(gt=0)] = Field(default=10.0, description="for a whole request, and to store it")
    devices: list[HttpDevice] = Field(min_length=1)

    def announced(self) -> Iterator[AnnouncedSensor]:
        """The sensors of all devices, and whether each value of theirs comes once."""
        for device in self.devices:
            delivery: Delivery = "at_least_once" if device.time is None else "once"
            yield from (announced_as(self.id, sensor, delivery) for sensor in device.sensors)

    def problems(self, n: int) -> Iterator[Problem]:
        """Two devices at one path, and what does not go together in one."""
        yield from super().problems(n)
        seen: set[str] = set()
        for k, device in enumerate(self.devices):
            where, place = f"drivers.{n}.devices.{k}", ("drivers", n, "devices", k)
            if device.path in seen:
                yield Problem(place, f"{where}.path: {device.path!r} stands twice; each device has its own")
            seen.add(device.path)
            if device.payload == "csv" and device.rows:
                yield Problem(place, f"{where}: `rows` is a place in JSON; every line of a csv is a row")
            if device.payload == "json" and device.columns:
                yield Problem(place, f"{where}: `columns` are of csv; json names its values itself")
            if device.in_order and device.time is None:
                yield Problem(place, f"{where}: `in_order` needs `time`: it is by time that a repeat is known")
            for s, sensor in enumerate(device.sensors):
                if sensor.scale == 0:
                    yield Problem(
                        (*place, "sensors", s), f"{where}.sensors.{s}.scale: 0 makes every reading {sensor.offset:g}"
                    )
