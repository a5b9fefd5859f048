"""The part of `edge.yaml` about pulses: S0 outputs, reed contacts and counters of the kernel."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from sidestream_contracts.edge_driver import DriverPart, announced_as
from sidestream_contracts.ids import Id
from sidestream_contracts.messages import AnnouncedSensor
from sidestream_contracts.part import FilePart
from sidestream_contracts.yamlnodes import Problem

Positive = Annotated[float, Field(gt=0)]
PER_S = {"s": 1.0, "min": 60.0, "h": 3600.0}


class PulseRegister(FilePart):
    """The counter as a register: `value = start + pulses / per_unit`."""

    id: Id
    unit: str = Field(description="UCUM code, announced to the hub")
    quantity: str | None = Field(default=None, description="announced to the hub")
    start: float = Field(default=0.0, description="what the meter's own register showed when counting began")


class PulseRate(FilePart):
    """How fast it counts: units per second, minute or hour."""

    id: Id
    unit: str = Field(description="UCUM code, announced to the hub")
    quantity: str | None = Field(default=None, description="announced to the hub")
    per: Literal["s", "min", "h"] = Field(default="h", description="kW.h per h are kW; m3 per h are m3/h")


class PulseDriver(DriverPart):
    """Counts pulses of a meter: edges of a GPIO line, or a number in a file that the kernel or another program counts up."""

    type: Literal["pulse"]
    source: str = Field(description="gpio:///dev/gpiochip0/17, or counter:///sys/bus/counter/…/count")
    per_unit: Positive = Field(description="pulses per unit of the register, as on the meter's plate")
    register_: PulseRegister | None = Field(default=None, alias="register")
    rate: PulseRate | None = None
    period_s: Positive = 10.0
    edge: Literal["rising", "falling"] = Field(default="falling", description="gpio: the edge that is counted")
    bias: Literal["up", "down", "none"] = Field(default="up", description="gpio: the pull resistor of the line")
    debounce_ms: Annotated[float, Field(ge=0, le=10_000)] = Field(default=10.0, description="gpio: shorter is no pulse")
    bits: Literal[8, 16, 24, 32, 48, 64] | None = Field(default=None, description="counter: where it rolls over to 0")

    def announced(self) -> Iterator[AnnouncedSensor]:
        """Its register and its rate."""
        for sensor in (self.register_, self.rate):
            if sensor is not None:
                yield announced_as(self.id, sensor)

    def problems(self, n: int) -> Iterator[Problem]:
        """An input of which nothing is wanted, or a source that is none."""
        yield from super().problems(n)
        if self.register_ is None and self.rate is None:
            yield Problem(("drivers", n), f"drivers.{n}: a pulse input needs `register` or `rate`")
        if not self.source.startswith(("gpio:///", "counter:///")):
            yield Problem(
                ("drivers", n, "source"),
                f"drivers.{n}.source: {self.source!r} is neither gpio:///dev/gpiochip0/17 nor counter:///path/to/a/number",
            )
