"""When to accuse a meter: what stands out has to last, and to be more than its class allows.

Two questions are asked of the mean of the last few intervals. *Change*: did a meter move against the others since the plant
was last thought well? What stays the same cancels, which makes this the sharp question; a move within the class (from one
limit to the other, 2·√3 systematic deviations) is no accusation. *Level*, asked of the rest: do they agree within all that
they may be off? Systematic errors count in full, since they don't average out, so a meter within its class is not accused
just because one waits. Either way each single interval has to point the same way: a spike is not a fault.

Nothing is carried along but the intervals themselves, so any window can be judged again, with the same result.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from math import inf, sqrt

import numpy as np

from sidestream_twin.core.arrays import BoolArray, FloatArray
from sidestream_twin.core.errors import ModelError
from sidestream_twin.core.reconcile.estimate import Estimate, reconcile
from sidestream_twin.core.reconcile.screening import screen
from sidestream_twin.core.reconcile.structure import Structure, analyse
from sidestream_twin.core.reconcile.suspects import Suspect, suspected_meters, suspects, without_meters
from sidestream_twin.core.reconcile.system import LinearSystem

_CLASS = 2.0 * sqrt(3.0)
"""From one end of the class to the other, in standard deviations of an error equally likely anywhere in it."""


@dataclass(frozen=True, slots=True)
class Rules:
    """How much has to be seen before a meter is accused.

    ``intervals``: how long it has to last. ``level``: probability that one of the two questions
    accuses anybody at one interval in an honest plant.
    ``each``: the test that every one of the intervals must reach by itself. ``lead``: how far it must stand out from the
    next one (twice a log of odds: 6 is 20 to 1); as long as it doesn't, it is better to wait. ``least_history``: intervals from which on
    changes are judged. ``drift``: share of its systematic deviation by which a meter may wander unnoticed.
    """

    intervals: int = 3
    level: float = 0.0001
    each: float = 1.0
    lead: float = 6.0
    least_history: int = 3
    drift: float = 0.25

    def __post_init__(self) -> None:
        if self.intervals < 1 or self.least_history < 1 or not 0.0 < self.drift <= 1.0:
            raise ModelError(f"{self} can't be followed: intervals and history are at least 1, drift lies in (0, 1]")


class Question(StrEnum):
    """What an accusation rests on."""

    LEVEL = "level"
    CHANGE = "change"


@dataclass(frozen=True, slots=True)
class Accusation:
    """One of the suspect's meters is off, or has moved by, its ``bias``; all intervals looked at agree on it."""

    suspect: Suspect
    question: Question


def accuse(
    history: Sequence[LinearSystem],
    recent: Sequence[LinearSystem],
    rules: Rules | None = None,
    structure: Structure | None = None,
) -> tuple[Accusation, ...]:
    """Return who is to be accused after the last of the ``recent`` intervals, oldest first; none before there are enough.

    ``history``: intervals before these in which the plant was thought well, a dozen or so. Leave out those after an
    accusation that is still open, or the fault becomes the norm. Intervals of another network than the last are passed
    over, and a meter counts that was read in all of them. Never accuses the same meters twice. ``structure`` of the last
    interval saves the analysis.
    """
    rules = rules or Rules()
    if len(recent) < rules.intervals:
        return ()
    latest = recent[-rules.intervals :]
    if not all(_same(each, latest[-1]) for each in latest):
        return ()
    whole = mean_of(latest)
    structure = structure or analyse(whole)
    if not structure.redundancy:
        return ()
    moved: list[Suspect] = []
    calm = [each for each in history if _same(each, latest[-1])]
    if len(calm) >= rules.least_history:
        norm = mean_of(calm)
        moves = [change(norm, each, rules.drift) for each in latest]
        named = _lasting(change(norm, whole, rules.drift), moves, structure, rules)
        moved = [each for each in named if _beyond_class(each, latest[-1])]
    rest = [without_meters(each, suspected_meters(moved)) for each in latest] if moved else latest
    off = _lasting(mean_of(rest), rest, structure, rules)
    return (*(Accusation(each, Question.CHANGE) for each in moved), *(Accusation(each, Question.LEVEL) for each in off))


