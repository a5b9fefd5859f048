"""A message becomes readings, by the mapping in `edge.yaml`. Pure: topic, payload and time of reception in, readings out.

One bad value costs only itself. What can't be used is told as a fault that names the sensor, the reason and the cause.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sidestream_contracts.edge_brokers import LEVEL, MqttQuality, MqttSensor, MqttTopic
from sidestream_contracts.errors import ContractError
from sidestream_contracts.frame import Quality, parse_json
from sidestream_contracts.ids import ID_PATTERN
from sidestream_edge.drivers.mqtt import values
from sidestream_edge.measurement import Reading

MOST_BYTES = 1 << 18


@dataclass(frozen=True, slots=True)
class Message:
    """One message as it came; `late` when it may have waited at the broker, so that reception says little about its time."""

    topic: str
    payload: bytes
    received_us: int
    retained: bool = False
    late: bool = False


@dataclass(frozen=True, slots=True)
class Fault:
    """Something in a message of `topic` that can't be used; `sensor` is None where it can't be said whose it was."""

    topic: str
    sensor: str | None
    reason: str
    text: str


@dataclass(slots=True)
class Found:
    """What messages gave: readings with the time that their source told (`timed`) and such stamped at reception.

    `unknown_age` counts retained values without a time: nobody knows when they were measured, so they are left out.
    """

    timed: list[Reading] = field(default_factory=list)
    stamped: list[Reading] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    unknown_age: int = 0


class Mapping:
    """All topics of a driver; `read` may be asked about any message."""

    def __init__(self, topics: list[MqttTopic]) -> None:
        self._topics = [(re.compile(_pattern(topic.topic)), topic) for topic in topics]

    def read(self, message: Message, found: Found) -> None:
        """Adds what the message gives to `found`; a topic that nothing is mapped to gives nothing."""
        for pattern, topic in self._topics:
            if pattern.fullmatch(message.topic):
                _read(topic, message, found)

    def sensors(self, topic: str) -> Iterator[tuple[str, MqttSensor, MqttTopic]]:
        """What a message of `topic` can tell of: sensor id and where it is mapped."""
        for pattern, mapped in self._topics:
            if pattern.fullmatch(topic):
                for sensor, name in zip(mapped.sensors, _names(mapped, topic), strict=True):
                    if name is not None:
                        yield name, sensor, mapped


def _pattern(topic: str) -> str:
    return "/".join("[^/]+" if level == "+" else re.escape(level) for level in topic.split("/"))


def sensor_id(sensor: MqttSensor, topic: str) -> str:
    """Its id in a message of `topic`; ContractError `bad_id` where a level makes no id."""
    levels = topic.split("/")
    name = LEVEL.sub(lambda match: levels[int(match.group(1)) - 1], sensor.id)
    if not re.match(ID_PATTERN, name):
        raise ContractError("bad_id", f"{name!r} is no sensor id (they match {ID_PATTERN}); map this topic by itself")
    return name


def _read(topic: MqttTopic, message: Message, found: Found) -> None:
    if message.retained and topic.time is None:
        found.unknown_age += len(topic.sensors)
        return
    try:
        body = _body(topic, message.payload)
        t, quality = _time(topic, body, message), _quality(topic, body, message)
    except ContractError as error:
        found.faults += [Fault(message.topic, name, error.reason, str(error)) for name in _names(topic, message.topic)]
        return
    for sensor in topic.sensors:
        name = None
        try:
            name = sensor_id(sensor, message.topic)
            value = _value(sensor, body if sensor.path is None else values.at(body, sensor.path))
        except ContractError as error:
            found.faults.append(Fault(message.topic, name, error.reason, str(error)))
            continue
        reading = Reading(name, t, value, Quality.BAD if value is None else quality)
        (found.stamped if topic.time is None else found.timed).append(reading)


def _names(topic: MqttTopic, said: str) -> Iterator[str | None]:
    for sensor in topic.sensors:
        try:
            yield sensor_id(sensor, said)
        except ContractError:
            yield None


def _body(topic: MqttTopic, payload: bytes) -> Any:
    if len(payload) > MOST_BYTES:
        raise ContractError("too_large", f"{len(payload)} bytes are too many; at most {MOST_BYTES} are read")
    if topic.payload == "json":
        return parse_json(payload)
    try:
        return payload.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ContractError("not_utf8", f"the payload is no text: {error.reason} at byte {error.start}") from error


def _time(topic: MqttTopic, body: Any, message: Message) -> int:
    if topic.time is None:
        return message.received_us
    now = datetime.fromtimestamp(message.received_us / 1e6, UTC)
    return values.time_us(values.at(body, topic.time.path), topic.time, now)


def _quality(topic: MqttTopic, body: Any, message: Message) -> int:
    if topic.quality is not None:
        told = _told(topic.quality, body)
        if told != Quality.GOOD:
            return told
    return Quality.UNCERTAIN if message.late and topic.time is None else Quality.GOOD


def _told(how: MqttQuality, body: Any) -> int:
    said = str(values.at(body, how.path)).strip().lower()
    if said in how.good:
        return Quality.GOOD
    return Quality.UNCERTAIN if said in how.uncertain else Quality.BAD


def _value(sensor: MqttSensor, raw: Any) -> float | None:
    """`null` in JSON is a value: the device says that it has none."""
    if raw is None:
        return None
    if sensor.type == "boolean":
        return values.boolean(raw) * sensor.scale + sensor.offset
    scaled = values.number(raw, decimal_comma=sensor.decimal_comma) * sensor.scale + sensor.offset
    return values.number(scaled, decimal_comma=False)
