"""What `hub.yaml` says of a measuring point beyond its unit: how its register counts, and when a value is not to be believed.

A measuring point keeps its id when its meter is exchanged, and so its history; the exchange is a `swap` of its register.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from math import ceil, erf, log, sqrt
from typing import TYPE_CHECKING, Annotated

from pydantic import AwareDatetime, Field

from sidestream_contracts.part import FilePart
from sidestream_contracts.yamlnodes import Problem, Where

if TYPE_CHECKING:
    from sidestream_contracts.hub import Sensor

Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]

REGISTER_ROLES = frozenset(
    {"volume_register", "supply_register", "return_register", "energy_register", "mass_register"}
)
"""Roles of sensors that show a sum that only ever grows."""


class Swap(FilePart):
    """The meter was exchanged: its register went on from another number. What nobody read is left out, and so is unseen."""

    at: AwareDatetime
    last: NotNegative | None = Field(default=None, description="what the old meter showed at the end, in `unit`")
    first: NotNegative | None = Field(default=None, description="what the new meter showed at first, in `unit`")
    note: str | None = Field(default=None, description="e.g. both serial numbers")


class Counter(FilePart):
    """How a cumulative register counts."""

    rollover_at: Positive | None = Field(
        default=None, description="it goes on from zero there, in `unit`: 100000 for five digits before the point"
    )
    max_per_h: Positive | None = Field(
        default=None, description="the most it can rise in an hour, in `unit`; a faster rise is not believed"
    )
    swaps: list[Swap] = Field(default=[], description="when its meter was exchanged, ascending")


class Checks(FilePart):
    """When a value is marked; nothing is deleted. What is left out follows the quantity (docs/meters.md)."""

    spike: bool | None = Field(
        default=None,
        description="mark a value that stands far from those around it (Hampel filter of seven) and leave it out of "
        "figures; default: for temperature, pressure and level whose random error is known",
    )
    max_change_per_s: Positive | None = Field(
        default=None, description="the most the value can change in a second, in `unit`; faster is marked"
    )
    stuck_s: NotNegative | None = Field(
        default=None,
        description="so long without the smallest change means stuck; 0: never; default: never, unless `resolution` and "
        "a random error say that it must move",
    )


def check_counter(where: str, at: Where, role: str, counter: Counter | None) -> Iterator[Problem]:
    """Every contradiction of what is said of a register."""
    if counter is None:
        return
    if role not in REGISTER_ROLES:
        yield Problem(
            (*at, "counter"),
            f"{where}.counter: a sensor with role {role!r} shows no growing sum; write e.g. role: energy_register, or "
            "leave `counter` out",
        )
    if any(not (a.at < b.at) for a, b in pairwise(counter.swaps)):
        yield Problem((*at, "counter", "swaps"), f"{where}.counter.swaps: times must ascend, each once")
    modulus = counter.rollover_at
    for n, swap in enumerate(counter.swaps):
        for field, shown in (("last", swap.last), ("first", swap.first)):
            if modulus is not None and shown is not None and shown > modulus:
                yield Problem(
                    (*at, "counter", "swaps", n, field),
                    f"{where}.counter.swaps.{n}.{field}: {shown:g} is more than rollover_at, {modulus:g}",
                )


def check_checks(where: str, at: Where, role: str, checks: Checks | None) -> Iterator[Problem]:
    """Every check that can't be made of such a sensor."""
    if checks is None:
        return
    if role in REGISTER_ROLES:
        yield Problem(
            (*at, "checks"), f"{where}.checks: is for values that come and go; of a register say counter.max_per_h"
        )
    elif role == "scan":
        yield Problem((*at, "checks"), f"{where}.checks: codes have no value to check; leave it out")


ONCE_IN_S = 10 * 365.25 * 86_400
"""A sensor that is well is called stuck once in so many seconds at most, if it errs at random as declared: ten years."""
_LONGEST_RUN_S = 86_400.0


def stuck_after_s(sensor: Sensor) -> float | None:
    """How long a sensor must stand still to count as stuck: as hub.yaml says, else as its random error tells; None: never.

    A reading falls into the same step of the resolution q as the one before with probability p = erf(q/(2·√2·sd)) at
    most; n like readings in a row are chance with at most pⁿ, and that is kept below one false alarm in ten years.
    """
    said = sensor.checks.stuck_s if sensor.checks else None
    if said is not None:
        return said or None
    accuracy, period_s = sensor.accuracy, sensor.period_s or 12.0
    if sensor.resolution is None or not accuracy.random_abs or sensor.role in REGISTER_ROLES:
        return None
    same = erf(sensor.resolution / (2 * sqrt(2) * accuracy.random_abs))
    if not same < 1:
        return None
    run_s = ceil(log(period_s / ONCE_IN_S) / log(same)) * period_s
    return run_s if run_s <= _LONGEST_RUN_S else None
