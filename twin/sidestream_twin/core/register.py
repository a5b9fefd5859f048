"""What a cumulative register did between any two readings: rose, rolled over, was reset, was exchanged, or lied.

A register that falls has rolled over where that makes a plausible rise. A meter that is known to have been exchanged
joins two registers: what each showed at that moment is as good as a reading. Whatever else happened, what flowed
meanwhile is unseen: said, never guessed from two registers that have nothing to do with each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from math import isnan, nan

import numpy as np

from sidestream_twin.core.arrays import BoolArray, FloatArray, IntArray
from sidestream_twin.core.errors import ModelError
from sidestream_twin.core.series import Series
from sidestream_twin.core.totals import CounterEvent

_INSTANT_S = 1e-6
"""The step of the times on the wire."""


@dataclass(frozen=True, slots=True)
class Swap:
    """The meter was exchanged at ``at_s``: what the old one showed last and the new one first, None where nobody read it."""

    at_s: float
    last: float | None = None
    first: float | None = None


@dataclass(frozen=True, slots=True)
class CounterRules:
    """How a register counts, in its own unit.

    ``modulus``: it starts again from zero there (None: never). ``max_rate``: the most it can rise per second (None:
    not known; give it, or only a fall that makes a rise under a tenth of the modulus is taken for a rollover).
    ``resolution``: its last digit; a fall of no more than that is noise. ``limit_relative``: class limit.
    ``longest_s``: across more time without a reading no rise is claimed. ``swaps``: in rising time.
    """

    modulus: float | None = None
    max_rate: float | None = None
    resolution: float = 0.0
    limit_relative: float = 0.0
    longest_s: float = float("inf")
    swaps: tuple[Swap, ...] = ()

    def __post_init__(self) -> None:
        above = (self.modulus is None or self.modulus > 0) and (self.max_rate is None or self.max_rate > 0)
        if not above or not self.resolution >= 0 or not self.limit_relative >= 0 or not self.longest_s > 0:
            msg = f"counter rules {self} can't be: modulus, max_rate and longest_s above zero, the others not negative"
            raise ModelError(msg)


@dataclass(frozen=True, slots=True, eq=False)
class Stretches:
    """The time between readings (and swaps, which stand among them as knots), as columns.

    Stretch i lies between knots i and i + 1. ``rise``: how much flowed, 0 where ``lost`` says that nobody knows.
    ``left``, ``right``: what the register showed at either end, NaN where nobody read it. ``knot_variance``: of the
    random error of what each knot shows.
    """

    at_s: FloatArray
    knot_variance: FloatArray
    left: FloatArray
    right: FloatArray
    rise: FloatArray
    event: IntArray
    lost: BoolArray


def stretches(register: Series, counter: CounterRules) -> Stretches:
    """What happened between all neighbouring readings; a swap outside the time of the readings is not looked at."""
    at_s, shown, fresh, swapped = _knots(register, counter)
    spacing, left, right = np.diff(at_s), fresh[:-1], shown[1:]
    rise, event = _rises(right - left, spacing, counter)
    lost = np.isnan(rise) | ((event & (CounterEvent.RESET | CounterEvent.JUMP)) > 0) | (spacing > counter.longest_s)
    event = np.where(swapped[:-1] | (swapped[1:] & np.isnan(right)), event | CounterEvent.SWAP, event)
    variance = np.zeros(at_s.shape)
    variance[~swapped] = register.sd_random**2
    variance += counter.resolution**2 / 12
    return Stretches(at_s, variance, left, right, np.where(lost, 0.0, rise), event, lost)


def _knots(register: Series, counter: CounterRules) -> tuple[FloatArray, FloatArray, FloatArray, BoolArray]:
    """Times; what is shown there at the end of a stretch, and at the start of the next; which of them are swaps."""
    swaps = [(at_s, swap) for swap in counter.swaps if (at_s := _moment(register, swap)) is not None]
    place = np.searchsorted(register.at_s, [at_s for at_s, _ in swaps])

    def beside(knots: list[float], readings: FloatArray) -> FloatArray:
        return np.insert(readings, place, knots)

    return (
        beside([at_s for at_s, _ in swaps], register.at_s),
        beside([nan if swap.last is None else swap.last for _, swap in swaps], register.value),
        beside([nan if swap.first is None else swap.first for _, swap in swaps], register.value),
        beside([1.0 for _ in swaps], np.zeros(register.value.shape)) > 0,
    )


def _moment(register: Series, swap: Swap) -> float | None:
    """When the meter was exchanged; None outside the readings. A reading of that very moment is the new meter's."""
    at = register.at_s
    if at.size == 0 or not at[0] < swap.at_s <= at[-1]:
        return None
    meets = at[np.searchsorted(at, swap.at_s)] == swap.at_s
    return swap.at_s - _INSTANT_S if meets else swap.at_s


