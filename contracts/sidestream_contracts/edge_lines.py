"""The part of `edge.yaml` about devices on a line of text: scales and weighbridges, scanners of codes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from sidestream_contracts.edge_driver import DriverPart
from sidestream_contracts.ids import Id
from sidestream_contracts.messages import AnnouncedSensor
from sidestream_contracts.part import FilePart
from sidestream_contracts.yamlnodes import Problem

Positive = Annotated[float, Field(gt=0)]
Pattern = Annotated[str, Field(min_length=1, max_length=400)]
_GROUPS = {"value", "sign", "unit", "state", "kind", "tare", "code"}


class SerialPort(FilePart):
    """Settings of a serial port, as in the device's menu or manual."""

    baud: Annotated[int, Field(ge=50, le=4_000_000)] = 9600
    data_bits: Literal[7, 8] = 8
    parity: Literal["none", "even", "odd"] = "none"
    stop_bits: Literal[1, 2] = 1


class ScannerDriver(DriverPart):
    """Takes codes from a QR, barcode or EPC scanner: over TCP, a serial port, as a USB keyboard, or from a file that grows."""

    type: Literal["scanner"]
    source: str = Field(
        description="tcp://host:port, serial:///dev/…, hid:///dev/input/by-id/…, or a path relative to edge.yaml"
    )
    sensor: Id
    timeout_s: Positive = 3.0
    serial: SerialPort = SerialPort()
    keyboard: Literal["us", "de"] = Field(default="us", description="hid: the layout that the scanner is set to")
    terminator: Literal["enter", "tab"] = Field(default="enter", description="hid: the key that ends a code")
    prefix: str = Field(default="", description="every code begins so; taken away")
    suffix: str = Field(default="", description="every code ends so; taken away")
    idle_s: Positive = Field(default=3.0, description="half a line older than this is reported and not taken as a code")

    def announced(self) -> Iterator[AnnouncedSensor]:
        """The scanner itself."""
        yield AnnouncedSensor(id=self.sensor, driver=self.id, unit="1", quantity="scan")


class ScaleSensor(FilePart):
    """A sensor of the scale: what it shows, net, gross or tare, in the scale's unit."""

    id: Id
    reads: Literal["shown", "net", "gross", "tare"] = "shown"


class ScaleLines(FilePart):
    """What the lines of a scale look like, for protocols other than `sics` and `toledo`."""

    patterns: list[Pattern] = Field(
        min_length=1,
        description="regular expressions of a whole line, tried in order; groups: value, sign, unit, state, kind, tare, code",
    )
    stable: list[str] = Field(default=["ST", "S"], description="words of group `state` that mean: stands still")
    over: list[str] = Field(default=["OL", "OVER", "+"], description="… above its range")
    under: list[str] = Field(default=["UL", "UNDER", "-"], description="… below its range")
    invalid: list[str] = Field(default=["ER", "I"], description="… has no weight now")
    net: list[str] = Field(default=["NT", "N", "NET"], description="words of group `kind` that mean: net")
    decimal_comma: bool = False
    request: str | None = Field(default=None, description="what to send to get a line; with it the scale is polled")


class Weighing(FilePart):
    """One weighing of each vehicle: the weight once it stood still above `above`, armed again below `below`."""

    id: Id
    above: Positive
    below: Positive
    stable_s: Annotated[float, Field(ge=0)] = Field(default=2.0, description="so long it stands still")
    within: Annotated[float, Field(ge=0)] = Field(description="and changes by no more than this meanwhile")
    codes: Id | None = Field(default=None, description="sensor of the plate or tag that the scale's lines carry")


class ScaleDriver(DriverPart):
    """Reads a scale or weighbridge over a serial port or the TCP port of a serial device server."""

    type: Literal["scale"]
    source: str = Field(description="serial:///dev/serial/by-id/…, or tcp://host:port")
    serial: SerialPort = SerialPort()
    protocol: Literal["sics", "toledo", "lines"]
    lines: ScaleLines | None = Field(default=None, description="for protocol `lines`")
    checksum: bool = Field(default=False, description="toledo: a checksum follows each CR")
    polled: bool = Field(default=False, description="sics: ask for each weight instead of letting the scale send")
    unit: str = Field(description="UCUM code of the unit in which the scale shows its weight")
    check_unit: bool = Field(default=True, description="refuse weights that the scale itself says are in another unit")
    period_s: Positive = Field(default=1.0, description="of readings; a change of state is told at once")
    timeout_s: Positive = 3.0
    silent_s: Positive = Field(
        default=10.0, description="so long without a weight: it is told that the scale is silent"
    )
    sensors: list[ScaleSensor] = Field(default=[])
    weighing: Weighing | None = None

    def announced(self) -> Iterator[AnnouncedSensor]:
        """Its sensors, and the weighing of vehicles with their plates."""
        for name in [*(sensor.id for sensor in self.sensors), *([self.weighing.id] if self.weighing else [])]:
            yield AnnouncedSensor(id=name, driver=self.id, unit=self.unit, quantity="mass")
        if self.weighing and self.weighing.codes:
            yield AnnouncedSensor(id=self.weighing.codes, driver=self.id, unit="1", quantity="scan")

    def problems(self, n: int) -> Iterator[Problem]:
        """A scale of which nothing is wanted, a protocol without its patterns, thresholds that can't arm again."""
        yield from super().problems(n)
        where = f"drivers.{n}"
        if not self.sensors and self.weighing is None:
            yield Problem(("drivers", n), f"{where}: a scale needs `sensors` or `weighing`")
        if (self.protocol == "lines") != (self.lines is not None):
            yield Problem(("drivers", n), f"{where}: `protocol: lines` and `lines` go together")
        if self.weighing is not None and self.weighing.below >= self.weighing.above:
            yield Problem(
                ("drivers", n, "weighing", "below"),
                f"{where}.weighing.below: {self.weighing.below:g} is not below `above` ({self.weighing.above:g})",
            )
        for k, pattern in enumerate(self.lines.patterns if self.lines else []):
            if problem := _pattern_problem(pattern):
                yield Problem(
                    ("drivers", n, "lines", "patterns", k), f"{where}.lines.patterns.{k}: {pattern!r} {problem}"
                )


def _pattern_problem(pattern: str) -> str | None:
    try:
        groups = set(re.compile(pattern).groupindex)
    except re.error as error:
        return f"is no regular expression: {error}"
    if unknown := groups - _GROUPS:
        return f"has a group {min(unknown)!r}; groups may be {', '.join(sorted(_GROUPS))}"
    if not groups & {"value", "state"}:
        return "has neither a group `value` nor `state`: write (?P<value>…) around the number"
    return None
