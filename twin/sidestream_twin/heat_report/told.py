"""A number of the report, or the reason why there is none. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sidestream_twin.core.quality import Origin, weakest
from sidestream_twin.core.uncertain import Uncertain


@dataclass(frozen=True, slots=True)
class Told:
    """A number with one standard deviation; `value` null: not known, and `why` says why not.

    `unit` is a UCUM code. `completeness`: the share of the asked time that was really seen and went into it.
    """

    value: float | None
    unit: str
    sd: float | None = None
    origin: str | None = None
    completeness: float | None = None
    why: str | None = None

    @property
    def known(self) -> bool:
        """Whether there is a number."""
        return self.value is not None


def told(number: Uncertain, unit: str, origin: str, completeness: float) -> Told:
    """What is known."""
    return Told(number.value, unit, number.sd, origin, completeness)


def not_known(unit: str, why: str) -> Told:
    """What isn't, and why."""
    return Told(None, unit, why=why)


def weakest_of(origins: Iterable[str]) -> str:
    """The least trusted of the origins; `estimated` where none is known."""
    return str(weakest([Origin(each) for each in origins] or [Origin.ESTIMATED]))
