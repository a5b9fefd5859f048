"""One balance over one interval: what its meters say together, which of them can be checked, and what nobody knows. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf

import numpy as np

from sidestream_twin.balance_measure import Heard, Known, known_of
from sidestream_twin.balance_rules import Balance, Part, Relation
from sidestream_twin.core.reconcile import (
    Constraint,
    Estimate,
    GlobalTest,
    LinearSystem,
    Screening,
    Structure,
    Suspect,
    Variable,
    analyse,
    equivalent_meters,
    global_test,
    linear_system,
    reconcile,
    screen,
    suspects,
    within_bounds,
)
from sidestream_twin.core.uncertain import Uncertain

LEVEL = 0.001
"""How often all honest meters of a balance together may give rise to a doubt in one interval, systematic errors included."""
_ZERO_SHARE = 1e-4
"""No meter is exact: one that declares no deviation at zero has this share of the largest flow of its balance."""


@dataclass(slots=True)
class Structures:
    """What can be known of a balance with certain meters, kept from one interval to the next.

    An analysis depends on nothing but its key, so that whatever was computed before changes no bit of a figure.
    """

    kept: dict[tuple[object, ...], Structure] = field(default_factory=dict)

    def of(self, name: str, system: LinearSystem) -> Structure:
        """The structure of this system, or of one like it with deviations of the same magnitudes."""
        sizes = np.where(system.is_measured, np.sqrt(np.where(system.is_measured, system.variance, 1.0)), 0.0)
        magnitudes = np.where(sizes > 0, np.round(np.log10(np.where(sizes > 0, sizes, 1.0))), 0.0)
        key = (
            name,
            system.ids,
            system.constraint_ids,
            system.is_measured.tobytes(),
            magnitudes.tobytes(),
            _fixed(system),
        )
        if key not in self.kept:
            rounded = np.where(system.is_measured, 10.0**magnitudes, 0.0)
            alike = replace(system, sd_random=rounded, sd_systematic=np.zeros_like(rounded))
            self.kept[key] = analyse(alike)
        return self.kept[key]


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A balance in an interval as a system to solve; `relations` are those of its balance that compare something."""

    balance: Balance
    interval: int
    parts: Mapping[str, Part]
    known: Mapping[str, Known]
    system: LinearSystem
    relations: Sequence[Relation]


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """The same with every meter trusted, and what that tells of each; `alike`: meters that no test tells apart."""

    prepared: Prepared
    estimate: Estimate
    screening: Screening
    overall: GlobalTest | None
    at_fault: tuple[Suspect, ...]
    alike: tuple[tuple[str, ...], ...]


def prepare(balance: Balance, interval: int, heard: Heard, live: Collection[str]) -> Prepared | None:
    """The balance over an interval in which these streams were live; None where nothing was measured in it."""
    parts = {part.id: part for part in balance.parts if part.stream is None or part.stream.id in live}
    known = known_of(balance, parts, heard)
    if not any(known[name].value is not None for name, part in parts.items() if part.is_metered):
        return None
    relations = [present for r in balance.relations if (present := _present(r, parts))]
    scale = max((abs(k.value.value) for k in known.values() if k.value), default=0.0)
    variables = [
        Variable(name, _floored(known[name].value, scale), _least(balance, part)) for name, part in parts.items()
    ]
    system = linear_system(variables, [Constraint(r.id, r.terms) for r in relations])
    return Prepared(balance, interval, parts, known, system, relations)


def judge(prepared: Prepared, structures: Structures) -> Judged:
    """What the meters say together; ModelError when what is given as exact contradicts itself."""
    structure = structures.of(prepared.balance.name, prepared.system)
    free = reconcile(prepared.system, structure)
    screening = screen(free, LEVEL)
    return Judged(
        prepared,
        within_bounds(free).estimate,
        screening,
        global_test(free, LEVEL),
        suspects(free, screening),
        equivalent_meters(free, screening),
    )


def _present(relation: Relation, parts: Mapping[str, Part]) -> Relation | None:
    """The relation among those that take part; None where it compares nothing."""
    terms = tuple((name, weight) for name, weight in relation.terms if name in parts)
    if not terms or any(parts.keys().isdisjoint(group) for group in relation.needs):
        return None
    return replace(relation, terms=terms)


def _floored(value: Uncertain | None, scale: float) -> Uncertain | None:
    if value is None or value.sd > 0 or scale == 0:
        return value
    return Uncertain(value.value, scale * _ZERO_SHARE)


def _least(balance: Balance, part: Part) -> float:
    """Mass flows one way unless the meter says that it may turn round; heat and changes of stock go either way."""
    if balance.domain == "energy" or part.stream is None:
        return -inf
    low = part.figure.sensors[0].range_low if part.figure else None
    return 0.0 if low is None or low >= 0 else -inf


def _fixed(system: LinearSystem) -> bytes:
    return system.is_fixed.tobytes()
