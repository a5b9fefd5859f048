"""What the same registers could mean: every type and byte order, and which of them make sense. Pure.

How several words make one number is not standardised, manuals often don't say it, and a wrong choice gives a number that may
look possible. So the readings are shown side by side; whoever stands before the meter's display knows which is right.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sidestream_contracts.edge_modbus import WORDS, ModbusRegister, RegisterType
from sidestream_edge.drivers.modbus.registers import Order, order_of, raw_number

ORDERS: tuple[Order, ...] = ("ABCD", "CDAB", "BADC", "DCBA")
_KEYS: dict[Order, str] = {
    "ABCD": "",
    "CDAB": "word_order: little",
    "BADC": "byte_order: little",
    "DCBA": "word_order: little, byte_order: little",
}
SCALES = (1.0, 0.1, 0.01, 0.001, 10.0, 100.0, 1000.0)
_SMALLEST, _LARGEST = 1e-4, 1e9
_WHOLE_LARGEST = 1e7
Range = tuple[float | None, float | None]
"""Smallest and largest value that a sensor can have; None where that side is open."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """One reading of some words: `value = raw * scale + offset`, and how `edge.yaml` says it."""

    type: RegisterType
    order: Order
    value: float | None
    in_range: bool | None
    """None where no range is known."""
    sensible: bool
    """Whether a meter may well say so: finite, neither minute nor immense."""

    @property
    def yaml(self) -> str:
        """The keys of `edge.yaml` that read it so."""
        return f"type: {self.type}" + (f", {_KEYS[self.order]}" if _KEYS[self.order] else "")

    def __str__(self) -> str:
        shown = "not a number" if self.value is None else f"{self.value:.7g}"
        return f"{shown} ({self.order}; {self.yaml})"


def orders_of(kind: RegisterType) -> tuple[Order, ...]:
    """The byte orders in which a number of this type can come; a single word has two."""
    return ORDERS if WORDS[kind] > 1 else ("ABCD", "BADC")


def four_readings(words: Sequence[int], register: ModbusRegister, within: Range = (None, None)) -> list[Meaning]:
    """The same words as the declared type, in each byte order; the declared one first.

    Four for a number of several words, two for one of a single word, where there is no order of words.
    """
    declared = order_of(register)
    orders = sorted(orders_of(register.type), key=lambda order: order != _plain(declared, register.type))
    return [
        meaning(words, register.type, order, scale=register.scale, offset=register.offset, within=within)
        for order in orders
    ]


def all_readings(
    words: Sequence[int], scale: float = 1.0, offset: float = 0.0, within: Range = (None, None)
) -> list[Meaning]:
    """Every type that takes so many words, in every byte order; those that make most sense first, else in a fixed order."""
    found = [
        meaning(words, kind, order, scale=scale, offset=offset, within=within)
        for kind, size in WORDS.items()
        if size == len(words)
        for order in orders_of(kind)
    ]
    return sorted(found, key=lambda each: (each.in_range is False, not each.sensible))


def meaning(
    words: Sequence[int],
    kind: RegisterType,
    order: Order,
    *,
    scale: float = 1.0,
    offset: float = 0.0,
    within: Range = (None, None),
) -> Meaning:
    """One reading of `words`, of which `kind` takes exactly as many as there are."""
    raw = raw_number(words, kind, order)
    value = raw * scale + offset
    if not math.isfinite(value):
        return Meaning(kind, order, None, None if within == (None, None) else False, sensible=False)
    return Meaning(kind, order, value, _in_range(value, within), sensible=_sensible(raw, kind))


def other_scales(raw: float, offset: float, within: Range) -> list[float]:
    """The usual powers of ten with which a raw value would lie in the range; without a range, none."""
    if within == (None, None):
        return []
    return [scale for scale in SCALES if _in_range(raw * scale + offset, within)]


def explain(words: Sequence[int], register: ModbusRegister, within: Range = (None, None)) -> Iterator[str]:
    """Sentences for somebody whose reading looks wrong: what else the registers could mean, and which of that is possible."""
    declared, *others = four_readings(words, register, within)
    yield f"raw words {' '.join(f'{word:04x}' for word in words)}: read as {declared}{_verdict(declared)}"
    for other in others:
        yield f"could mean {other}{_verdict(other)}"
    same = {(declared.type, each.order) for each in (declared, *others)}
    for each in all_readings(words, register.scale, register.offset, within):
        if (each.type, each.order) not in same and each.sensible and each.in_range is not False:
            yield f"or, as another type, {each}{_verdict(each)}"
    fitting = other_scales(raw_number(words, register.type, order_of(register)), register.offset, within)
    if declared.in_range is False and fitting:
        yield f"or, with another scale, in range: scale {', '.join(f'{scale:g}' for scale in fitting)}"


def _verdict(one: Meaning) -> str:
    if not one.sensible:
        return ", hardly a measurement"
    if one.in_range is None:
        return ""
    return ", in range" if one.in_range else ", out of range"


def _plain(order: Order, kind: RegisterType) -> Order:
    """For a single word the order of words is of no meaning."""
    if WORDS[kind] > 1:
        return order
    return "ABCD" if order in {"ABCD", "CDAB"} else "BADC"


def _in_range(value: float, within: Range) -> bool | None:
    low, high = within
    if low is None and high is None:
        return None
    return (low is None or value >= low) and (high is None or value <= high)


def _sensible(raw: float, kind: RegisterType) -> bool:
    if raw == 0:
        return True
    if kind.startswith("float"):
        return _SMALLEST <= abs(raw) <= _LARGEST
    return WORDS[kind] == 1 or abs(raw) <= _WHOLE_LARGEST
