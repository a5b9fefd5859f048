"""A message becomes readings, by the mapping in `edge.yaml`. Pure: topic, payload and time of reception in, readings out.

One bad value costs only itself. What can't be used is told as a fault that names the sensor, the reason and the cause.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sidestream_contracts.edge_brokers import LEVEL, MqttSensor, MqttTopic
from sidestream_contracts.errors import ContractError
from sidestream_contracts.frame import parse_json
from sidestream_contracts.ids import ID_PATTERN
from sidestream_edge.drivers.bodies import Arrival, Found, read_values, spoil

MOST_BYTES = 1 << 18


@dataclass(frozen=True, slots=True)
class Message:
    """One message as it came; `late` when it may have waited at the broker, so that reception says little about its time."""

    topic: str
    payload: bytes
    received_us: int
    retained: bool = False
    late: bool = False


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
    arrival = Arrival(message.topic, message.received_us, message.late)

    def name(sensor: MqttSensor) -> str:
        return sensor_id(sensor, message.topic)

    try:
        body = _body(topic, message.payload)
    except ContractError as error:
        spoil(topic, error, arrival, name, found)
        return
    read_values(topic, body, arrival, name, found)


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
