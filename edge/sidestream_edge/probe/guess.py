"""What unknown registers most likely hold: text, floats in the device's byte order, or whole numbers. Pure, and a guess.

Floats give themselves away: words that are not a float in this order come out minute, immense or not a number. So the order
in which most pairs of a device make sensible floats is taken to be the device's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from sidestream_edge.drivers.modbus.meanings import ORDERS, Meaning, all_readings, meaning
from sidestream_edge.drivers.modbus.registers import Order
from sidestream_edge.probe.spans import Span

_LEAST_TEXT = 3
_WHOLE_WORDS: tuple[Order, ...] = ("ABCD", "CDAB")
_FLOAT_LEAST, _FLOAT_MOST = 1e-3, 1e7


@dataclass(frozen=True, slots=True)
class Guess:
    """One value at a register: the most likely reading, and what else the same words could mean."""

    register: int
    words: tuple[int, ...]
    likely: Meaning
    others: tuple[Meaning, ...]


@dataclass(frozen=True, slots=True)
class Text:
    """Registers that spell a name or a number."""

    register: int
    text: str


def byte_order(spans: Sequence[Span]) -> Order:
    """The order in which most pairs of words are sensible floats; the standard's own where none stands out.

    Floats read one register off look sensible in another order too, so pairs counted from a span's first register weigh more.
    Orders with swapped bytes are rare, and one whole number in seven beside a zero looks like a float in one of them: a single
    pair does not speak for these.
    """

    def evidence(order: Order) -> float:
        pairs = sum(_floats(span.words, order) for span in spans)
        return pairs if order in _WHOLE_WORDS or pairs > 1 else 0

    return max(ORDERS, key=lambda order: (evidence(order), -ORDERS.index(order)))


def guesses(span: Span, order: Order) -> Iterator[Guess | Text]:
    """What a span holds, from its first register on; registers that are zero are left out."""
    at = 0
    while at < len(span.words):
        register, rest = span.start + at, span.words[at:]
        text = _text(rest)
        pair = rest[:2]
        if text:
            yield Text(register, text.strip("\0 "))
            at += (len(text) + 1) // 2
        elif len(pair) == 2 and _is_float(pair, order):
            yield _guess(register, pair, meaning(pair, "float32", order))
            at += 2
        else:
            if rest[0]:
                yield _guess(register, rest[:1], meaning(rest[:1], "uint16", "ABCD"), pair if len(pair) == 2 else ())
            at += 1


def _guess(register: int, words: tuple[int, ...], likely: Meaning, longer: tuple[int, ...] = ()) -> Guess:
    readings = [each for each in (*all_readings(words), *(all_readings(longer) if longer else ())) if each.sensible]
    others = tuple(
        each
        for each in readings
        if (each.type, each.order) != (likely.type, likely.order) and each.value != likely.value
    )
    return Guess(register, words, likely, others)


def _floats(words: Sequence[int], order: Order) -> float:
    sensible = [_is_float(pair, order) for pair in pairwise(words)]
    return sum(sensible[::2]) + sum(sensible[1::2]) / 2


def _is_float(pair: Sequence[int], order: Order) -> bool:
    value = meaning(pair, "float32", order).value
    return value is not None and _FLOAT_LEAST <= abs(value) <= _FLOAT_MOST


def _text(words: Sequence[int]) -> str:
    """Printable characters from the first word on, where there are enough for a word."""
    found = ""
    for word in words:
        both = bytes((word >> 8, word & 0xFF))
        if not 0x20 <= both[0] < 0x7F or not (0x20 <= both[1] < 0x7F or both[1] == 0):
            break
        found += both.decode("ascii")
        if 0 in both:
            break
    letters = sum(each.isalnum() for each in found)
    return found if len(found) >= 2 * _LEAST_TEXT and letters >= len(found.strip("\0 ")) - 2 else ""