def checkable(
    history: Sequence[LinearSystem], recent: Sequence[LinearSystem], rules: Rules | None = None, *, power: float = 0.99
) -> BoolArray:
    """Return which meters' move by five of their deviations would be seen after as many intervals, with ``power``.

    In the order of ``system.ids``. With fewer intervals of history than the rules want, by the question of level.
    """
    rules = rules or Rules()
    latest = recent[-rules.intervals :]
    judged = mean_of(latest)
    if len(history) >= rules.least_history:
        judged = change(mean_of(history), judged, rules.drift)
    bias = 5.0 * np.sqrt(latest[-1].variance)
    seen = screen(reconcile(judged), rules.level).power(bias)
    return np.asarray(np.nan_to_num(seen, nan=0.0) >= power)


def mean_of(systems: Sequence[LinearSystem]) -> LinearSystem:
    """Return the mean of intervals of one network: random deviations shrink, systematic ones stay; bounds are dropped."""
    if not systems:
        raise ModelError("the mean of no interval is not known; give at least one")
    count = len(systems)
    measured = np.mean([each.measured for each in systems], axis=0)
    told = ~np.isnan(measured)
    random = np.sqrt(np.sum([each.sd_random**2 for each in systems], axis=0)) / count
    systematic = np.mean([each.sd_systematic for each in systems], axis=0)
    return replace(
        systems[-1],
        totals=np.mean([each.totals for each in systems], axis=0),
        measured=measured,
        sd_random=np.where(told, random, 0.0),
        sd_systematic=np.where(told, systematic, 0.0),
        lower=np.full(measured.size, -inf),
        upper=np.full(measured.size, inf),
    )


def change(before: LinearSystem, after: LinearSystem, drift: float) -> LinearSystem:
    """Return what changed, as a system: differences of flows balance too, and what a meter always gets wrong cancels.

    Of the systematic error remains what scales with the reading, and the drift.
    """
    measured = after.measured - before.measured
    told = ~np.isnan(measured)
    random = np.hypot(after.sd_random, before.sd_random)
    systematic = np.hypot(after.sd_systematic - before.sd_systematic, drift * after.sd_systematic)
    return replace(
        after,
        totals=after.totals - before.totals,
        measured=measured,
        sd_random=np.where(told, random, 0.0),
        sd_systematic=np.where(told, systematic, 0.0),
        lower=np.full(measured.size, -inf),
        upper=np.full(measured.size, inf),
    )


def _lasting(whole: LinearSystem, singles: Sequence[LinearSystem], structure: Structure, rules: Rules) -> list[Suspect]:
    """Suspects of the whole that every single interval points at, the same way."""
    estimate = _reconcile(whole, structure)
    named = suspects(estimate, screen(estimate, rules.level))
    if not named:
        return []
    each = [_signed_tests(_reconcile(single, structure), rules) for single in singles]
    place = {name: at for at, name in enumerate(whole.ids)}
    return [
        suspect
        for suspect in named
        if suspect.lead >= rules.lead
        and all(np.sign(suspect.bias) * signed[place[suspect.meters[0]]] >= rules.each for signed in each)
    ]


def _reconcile(system: LinearSystem, structure: Structure) -> Estimate:
    """With the structure at hand where the same variables are measured."""
    fits = np.array_equal(system.is_measured, structure.is_measured) and np.array_equal(
        system.is_fixed, structure.is_fixed
    )
    return reconcile(system, structure if fits else None)


def _signed_tests(estimate: Estimate, rules: Rules) -> FloatArray:
    found = screen(estimate, rules.level)
    return np.asarray(np.nan_to_num(found.bias / found.bias_sd))


def _beyond_class(suspect: Suspect, system: LinearSystem) -> bool:
    """Whether every one of the meters would have moved by more than its class allows."""
    return all(
        abs(bias) > _CLASS * system.sd_systematic[system.ids.index(meter)]
        for meter, bias in zip(suspect.meters, suspect.biases, strict=True)
    )


def _same(one: LinearSystem, other: LinearSystem) -> bool:
    return one.ids == other.ids and one.constraint_ids == other.constraint_ids
