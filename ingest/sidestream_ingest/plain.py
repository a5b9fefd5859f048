"""The fast way through the door: a frame of readings with nothing unusual about it, decoded and checked as columns.

It takes a frame only if every reading of it is good; all else is left to `check`, which says what is wrong with which
reading. For each frame that this module takes, `check` would have given the same result (a property test holds it so).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from sidestream_contracts.frame import MAX_READINGS, FrameKey
from sidestream_ingest.values import LARGEST, SMALLEST, Bounds
from sidestream_store.batch import CheckedFrame, Readings, Sending
from sidestream_store.catalogue import Catalogue, KnownSensor
from sidestream_store.quarantine import Message


class _Plain(msgspec.Struct, forbid_unknown_fields=True):
    """A frame of readings as contract v1 names it; numbers where numbers belong, and not one field more."""

    v: Literal[1]
    kind: Literal["readings"]
    sensors: list[str]
    i: list[int]
    t: list[int]
    val: list[float | None]
    q: list[int]
    clock: Literal["live", "recorded"] | msgspec.UnsetType = msgspec.UNSET


_decode = msgspec.json.Decoder(_Plain).decode
_REQUIRED_FIELDS = 7
_FEW = 16
_WORST = 255
"""The highest quality that a source may state."""


def read_plain(
    message: Message, key: FrameKey, device_id: int, catalogue: Catalogue, sending: Sending
) -> CheckedFrame | None:
    """The checked frame, or None where anything at all is unusual."""
    if device_id not in catalogue.device_ids or not message.topic.endswith("/readings"):
        return None
    try:
        frame = _decode(message.raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    recorded = frame.clock == "recorded"
    bounds = Bounds.at_door(catalogue, message.received_at, recorded=recorded)
    sensors = _sensors(frame.sensors, device_id, catalogue)
    if sensors is None or not _named_once(message.raw, frame) or not _of_one_length(frame):
        return None
    try:
        readings = _few(frame, sensors, bounds) if len(frame.i) < _FEW else _many(frame, sensors, bounds)
    except OverflowError:  # a number of more than 64 bits
        return None
    if readings is None:
        return None
    return CheckedFrame(device_id, key, "readings", message, recorded, readings, sending=sending)


def _few(frame: _Plain, sensors: Sequence[KnownSensor], bounds: Bounds) -> Readings | None:
    """The readings, one by one: for a few of them numpy costs more than it saves."""
    highest, from_us, to_us = len(sensors), bounds.from_us, bounds.to_us
    for i, t, v, q in zip(frame.i, frame.t, frame.val, frame.q, strict=True):
        if not (0 <= i < highest and from_us <= t <= to_us and 0 <= q <= _WORST):
            return None
        if v is not None and not SMALLEST <= abs(v) <= LARGEST:
            return _many(frame, sensors, bounds)
    mine = [sensors[i] for i in frame.i]
    value = [sensor.stored(v) for sensor, v in zip(mine, frame.val, strict=True)]
    return Readings(
        np.array(frame.t, np.int64),
        np.array([sensor.sensor_id for sensor in mine], np.int32),
        np.array(value, np.float64),
        np.array(frame.q, np.int16),
    )


def _many(frame: _Plain, sensors: Sequence[KnownSensor], bounds: Bounds) -> Readings | None:
    """The readings as columns, each bound checked at once."""
    which, time_us = np.array(frame.i, np.int64), np.array(frame.t, np.int64)
    value, quality = np.array(frame.val, np.float64), np.array(frame.q, np.int64)
    if not (
        _within(which, 0, len(sensors) - 1)
        and _within(time_us, bounds.from_us, bounds.to_us)
        and _within(quality, 0, _WORST)
    ):
        return None
    size = np.abs(value)
    if (size > LARGEST).any():
        return None
    value[size < SMALLEST] = 0.0
    if any(sensor.is_converted for sensor in sensors):
        value = _stored(value, which, sensors)
    number = np.array([sensor.sensor_id for sensor in sensors], np.int32)[which]
    return Readings(time_us, number, value, quality.astype(np.int16))


def _within(column: NDArray[np.int64], lowest: int, highest: int) -> bool:
    return bool(column.min() >= lowest and column.max() <= highest)


def _of_one_length(frame: _Plain) -> bool:
    count = len(frame.i)
    return 0 < count <= MAX_READINGS and len(frame.t) == len(frame.val) == len(frame.q) == count


def _sensors(names: Sequence[str], device_id: int, catalogue: Catalogue) -> list[KnownSensor] | None:
    found = []
    for name in names:
        sensor = catalogue.sensors.get(name)
        if sensor is None or sensor.device_id != device_id or sensor.quantity == "scan" or sensor.unit_trouble:
            return None
        found.append(sensor)
    return found


def _stored(sent: NDArray[np.float64], which: NDArray[np.int64], sensors: Sequence[KnownSensor]) -> NDArray[np.float64]:
    """The values in the units in which they are kept."""
    converted = np.array([sensor.is_converted for sensor in sensors])[which]
    factor = np.array([sensor.sent_factor for sensor in sensors])[which]
    offset = np.array([sensor.sent_offset for sensor in sensors])[which]
    return np.where(converted, sent * factor + offset, sent)


def _named_once(raw: bytes, frame: _Plain) -> bool:
    """Whether no field stands there twice, which the decoder lets pass.

    Without a backslash each quotation mark begins or ends a text; so there are as many as the texts that were kept need,
    and a field that was overwritten would have brought more.
    """
    texts = _REQUIRED_FIELDS + 1 + len(frame.sensors) + (0 if frame.clock is msgspec.UNSET else 2)
    return b"\\" not in raw and raw.count(b'"') == 2 * texts