def _rises(raw: FloatArray, spacing: FloatArray, counter: CounterRules) -> tuple[FloatArray, IntArray]:
    limit = np.full_like(raw, np.inf) if counter.max_rate is None else counter.max_rate * spacing
    event = np.zeros(raw.shape, dtype=np.int64)
    falls = raw < -counter.resolution
    rise = raw.copy()
    if counter.modulus is not None:
        # Without a known top speed, more than a tenth of a turn between two readings is likelier a swapped meter.
        plausible = np.minimum(limit, counter.modulus / (10 if counter.max_rate is None else 1))
        rolled = falls & (raw + counter.modulus >= 0) & (raw + counter.modulus <= plausible)
        rise = np.where(rolled, raw + counter.modulus, rise)
        event[rolled] = CounterEvent.ROLLOVER
        falls &= ~rolled
    event[falls] = CounterEvent.RESET
    event[rise > limit + counter.resolution] = CounterEvent.JUMP
    return rise, event


class EventKind(StrEnum):
    """What a register did that is no plain rise."""

    ROLLOVER = "rollover"
    RESET = "reset"
    JUMP = "jump"
    SWAP = "swap"


@dataclass(frozen=True, slots=True)
class RegisterEvent:
    """One of them, in the register's unit and seconds since 1970 UTC.

    It happened at ``at_s``: of a swap its time, else the later of the two readings at ``from_s`` and ``to_s``. ``before``
    and ``after`` are what was shown, None where nobody read it. ``rise`` between the two readings, None where what flowed
    between ``unseen_from_s`` and ``unseen_to_s`` is not known.
    """

    kind: EventKind
    at_s: float
    from_s: float
    to_s: float
    before: float | None
    after: float | None
    rise: float | None
    unseen_from_s: float | None = None
    unseen_to_s: float | None = None


_KINDS = (
    (CounterEvent.JUMP, EventKind.JUMP),
    (CounterEvent.RESET, EventKind.RESET),
    (CounterEvent.ROLLOVER, EventKind.ROLLOVER),
)


def register_events(register: Series, counter: CounterRules) -> tuple[RegisterEvent, ...]:
    """Every event of a register in rising time, with what was taken for granted and what was not seen."""
    found = stretches(register, counter)
    swaps = (_swap(register, found, swap) for swap in counter.swaps)
    plain = (_plain(found, index) for index in np.flatnonzero(found.event & ~int(CounterEvent.SWAP)).tolist())
    events = [event for event in (*swaps, *plain) if event is not None]
    return tuple(sorted(events, key=lambda event: (event.at_s, event.kind)))


def _plain(found: Stretches, index: int) -> RegisterEvent | None:
    from_s, to_s = float(found.at_s[index]), float(found.at_s[index + 1])
    kind = next(kind for event, kind in _KINDS if found.event[index] & event)
    lost = bool(found.lost[index])
    unseen = (from_s, to_s) if lost else (None, None)
    shown = _number(found.left[index]), _number(found.right[index])
    return RegisterEvent(kind, to_s, from_s, to_s, *shown, None if lost else float(found.rise[index]), *unseen)


def _swap(register: Series, found: Stretches, swap: Swap) -> RegisterEvent | None:
    at_s = _moment(register, swap)
    if at_s is None:
        return None
    knot = int(np.searchsorted(found.at_s, at_s))
    before, after = knot - 1, knot
    lost = [index for index in (before, after) if found.lost[index]]
    rise = None if lost else float(found.rise[before] + found.rise[after])
    unseen = (float(found.at_s[lost[0]]), float(found.at_s[lost[-1] + 1])) if lost else (None, None)
    from_s, to_s = float(found.at_s[before]), float(found.at_s[after + 1])
    return RegisterEvent(EventKind.SWAP, swap.at_s, from_s, to_s, swap.last, swap.first, rise, *unseen)


def _number(value: float) -> float | None:
    return None if isnan(value) else float(value)
