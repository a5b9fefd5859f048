"""A correction as it is asked for, as it stands, and what it touches. Values."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sidestream_contracts.errors import DomainError
from sidestream_contracts.spoken import readable

Action = Literal["void", "set", "adjust"]
_LARGEST = 1e30
_FACTOR = (1e-6, 1e6)


@dataclass(frozen=True, slots=True)
class Draft:
    """What readings of `sensor` in [from_at, to_at) shall mean: nothing, `value`, or raw · `factor` + `offset`.

    Numbers are in the sensor's unit. `code`: of scans only reads of this code. Raises DomainError that says what can't be.
    """

    sensor: str
    from_at: datetime
    to_at: datetime
    action: Action
    reason: str
    author: str
    value: float | None = None
    factor: float | None = None
    offset: float | None = None
    code: str | None = None

    def __post_init__(self) -> None:
        if not self.from_at < self.to_at:
            raise DomainError(f"The range ends ({self.to_at}) before it begins ({self.from_at}); `to` is not included.")
        for name in ("reason", "author"):
            if not readable(getattr(self, name), f"The {name}"):
                raise DomainError(f"A correction without {name} can't be judged later; say it with --{_OPTION[name]}.")
        if self.action == "set" and not _number(self.value):
            raise DomainError(f"`set` needs a number to set to, and {self.value!r} is none; at most {_LARGEST:g}.")
        if self.action == "adjust":
            self._check_adjustment()

    def _check_adjustment(self) -> None:
        low, high = _FACTOR
        if not (_number(self.factor) and low <= abs(self.factor or 0.0) <= high and _number(self.offset)):
            raise DomainError(
                f"Factor {self.factor!r} with offset {self.offset!r} can't be: a factor is {low:g} to {high:g} in size; "
                "to make readings one value use `correct set`, to take them out `correct void`."
            )
        if (self.factor, self.offset) == (1.0, 0.0):
            raise DomainError("Factor 1 and offset 0 change nothing; say --factor or --offset.")


_OPTION = {"reason": "reason", "author": "by"}


def _number(value: float | None) -> bool:
    return value is not None and math.isfinite(value) and abs(value) <= _LARGEST


@dataclass(frozen=True, slots=True)
class Correction:
    """A correction on record; `value`, `factor` and `offset` as the action has them, in `unit`."""

    correction_id: int
    sensor: str
    unit: str
    from_at: datetime
    to_at: datetime
    action: Action
    value: float | None
    factor: float | None
    offset: float | None
    code: str | None
    reason: str
    author: str
    made_at: datetime
    withdrawn_at: datetime | None
    withdrawn_by: str | None
    withdrawn_why: str | None

    @property
    def in_force(self) -> bool:
        """Whether it was not withdrawn; another, newer one may still count in its place."""
        return self.withdrawn_at is None


@dataclass(frozen=True, slots=True)
class Touched:
    """Figures of one kind that rest on the readings: how many there are, and of how many the period is over.

    Those that then change are kept as they were.
    """

    what: str
    figures: int
    over: int


@dataclass(frozen=True, slots=True)
class Impact:
    """What a correction, or its withdrawal, touches. Figures may change, they need not: a void of a bad reading changes none."""

    readings: int
    touched: tuple[Touched, ...]

    def lines(self, show: Callable[[int], str] = str) -> list[str]:
        """For people: one line for each kind of figure that is there."""
        return [
            f"{t.what}: {show(t.figures)}, {show(t.over)} of them over and kept as they were where they change"
            for t in self.touched
            if t.figures
        ]
