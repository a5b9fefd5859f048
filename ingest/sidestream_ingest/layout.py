"""What the frames of a gateway have in common, remembered: which sensors their readings are of, and of which quality.

A gateway reads its sensors in the same order again and again, so these columns come as the same text in frame after frame.
Looking that text up is cheaper than decoding it again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from sidestream_store.catalogue import Catalogue, KnownSensor

MOST_BYTES = 4_000_000
"""Most that is remembered, roughly; then it is all forgotten and learnt again."""
_COSTS_BYTES = 500
_WORST = 255
"""The highest quality that a source may state."""
_decode = msgspec.json.Decoder(list[int]).decode


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """Columns of one length: the number of each reading's sensor, and its quality.

    `conversion`: factors and offsets from what is sent to the unit that is kept; None where every sensor sends in that.
    """

    sensor_id: NDArray[np.int32]
    quality: NDArray[np.int16]
    conversion: tuple[NDArray[np.float64], NDArray[np.float64]] | None

    def stored(self, sent: NDArray[np.float64]) -> NDArray[np.float64]:
        """The values in the units in which they are kept."""
        return sent if self.conversion is None else sent * self.conversion[0] + self.conversion[1]


class Layouts:
    """The layouts of the frames that came, by their text; for one catalogue."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self._known: dict[tuple[int, tuple[str, ...], bytes, bytes], Layout | None] = {}
        self._bytes = 0

    def of(self, device_id: int, names: tuple[str, ...], index: bytes, quality: bytes) -> Layout | None:
        """The layout of a device's frame from JSON columns `i` and `q`; None where anything at all is unusual."""
        key = (device_id, names, index, quality)
        try:
            return self._known[key]
        except KeyError:
            layout = self._read(device_id, names, index, quality)
        self._bytes += _COSTS_BYTES + 8 * (len(index) + len(quality)) + 100 * len(names)
        if self._bytes > MOST_BYTES:
            self._known.clear()
            self._bytes = 0
        self._known[key] = layout
        return layout

    def _read(self, device_id: int, names: Sequence[str], index: bytes, quality: bytes) -> Layout | None:
        sensors = self._sensors(device_id, names)
        which = _numbers(index, len(sensors) - 1) if sensors else None
        stated = _numbers(quality, _WORST)
        if not sensors or which is None or stated is None or len(which) != len(stated):
            return None
        number = np.array([sensor.sensor_id for sensor in sensors], np.int32)[which]
        return Layout(number, stated.astype(np.int16), _conversion(sensors, which))

    def _sensors(self, device_id: int, names: Sequence[str]) -> list[KnownSensor] | None:
        found = []
        for name in names:
            sensor = self.catalogue.sensors.get(name)
            if sensor is None or sensor.device_id != device_id or sensor.quantity == "scan" or sensor.unit_trouble:
                return None
            found.append(sensor)
        return found if device_id in self.catalogue.device_ids else None


def _numbers(text: bytes, highest: int) -> NDArray[np.int64] | None:
    """A JSON list of one or more integers from 0 to `highest`."""
    try:
        column = np.array(_decode(text), np.int64)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, OverflowError):
        return None
    return column if len(column) and column.min() >= 0 and column.max() <= highest else None


def _conversion(
    sensors: Sequence[KnownSensor], which: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    if not any(sensor.is_converted for sensor in sensors):
        return None
    factor = np.array([sensor.sent_factor for sensor in sensors])
    return factor[which], np.array([sensor.sent_offset for sensor in sensors])[which]
