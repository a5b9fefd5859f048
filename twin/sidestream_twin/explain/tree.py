"""What explaining a number gives: a tree of numbers, each with all that makes it one, down to readings. Values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from math import hypot
from typing import Any, Literal

Outcome = Literal["equal", "differs", "not_possible", "not_stored"]


@dataclass(frozen=True, slots=True)
class Rule:
    """How a number follows from its inputs: in words, with the standard or paper that the formula is from."""

    code: str
    words: str
    source: str


@dataclass(frozen=True, slots=True)
class Check:
    """What came of deriving the number again from its inputs: `equal` is to the last bit, of value and deviations.

    `not_possible`: inputs are gone; `not_stored`: it is computed for this answer, so there is nothing to compare with.
    """

    outcome: Outcome
    why: str
    value: float | None = None


@dataclass(frozen=True, slots=True)
class Quantity:
    """A value (None: not known) in a unit, with the parts of its standard deviation (None: not known)."""

    value: float | None
    unit: str
    sd_random: float | None = None
    sd_systematic: float | None = None

    @property
    def sd(self) -> float | None:
        """Both parts together."""
        if self.sd_random is None or self.sd_systematic is None:
            return None
        return hypot(self.sd_random, self.sd_systematic)


@dataclass(frozen=True, slots=True)
class Explained:
    """A number and where it comes from. `said` stands for the value of what is no number: a place, a status.

    `facts` are what else is known, by name; `remarks` sentences; `left_out` inputs that are not listed, though used.
    """

    what: str
    address: str | None = None
    quantity: Quantity | None = None
    said: str | None = None
    from_at: datetime | None = None
    to_at: datetime | None = None
    origin: str | None = None
    rule: Rule | None = None
    check: Check | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    inputs: tuple[Explained, ...] = ()
    left_out: int = 0

    def with_facts(self, **more: Any) -> Explained:
        """The same with more facts; those that are None are left out."""
        return replace(self, facts={**self.facts, **{k: v for k, v in more.items() if v is not None}})

    def walk(self) -> Iterator[Explained]:
        """This node and all below it."""
        yield self
        for part in self.inputs:
            yield from part.walk()

    def as_dict(self) -> dict[str, Any]:
        """The same for JSON: stable keys, what does not apply is left out."""
        told: dict[str, Any] = {"what": self.what, "address": self.address}
        if self.quantity is not None:
            q = self.quantity
            told |= {"value": q.value, "unit": q.unit}
            told |= {"sd": q.sd, "sd_random": q.sd_random, "sd_systematic": q.sd_systematic}
        told |= {"said": self.said, "from": _iso(self.from_at), "to": _iso(self.to_at), "origin": self.origin}
        if self.rule is not None:
            told["rule"] = {"code": self.rule.code, "words": self.rule.words, "source": self.rule.source}
        if self.check is not None:
            told["check"] = {"outcome": self.check.outcome, "why": self.check.why, "value": self.check.value}
        told |= {"facts": {k: _plain(v) for k, v in self.facts.items()}, "remarks": list(self.remarks)}
        told |= {"inputs": [part.as_dict() for part in self.inputs], "left_out": self.left_out}
        return {key: value for key, value in told.items() if value not in (None, [], {}) or key in _ALWAYS}


_ALWAYS = ("value", "sd", "inputs", "left_out")


def _iso(at: datetime | None) -> str | None:
    return at.isoformat().replace("+00:00", "Z") if at else None


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return _iso(value)
    if isinstance(value, tuple | list):
        return [_plain(part) for part in value]
    return value
