"""The temperature that a Linux board measures of itself, from a file of /sys/class/thermal."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from sidestream_contracts.edge import EdgeFile
from sidestream_contracts.edge_driver import DriverPart
from sidestream_contracts.edge_plugins import Plugin
from sidestream_contracts.frame import Lane, Quality
from sidestream_contracts.ids import Id
from sidestream_contracts.messages import AnnouncedSensor
from sidestream_edge.drivers import DriverContext
from sidestream_edge.measurement import Batch, Reading, now_us


class ThermometerConfig(DriverPart):
    """What may stand in a section of type `thermometer`."""

    type: Literal["thermometer"]
    sensor: Id
    file: str = "/sys/class/thermal/thermal_zone0/temp"
    period_s: Annotated[float, Field(gt=0)] = 5.0

    def announced(self) -> Iterator[AnnouncedSensor]:
        """The hub offers a snippet for `hub.yaml` that is made from this."""
        yield AnnouncedSensor(id=self.sensor, driver=self.id, unit="Cel", quantity="temperature")


class Thermometer:
    """One file; a reading each period, `null` with quality bad where there is none."""

    type = "thermometer"
    lane: Lane = "live"

    def __init__(self, config: ThermometerConfig, base: Path) -> None:
        self.id = config.id
        self.patience_s = max(10.0, 5 * config.period_s)
        self._config = config
        self._path = base / config.file

    def run(self, context: DriverContext) -> None:
        """Reads until it is told to stop."""
        while not context.stopping:
            context.count("polls_due")
            context.offer(Batch(self.id, "live", readings=(self._read(context),)))
            context.wait(self._config.period_s)

    def _read(self, context: DriverContext) -> Reading:
        try:
            value = int(self._path.read_text()) / 1000
        except (OSError, ValueError) as error:
            context.problem(f"Thermometer {self.id}: no temperature in {self._path}: {error}. Check `file`.")
            return Reading(self._config.sensor, now_us(), None, Quality.BAD)
        context.count("polls_done")
        context.good()
        return Reading(self._config.sensor, now_us(), value)


def build(config: ThermometerConfig, base: Path, _edge: EdgeFile) -> Thermometer:
    """The driver for one section; touches neither network nor file."""
    return Thermometer(config, base)


plugin = Plugin(build, ThermometerConfig, about="the temperature that a Linux board measures of itself")
