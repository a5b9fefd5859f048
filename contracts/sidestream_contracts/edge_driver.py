"""What every driver's section of `edge.yaml` has in common, whoever wrote the driver.

A driver's model says itself which sensors it announces and what can't be meant in it, so that a further driver needs no
word in any other file than the table of drivers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal, Protocol

from pydantic import Field

from sidestream_contracts.ids import Id
from sidestream_contracts.messages import AnnouncedSensor, Delivery
from sidestream_contracts.part import FilePart
from sidestream_contracts.yamlnodes import Problem


class DriverPart(FilePart):
    """Base of every driver's configuration."""

    id: Id
    type: str
    isolation: Literal["thread", "process"] = Field(
        default="thread", description="process: for native or untrusted code, which may crash, hang or eat memory"
    )
    memory_mb: Annotated[float, Field(ge=32)] | None = Field(
        default=None, description="with isolation process: the most memory its process may hold; it is ended above"
    )

    def announced(self) -> Iterator[AnnouncedSensor]:
        """The sensors that this section names, as the hub is told of them."""
        yield from ()

    def problems(self, n: int) -> Iterator[Problem]:
        """What can't be meant in this section, the n-th of `drivers`, though its types are right."""
        if self.memory_mb is not None and self.isolation != "process":
            yield Problem(
                ("drivers", n, "memory_mb"),
                f"drivers.{n}.memory_mb: bounds a process of its own; add `isolation: process`, or leave it out",
            )


class NamedSensor(Protocol):
    """A section of `edge.yaml` that names one sensor."""

    @property
    def id(self) -> str: ...
    @property
    def unit(self) -> str | None: ...
    @property
    def quantity(self) -> str | None: ...


def announced_as(driver: str, sensor: NamedSensor, delivery: Delivery | None = None) -> AnnouncedSensor:
    """`sensor` of `driver` as the hub is told of it."""
    return AnnouncedSensor(id=sensor.id, driver=driver, unit=sensor.unit, quantity=sensor.quantity, delivery=delivery)
