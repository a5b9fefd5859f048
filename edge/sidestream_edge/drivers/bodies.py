"""A body of values becomes readings, by the mapping in `edge.yaml`, whatever brought it (MQTT, HTTP). Pure.

One bad value costs only itself. What can't be used is told as a fault that names the sensor, the reason and the cause.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from sidestream_contracts.edge_brokers import MqttQuality, MqttSensor, MqttTime
from sidestream_contracts.errors import ContractError
from sidestream_contracts.frame import Quality
from sidestream_edge.drivers import values
from sidestream_edge.measurement import Reading


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that came from `where` and can't be used; `sensor` is None where it can't be said whose it was."""

    where: str
    sensor: str | None
    reason: str
    text: str


@dataclass(slots=True)
class Found:
    """What bodies gave: readings with the time that their source told (`timed`) and such stamped at reception.

    `unknown_age` counts retained values without a time: nobody knows when they were measured, so they are left out.
    """

    timed: list[Reading] = field(default_factory=list)
    stamped: list[Reading] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    unknown_age: int = 0


class Described(Protocol):
    """A section of `edge.yaml` that says what stands where in a body."""

    @property
    def time(self) -> MqttTime | None: ...
    @property
    def quality(self) -> MqttQuality | None: ...
    @property
    def sensors(self) -> Sequence[MqttSensor]: ...


@dataclass(frozen=True, slots=True)
class Arrival:
    """Where a body came from and when; `late` when it may have waited on the way, so that reception says little."""

    where: str
    received_us: int
    late: bool = False


NOTHING = object()
"""What a `Get` returns where nothing was measured, such as an empty cell."""

Get = Callable[[Any, str], Any]
Name = Callable[[MqttSensor], str]


def read_values(how: Described, body: Any, arrival: Arrival, name: Name, found: Found, *, get: Get = values.at) -> None:
    """Adds what `body` gives to `found`. `get` finds a place in it; `name` gives a sensor's id or raises ContractError."""
    try:
        t, quality = _time(how, body, arrival, get), _quality(how, body, arrival, get)
    except ContractError as error:
        spoil(how, error, arrival, name, found)
        return
    for sensor in how.sensors:
        sensor_id = None
        try:
            sensor_id = name(sensor)
            raw = body if sensor.path is None else get(body, sensor.path)
            if raw is NOTHING:
                continue
            value = _value(sensor, raw)
        except ContractError as error:
            found.faults.append(Fault(arrival.where, sensor_id, error.reason, str(error)))
            continue
        reading = Reading(sensor_id, t, value, Quality.BAD if value is None else quality)
        (found.stamped if how.time is None else found.timed).append(reading)


def spoil(how: Described, error: ContractError, arrival: Arrival, name: Name, found: Found) -> None:
    """The whole body can't be used: a fault for each of its sensors."""
    found.faults += [Fault(arrival.where, one, error.reason, str(error)) for one in _names(how, name)]


def _names(how: Described, name: Name) -> Iterator[str | None]:
    for sensor in how.sensors:
        try:
            yield name(sensor)
        except ContractError:
            yield None


def _time(how: Described, body: Any, arrival: Arrival, get: Get) -> int:
    if how.time is None:
        return arrival.received_us
    now = datetime.fromtimestamp(arrival.received_us / 1e6, UTC)
    return values.time_us(get(body, how.time.path), how.time, now)


def _quality(how: Described, body: Any, arrival: Arrival, get: Get) -> int:
    if how.quality is not None:
        told = _told(how.quality, get(body, how.quality.path))
        if told != Quality.GOOD:
            return told
    return Quality.UNCERTAIN if arrival.late and how.time is None else Quality.GOOD


def _told(how: MqttQuality, said: Any) -> int:
    word = str(said).strip().lower()
    if word in how.good:
        return Quality.GOOD
    return Quality.UNCERTAIN if word in how.uncertain else Quality.BAD


def _value(sensor: MqttSensor, raw: Any) -> float | None:
    """`null` in JSON is a value: the device says that it has none."""
    if raw is None:
        return None
    if sensor.type == "boolean":
        return values.boolean(raw) * sensor.scale + sensor.offset
    scaled = values.number(raw, decimal_comma=sensor.decimal_comma) * sensor.scale + sensor.offset
    return values.number(scaled, decimal_comma=False)
