"""The part of `edge.yaml` that speaks to brokers: the hub's own, and drivers for devices of others that publish by MQTT."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from sidestream_contracts.edge_driver import DriverPart, announced_as
from sidestream_contracts.ids import ID_PATTERN, Id
from sidestream_contracts.messages import AnnouncedSensor
from sidestream_contracts.part import FilePart
from sidestream_contracts.yamlnodes import Problem

Port = Annotated[int, Field(ge=1, le=65535)]
Host = Annotated[str, Field(min_length=1)]
LEVEL = re.compile(r"\{([1-9][0-9]?)\}")
"""`{2}` in a sensor id stands for the second level of the topic."""


class Broker(FilePart):
    """An MQTT broker, version 5."""

    host: Host
    port: Port = 1883
    username: str | None = None
    password: str | None = None
    ca_file: str | None = Field(default=None, description="CA certificate; turns TLS on")
    cert_file: str | None = None
    key_file: str | None = None
    keepalive_s: Annotated[int, Field(ge=1, le=3600)] = 15


class MqttTime(FilePart):
    """Where a JSON message says when it was measured; the format is never guessed."""

    path: Annotated[str, Field(min_length=1)]
    format: Literal["iso8601", "epoch_s", "epoch_ms", "epoch_us"] = Field(
        description="iso8601 with a zone, or seconds, ms, µs since 1970-01-01 UTC"
    )
    zone: Annotated[str, Field(pattern=r"^(UTC|[+-][01][0-9]:[0-5][0-9])$")] | None = Field(
        default=None,
        description="iso8601 without a zone: UTC, or the offset that the device keeps all year, e.g. +01:00",
    )


class MqttQuality(FilePart):
    """Where a JSON message says how good its values are; what is listed neither as good nor as uncertain is bad."""

    path: Annotated[str, Field(min_length=1)]
    good: list[str] = Field(default=["good", "ok", "true", "192", "0"], description="compared as text, in lower case")
    uncertain: list[str] = Field(default=["uncertain", "64"])


class MqttSensor(FilePart):
    """One value of a message; `value = raw * scale + offset`, a boolean is 1 or 0."""

    id: Annotated[str, Field(min_length=1)] = Field(description="`{n}` stands for the n-th level of the topic")
    path: str | None = Field(default=None, description="into JSON: `data.temp`, `values[0].v`")
    type: Literal["number", "boolean"] = "number"
    decimal_comma: bool = Field(default=False, description="numbers written as text look like `21,5`")
    scale: float = 1.0
    offset: float = 0.0
    unit: str | None = Field(default=None, description="UCUM code, announced to the hub")
    quantity: str | None = Field(default=None, description="announced to the hub")


class MqttTopic(FilePart):
    """Messages of one topic, or of all that match it with `+` for a level, and the sensors in them."""

    topic: Annotated[str, Field(min_length=1)]
    payload: Literal["plain", "json"] = Field(default="plain", description="plain: the whole message is one value")
    time: MqttTime | None = None
    quality: MqttQuality | None = None
    sensors: list[MqttSensor] = Field(min_length=1)


class MqttDriver(DriverPart):
    """Takes what devices of others publish to a broker: plain numbers, booleans, JSON."""

    type: Literal["mqtt"]
    broker: Broker | None = Field(default=None, description="the hub's own where it is left out")
    client_id: str | None = Field(default=None, description="`{hub}.{party}.{device}.{driver}` where it is left out")
    session_expiry_s: Annotated[int, Field(ge=0)] = Field(
        default=86_400, description="how long the broker keeps messages for this agent while it is away"
    )
    topics: list[MqttTopic] = Field(min_length=1)

    def announced(self) -> Iterator[AnnouncedSensor]:
        """Without those of which the topic tells the id: they are announced when they are met."""
        for topic in self.topics:
            for sensor in topic.sensors:
                if re.match(ID_PATTERN, sensor.id):
                    yield announced_as(self.id, sensor, "at_least_once" if topic.time is None else "once")

    def problems(self, n: int) -> Iterator[Problem]:
        """What can't be meant in its topics."""
        yield from super().problems(n)
        yield from _check_mqtt(n, self)


class SparkplugSensor(FilePart):
    """One metric of an edge node, or of a device behind it; `value = raw * scale + offset`, a boolean is 1 or 0."""

    id: Id
    node: Annotated[str, Field(min_length=1)]
    device: str | None = None
    metric: Annotated[str, Field(min_length=1)]
    scale: float = 1.0
    offset: float = 0.0
    unit: str | None = Field(default=None, description="UCUM code; from the birth's engUnit where it is left out")
    quantity: str | None = Field(default=None, description="announced to the hub")


