"""What answers on a Modbus line or port: units, what they say of themselves, the registers they have and what these held."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from sidestream_contracts.errors import SidestreamError, TransientError
from sidestream_edge.drivers.modbus.link import (
    Address,
    Answer,
    GarbledError,
    Link,
    SilentError,
    TcpAddress,
    UnreachableError,
)
from sidestream_edge.drivers.modbus.refusal import ILLEGAL_FUNCTION, NOBODY_BEHIND, meaning
from sidestream_edge.probe.guess import Guess, Text, byte_order, guesses
from sidestream_edge.probe.spans import Span, spans, spans_of, usual_spans

TABLES: tuple[Literal["holding", "input"], ...] = ("holding", "input")
USUAL_UNITS = (1, *range(2, 11))
TCP_UNITS = (255, 0)
"""What devices that are no gateways are asked by, as their manuals say."""

OBJECTS = {0: "vendor", 1: "product", 2: "version", 3: "url", 4: "product name", 5: "model", 6: "application"}
"""Basic and regular device identification (Modbus Application Protocol 1.1b3, 6.21)."""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Table:
    """One table of a unit: its spans and what they held."""

    table: Literal["holding", "input"]
    spans: tuple[Span, ...] = ()
    contents: tuple[Guess | Text, ...] = ()
    ended: str | None = None
    """Why not everything was asked, where something came between."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A device that answers."""

    unit: int
    says: dict[str, str]
    tables: tuple[Table, ...]
    cut_short: bool = False
    """Whether the number of requests ran out before everything was asked."""


@dataclass(frozen=True, slots=True)
class Found:
    """All that a probe found."""

    asked: tuple[int, ...]
    units: tuple[Unit, ...]
    requests: int
    answers_to_all: bool = False
    """Whether the device answers to every unit id, and so is one device that does not look at it."""

    garbled: str | None = None
    """What came where no unit gave a usable answer."""


@dataclass(slots=True)
class Manner:
    """How gently to ask."""

    timeout_s: float = 0.5
    pause_s: float = 0.02
    most_requests: int = 2000
    """Of one unit."""


class _EnoughError(SidestreamError):
    """The number of requests has run out."""


@dataclass(slots=True)
class _Asking:
    """Reads of one unit, counted, with a pause before each."""

    link: Link
    unit: int
    manner: Manner
    say: Say
    requests: int = field(default=0)

    def read(self, table: Literal["holding", "input"], start: int, count: int) -> Answer:
        if self.requests >= self.manner.most_requests:
            raise _EnoughError
        self.requests += 1
        time.sleep(self.manner.pause_s)
        self.say(f"unit {self.unit}: {table} registers from {start}, {self.requests} requests")
        try:
            return self.link.read(self.unit, table, start, count, self.manner.timeout_s)
        except SilentError:  # once more: a line loses a frame now and then
            time.sleep(self.manner.pause_s)
            return self.link.read(self.unit, table, start, count, self.manner.timeout_s)


def probe(
    address: Address, units: Sequence[int] | None, ranges: Sequence[tuple[int, int]], manner: Manner, say: Say
) -> Found:
    """Everything there is at `address`: all `units` (None: the usual ones), all `ranges` of registers (none: the usual ones).

    UnreachableError where there is no way there.
    """
    asked = tuple(units) if units is not None else USUAL_UNITS + (TCP_UNITS if isinstance(address, TcpAddress) else ())
    link = Link(address, max(manner.timeout_s, 2.0) if isinstance(address, TcpAddress) else manner.timeout_s)
    try:
        _open(link, address)
        answering, garbled = _answering(link, asked, manner, say)
        one = units is None and len(answering) == len(asked) and _same(link, answering, manner)
        found, requests = [], len(asked)
        for unit in answering[:1] if one else answering:
            asking = _Asking(link, unit, manner, say)
            found.append(_unit(asking, ranges))
            requests += asking.requests
    finally:
        link.close()
    return Found(asked, tuple(found), requests, one, garbled if not found else None)


def _open(link: Link, address: Address) -> None:
    try:
        link.open()
    except UnreachableError as error:
        where = address if isinstance(address, TcpAddress) else address.port
        raise UnreachableError(f"{where}: {error}.") from error


def _answering(link: Link, asked: Sequence[int], manner: Manner, say: Say) -> tuple[list[int], str | None]:
    found: list[int] = []
    garbled = None
    for n, unit in enumerate(asked):
        say(f"asking unit {unit}, {n} of {len(asked)}; answering: {', '.join(map(str, found)) or 'none yet'}")
        time.sleep(manner.pause_s)
        try:
            answer = link.read(unit, "holding", 0, 1, manner.timeout_s)
        except SilentError:
            continue
        except GarbledError as error:
            garbled = str(error)
            continue
        if answer.exception not in NOBODY_BEHIND:
            found.append(unit)
    return found, garbled


def _same(link: Link, units: Sequence[int], manner: Manner) -> bool:
    """Whether they all give the same answer."""

    def first(unit: int) -> Answer | None:
        time.sleep(manner.pause_s)
        try:
            return link.read(unit, "holding", 0, 2, manner.timeout_s)
        except TransientError:
            return None

    return len({first(unit) for unit in units}) == 1


def _unit(asking: _Asking, ranges: Sequence[tuple[int, int]]) -> Unit:
    says = _identification(asking)
    tables = tuple(_table(asking, table, ranges) for table in TABLES)
    return Unit(asking.unit, says, tables, cut_short=asking.requests >= asking.manner.most_requests)


def _identification(asking: _Asking) -> dict[str, str]:
    try:
        said = asking.link.identification(asking.unit, asking.manner.timeout_s)
    except TransientError:  # many devices stay silent at a function that they don't have
        return {}
    return {OBJECTS.get(key, f"object {key}"): text for key, text in sorted(said.items()) if text}


class _NoTableError(SidestreamError):
    """The device says that it has no such table."""


def _table(asking: _Asking, table: Literal["holding", "input"], ranges: Sequence[tuple[int, int]]) -> Table:
    seen: dict[int, int] = {}

    def read(start: int, count: int) -> tuple[int, ...] | None:
        answer = asking.read(table, start, count)
        if answer.exception == ILLEGAL_FUNCTION:
            raise _NoTableError(meaning(answer.exception))
        if answer.exception is not None:
            return None
        seen.update(enumerate(answer.words, start))
        return answer.words

    ended: str | None = None
    try:
        _go_through(read, ranges)
    except _EnoughError:
        ended = f"not all was asked: {asking.manner.most_requests} requests were made"
    except (_NoTableError, TransientError) as error:
        ended = str(error)
    found = spans_of(seen)
    order = byte_order(found)
    return Table(table, tuple(found), tuple(each for span in found for each in guesses(span, order)), ended)


def _go_through(read: Callable[[int, int], tuple[int, ...] | None], ranges: Sequence[tuple[int, int]]) -> None:
    if not ranges:
        usual_spans(read)
    for first, last in ranges:
        spans(read, first, last)
