"""What is to be brought together: variables, measured or not, and exact linear constraints A x = b between them.

A balance of a node is one kind of constraint (module ``network``), a fixed ratio another. What is not exact is made
so by a variable of its own: an uncertain yield is ``out - y*in - e = 0`` with ``e`` "measured" as 0 ± sd. An error that
two meters share (one calibration bench) is a variable in the same way: ``reading = flow + shared``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from math import inf, isfinite, isnan

import numpy as np
from scipy import sparse

from sidestream_twin.core.arrays import BoolArray, FloatArray
from sidestream_twin.core.errors import ModelError
from sidestream_twin.core.uncertain import Uncertain

_LEAST_SD, _LARGEST = 1e-60, 1e60
"""Beyond these, squares leave the range of a double."""


@dataclass(frozen=True, slots=True)
class Variable:
    """One unknown. ``measured`` None: no meter; a deviation of 0: known exactly, or agreed and not to be touched.

    The value is sought within [lower, upper]; all in one unit per variable, which the constraints must respect.
    """

    id: str
    measured: Uncertain | None = None
    lower: float = -inf
    upper: float = inf

    def __post_init__(self) -> None:
        if isnan(self.lower) or isnan(self.upper) or self.lower > self.upper:
            raise ModelError(
                f"{self.id!r} is to lie between {self.lower} and {self.upper}: no number does; "
                "give the smaller bound first, leave out one that isn't known"
            )
        if self.measured is not None and not _in_range(self.measured):
            raise ModelError(
                f"{self.id!r} is measured as {self.measured.value:g} with sd {self.measured.sd:g}: sizes above {_LARGEST:g} or "
                f"deviations below {_LEAST_SD:g} can't be computed with; choose another unit, or sd 0 for an exact value"
            )


@dataclass(frozen=True, slots=True)
class Constraint:
    """Σ coefficient·variable = total, exactly. The id is what findings about it are told by, as a rule the node's."""

    id: str
    terms: tuple[tuple[str, float], ...]
    total: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class LinearSystem:
    """A x = b over named variables, with what was measured of them; made by ``linear_system``, which checks it.

    ``matrix`` is m × n (CSR); ``measured`` has NaN where nothing was measured, the deviations 0 there.
    """

    ids: tuple[str, ...]
    constraint_ids: tuple[str, ...]
    matrix: sparse.csr_array
    totals: FloatArray
    measured: FloatArray
    sd_random: FloatArray
    sd_systematic: FloatArray
    lower: FloatArray
    upper: FloatArray

    @property
    def variance(self) -> FloatArray:
        """Of the measured values, both kinds of error together."""
        return np.asarray(self.sd_random**2 + self.sd_systematic**2)

    @property
    def is_measured(self) -> BoolArray:
        """Measured with some deviation: free to be adjusted."""
        return np.asarray(~np.isnan(self.measured) & (self.variance > 0))

    @property
    def is_fixed(self) -> BoolArray:
        """Known exactly."""
        return np.asarray(~np.isnan(self.measured) & (self.variance == 0))


def linear_system(variables: Iterable[Variable], constraints: Iterable[Constraint]) -> LinearSystem:
    """Return the system, checked: ids are unique and known, numbers finite, no constraint is empty.

    Raises ModelError, which names the variable or constraint that is wrong.
    """
    variables, constraints = tuple(variables), tuple(constraints)
    if not variables:
        raise ModelError("there is nothing to reconcile: not one variable was given; give at least one")
    ids = _unique("variable", (variable.id for variable in variables))
    constraint_ids = _unique("constraint", (constraint.id for constraint in constraints))
    column = {name: at for at, name in enumerate(ids)}
    rows: list[int] = []
    columns: list[int] = []
    coefficients: list[float] = []
    for at, constraint in enumerate(constraints):
        for name, coefficient in _terms(constraint, column):
            rows.append(at)
            columns.append(column[name])
            coefficients.append(coefficient)
    shape = (len(constraints), len(variables))
    given = [variable.measured for variable in variables]
    return LinearSystem(
        ids=ids,
        constraint_ids=constraint_ids,
        matrix=sparse.csr_array((coefficients, (rows, columns)), shape=shape, dtype=np.float64),
        totals=_floats(constraint.total for constraint in constraints),
        measured=_floats(np.nan if each is None else each.value for each in given),
        sd_random=_floats(0.0 if each is None else each.sd_random for each in given),
        sd_systematic=_floats(0.0 if each is None else each.sd_systematic for each in given),
        lower=_floats(variable.lower for variable in variables),
        upper=_floats(variable.upper for variable in variables),
    )


def _in_range(measured: Uncertain) -> bool:
    parts = (measured.sd_random, measured.sd_systematic)
    small = all(part == 0.0 or part >= _LEAST_SD for part in parts)
    return small and max(abs(measured.value), *parts) <= _LARGEST


def _floats(values: Iterable[float]) -> FloatArray:
    return np.array(list(values), dtype=np.float64)


def _unique(kind: str, ids: Iterable[str]) -> tuple[str, ...]:
    names = tuple(ids)
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise ModelError(f"{kind} {twice[0]!r} is there {names.count(twice[0])} times; give each an id of its own")
    return names


def _terms(constraint: Constraint, known: dict[str, int]) -> Iterable[tuple[str, float]]:
    if not isfinite(constraint.total) or not all(isfinite(coefficient) for _, coefficient in constraint.terms):
        raise ModelError(f"constraint {constraint.id!r} has a number that is not finite; give plain numbers")
    terms = [(name, coefficient) for name, coefficient in constraint.terms if coefficient != 0.0]
    if not terms:
        raise ModelError(f"constraint {constraint.id!r} has no variable in it, so it says nothing; leave it out")
    _unique(f"in constraint {constraint.id!r} the variable", (name for name, _ in terms))
    for name, _ in terms:
        if name not in known:
            raise ModelError(
                f"constraint {constraint.id!r} names {name!r}, which is no variable; add it, or mend the id"
            )
    return terms