class SparkplugDriver(DriverPart):
    """Host application of Sparkplug B 3.0 for the edge nodes of one group."""

    type: Literal["sparkplug"]
    broker: Broker | None = Field(default=None, description="the hub's own where it is left out")
    client_id: str | None = Field(default=None, description="`{hub}.{party}.{device}.{driver}` where it is left out")
    host_id: str | None = Field(
        default=None, description="announced as STATE, for nodes that wait for their primary host"
    )
    group: Annotated[str, Field(min_length=1)]
    nodes: list[str] = Field(default=[], description="listened to beside those that `sensors` name")
    sensors: list[SparkplugSensor] = Field(default=[])

    @property
    def all_nodes(self) -> list[str]:
        """Edge nodes that are listened to."""
        return list(dict.fromkeys([*self.nodes, *(sensor.node for sensor in self.sensors)]))

    def announced(self) -> Iterator[AnnouncedSensor]:
        """Its metrics, each measurement delivered once."""
        yield from (announced_as(self.id, sensor, "once") for sensor in self.sensors)

    def problems(self, n: int) -> Iterator[Problem]:
        """What can't be meant in its mapping."""
        yield from super().problems(n)
        yield from _check_sparkplug(n, self)


def _check_mqtt(n: int, driver: MqttDriver) -> Iterator[Problem]:
    """What can't be meant in the topics of a driver."""
    seen: set[str] = set()
    for k, topic in enumerate(driver.topics):
        where, place = f"drivers.{n}.topics.{k}", ("drivers", n, "topics", k)
        levels = topic.topic.split("/")
        if topic.topic in seen:
            yield Problem(place, f"{where}: topic {topic.topic!r} stands twice; put its sensors under one")
        seen.add(topic.topic)
        if "#" in topic.topic or any("+" in level and level != "+" for level in levels) or topic.topic.startswith("$"):
            yield Problem(
                place, f"{where}.topic: {topic.topic!r} can't be used; `+` may stand for a whole level, `#` not"
            )
        if topic.payload == "plain" and (topic.time or topic.quality or any(s.path for s in topic.sensors)):
            yield Problem(place, f"{where}: a plain payload has no path, time or quality; write `payload: json`")
        if topic.payload == "plain" and len(topic.sensors) > 1:
            yield Problem(place, f"{where}: a plain payload is one value, but {len(topic.sensors)} sensors are named")
        for s, sensor in enumerate(topic.sensors):
            problem = _sensor_problem(topic, levels, sensor)
            if problem:
                yield Problem((*place, "sensors", s), f"{where}.sensors.{s}: {problem}")


def _sensor_problem(topic: MqttTopic, levels: list[str], sensor: MqttSensor) -> str | None:
    named = {int(number) for number in LEVEL.findall(sensor.id)}
    if not re.match(ID_PATTERN, LEVEL.sub("x", sensor.id)):
        return f"id {sensor.id!r} is no id; ids match {ID_PATTERN}, with `{{n}}` for a level of the topic"
    if topic.payload == "json" and not sensor.path:
        return f"{sensor.id!r} needs `path`: where in the JSON its value stands"
    wild = {place for place, level in enumerate(levels, start=1) if level == "+"}
    if wild != named:
        return (
            f"id {sensor.id!r} must name each `+` of {topic.topic!r} by its level, and no other:"
            f" {', '.join(f'{{{place}}}' for place in sorted(wild)) or 'there is none'}"
        )
    if sensor.scale == 0:
        return f"scale 0 makes every reading {sensor.offset:g}; value = raw × scale + offset"
    return None


def _check_sparkplug(n: int, driver: SparkplugDriver) -> Iterator[Problem]:
    """What can't be meant in the mapping of a driver."""
    if not driver.all_nodes:
        yield Problem(("drivers", n), f"drivers.{n}: name the edge nodes in `nodes`, or sensors with their `node`")
    held: dict[tuple[str, str | None, str], str] = {}
    for k, sensor in enumerate(driver.sensors):
        where, key = f"drivers.{n}.sensors.{k}", (sensor.node, sensor.device, sensor.metric)
        if key in held:
            yield Problem(
                ("drivers", n, "sensors", k), f"{where}: metric {sensor.metric!r} is already sensor {held[key]!r}"
            )
        held[key] = sensor.id
        if sensor.scale == 0:
            yield Problem(
                ("drivers", n, "sensors", k, "scale"), f"{where}.scale: 0 makes every reading {sensor.offset:g}"
            )
    for name in [driver.group, *driver.all_nodes, *(s.device for s in driver.sensors if s.device)]:
        if set(name) & set("+#/"):
            yield Problem(
                ("drivers", n), f"drivers.{n}: {name!r} can't be a Sparkplug id; + # / are not allowed in one"
            )
