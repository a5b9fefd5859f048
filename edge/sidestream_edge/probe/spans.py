"""Which addresses of a register table exist, found with few requests. Pure but for the `read` it is given.

A device refuses a read as soon as one address in it is missing, so spans are found by halving, and holes are crossed address
by address at first and then in steps of ten, since tables begin at round numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

BLOCK = 100
"""Most registers in one read; the standard allows 125, not every device does."""

NEAR = 16
"""Missing addresses in a row after which only every tenth is tried."""

STEP = 10
PEEKS = (*range(1000, 10_000, 1000), 20_000, 30_000, 40_000, 50_000)
"""Where tables of real devices begin that don't begin at 0."""

PEEK_SPAN = 500

Read = Callable[[int, int], tuple[int, ...] | None]
"""`read(start, count)`: the words, or None where the device refuses."""


@dataclass(frozen=True, slots=True)
class Span:
    """Registers that follow each other, and what they held."""

    start: int
    words: tuple[int, ...]

    @property
    def end(self) -> int:
        """The last address."""
        return self.start + len(self.words) - 1

    def __str__(self) -> str:
        return str(self.start) if len(self.words) == 1 else f"{self.start}–{self.end}"


def spans(read: Read, first: int, last: int) -> list[Span]:
    """Every span between two addresses, both included; what lies wholly between two tenths of a long hole is not seen."""
    return _joined(_found(read, first, last))


def usual_spans(read: Read, first: int = 0, last: int = 999) -> list[Span]:
    """The spans near 0, and those at round numbers where real devices have theirs."""
    found = spans(read, first, last)
    for peek in PEEKS:
        if any(_longest(read, at, 1) for at in range(peek, peek + 3)):
            found += spans(read, peek, peek + PEEK_SPAN - 1)
    return _joined(found)


def spans_of(words: Mapping[int, int]) -> list[Span]:
    """Single words by address as spans."""
    return _joined([Span(at, (word,)) for at, word in words.items()])


def _found(read: Read, first: int, last: int) -> Iterator[Span]:
    at, missing, before = first, 0, first
    while at <= last:
        words = _longest(read, at, min(BLOCK, last - at + 1))
        if words and missing and at > before + 1:
            at, missing = before + 1, 0  # the span may begin between two tenths
            continue
        if words:
            yield Span(at, words)
            at, missing = at + len(words), 0
            continue
        before, missing = at, missing + 1
        at = at + 1 if missing < NEAR else at - at % STEP + STEP


def _longest(read: Read, at: int, most: int) -> tuple[int, ...]:
    """The longest readable run that begins at `at`, up to `most`; a device may have only pairs of registers."""
    whole = read(at, most)
    if whole is not None:
        return whole
    for width in (1, 2):
        if width == most:
            continue
        words = read(at, width)
        if words is not None:
            return _halved(read, at, words, most)
    return ()


def _halved(read: Read, at: int, words: tuple[int, ...], most: int) -> tuple[int, ...]:
    width = low = len(words)
    high = most
    while high - low > width:
        middle = low + max(width, (high - low) // 2 // width * width)
        longer = read(at, middle)
        if longer is None:
            high = middle
        else:
            low, words = middle, longer
    return words


def _joined(found: Iterator[Span] | list[Span]) -> list[Span]:
    joined: list[Span] = []
    for span in sorted(found, key=lambda each: each.start):
        if joined and span.start == joined[-1].end + 1:
            joined[-1] = Span(joined[-1].start, joined[-1].words + span.words)
        elif not joined or span.start > joined[-1].end:
            joined.append(span)
    return joined
