"""What can be known at all: each variable's class, and the form of the system that every solution uses.

Basic variables follow from the others: ``x_basic = offset − T·x_free`` (module ``basis`` chooses them). A free variable
without a meter is unobservable, and so is a basic one that hangs on it. A basic variable with a meter is known twice,
and that meter is what redundancy consists of (Crowe's projection, here by elimination; Narasimhan & Jordache 2000,
ch. 3). It depends on which variables are measured, not on what they show: analyse once, use for every interval.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import SuperLU, splu

from sidestream_twin.core.arrays import BoolArray, FloatArray, IntArray
from sidestream_twin.core.errors import ModelError
from sidestream_twin.core.reconcile.basis import choose_basis
from sidestream_twin.core.reconcile.operators import Operators, operators
from sidestream_twin.core.reconcile.system import LinearSystem

_ROUNDING = 1e-11
_UNMEASURED_FIRST = 1e300
_CHUNK = 512


class Knowledge(StrEnum):
    """What the meters and balances together know of a variable."""

    REDUNDANT = "redundant"
    """Measured, and the balances would tell it without its meter: it can be improved and checked."""
    NON_REDUNDANT = "non-redundant"
    """Measured, and its meter is the only word on it: taken as it is."""
    OBSERVABLE = "observable"
    """Not measured; follows from the others."""
    UNOBSERVABLE = "unobservable"
    """Not measured, and nothing tells it."""
    FIXED = "fixed"
    """Given as exact."""


@dataclass(frozen=True, slots=True, eq=False)
class Structure:
    """The system solved for its basic variables; made by ``analyse``.

    ``basic`` (m′), ``free`` (n′) and the fixed ones are all variables, by index. ``follows`` is T, sparse, m′ × n′.
    ``checks`` are the places within ``basic`` of measured variables: one per degree of redundancy.
    """

    ids: tuple[str, ...]
    constraint_ids: tuple[str, ...]
    knowledge: tuple[Knowledge, ...]
    basic: IntArray
    free: IntArray
    checks: IntArray
    follows: sparse.csr_array
    operators: Operators
    rows: IntArray
    dependent: IntArray
    dependence: FloatArray
    """Dependent row = ``dependence`` (d × m′) times the rows of the basis."""
    is_measured: BoolArray
    is_fixed: BoolArray
    _factor: SuperLU | None

    @property
    def redundancy(self) -> int:
        """Degrees of freedom of the global test: how many independent checks the meters make of each other."""
        return self.checks.size

    def offsets(self, totals: FloatArray) -> FloatArray:
        """Return B⁻¹·totals for the rows of the basis: what the basic variables are if the free ones are zero."""
        return np.zeros(0) if self._factor is None else np.asarray(self._factor.solve(totals[self.rows]))

    def leak_directions(self) -> FloatArray:
        """Return what a leak of 1 in each constraint (m) does to each check: checks × m; NaN where it can't be told.

        In a part without a way out a leak contradicts the balances themselves, so no test can be made for it.
        """
        found = np.zeros((self.checks.size, len(self.constraint_ids)))
        if self._factor is not None:
            found[:, self.rows] = self._factor.solve(_unit_columns(self.basic.size, self.checks), "T").T
        for at, row in enumerate(self.dependent):
            found[:, row] = np.nan
            found[:, self.rows[np.abs(self.dependence[at]) > _ROUNDING]] = np.nan
        return found


def analyse(system: LinearSystem) -> Structure:
    """Return what of the system can be known; never fails for lack of meters or for too many constraints."""
    measured, fixed = system.is_measured, system.is_fixed
    sought = np.flatnonzero(~fixed)
    matrix = _scaled_rows(system.matrix[:, sought])
    basis = choose_basis(matrix, _rank(system, matrix, sought))
    basic, is_free = sought[basis.columns], np.ones(sought.size, dtype=np.bool_)
    is_free[basis.columns] = False
    free = sought[is_free]
    square = sparse.csc_array(system.matrix[basis.rows][:, basic])
    factor = splu(square) if basic.size else None
    follows = _solve_sparse(factor, sparse.csc_array(system.matrix[basis.rows][:, free]))
    hanging = sparse.csc_array(system.matrix[basis.dependent][:, basic]).toarray()
    checks = np.flatnonzero(measured[basic])
    return Structure(
        ids=system.ids,
        constraint_ids=system.constraint_ids,
        knowledge=_classes(measured, fixed, basic, free, follows),
        basic=basic,
        free=free,
        checks=checks,
        follows=follows,
        operators=operators(follows, basic, free, checks, len(system.ids)),
        rows=basis.rows,
        dependent=basis.dependent,
        dependence=np.zeros((basis.dependent.size, 0)) if factor is None else _without_rounding(factor, hanging),
        is_measured=measured,
        is_fixed=fixed,
        _factor=factor,
    )


def check_fits(structure: Structure, system: LinearSystem) -> None:
    """Raise ModelError unless the structure was made of this system, with the same variables measured."""
    same_names = structure.ids == system.ids and structure.constraint_ids == system.constraint_ids
    if not same_names or not (
        np.array_equal(structure.is_measured, system.is_measured)
        and np.array_equal(structure.is_fixed, system.is_fixed)
    ):
        raise ModelError(
            "the structure was made for other variables, or for others being measured; call analyse() for this system"
        )


def _rank(system: LinearSystem, matrix: sparse.csr_array, sought: IntArray) -> FloatArray:
    """Unmeasured first; then by how many deviations a unit of the scaled rows is worth."""
    sd = np.sqrt(system.variance[sought])
    reach = abs(matrix).max(axis=0).toarray().ravel() if matrix.shape[0] else np.zeros(sought.size)
    return np.asarray(np.where(system.is_measured[sought], sd * reach, _UNMEASURED_FIRST))


def _scaled_rows(matrix: sparse.csr_array) -> sparse.csr_array:
    if not matrix.nnz:
        return sparse.csr_array(matrix)
    largest = abs(matrix).max(axis=1).toarray().ravel()
    return sparse.csr_array(sparse.diags_array(1.0 / np.where(largest > 0, largest, 1.0)) @ matrix)


def _solve_sparse(factor: SuperLU | None, right: sparse.csc_array) -> sparse.csr_array:
    """B⁻¹ times a sparse matrix, a few hundred columns at a time; rounding below 10⁻¹¹ of a column's largest is zero."""
    if factor is None or not right.shape[1]:
        return sparse.csr_array(right.shape, dtype=np.float64)
    parts = []
    for start in range(0, right.shape[1], _CHUNK):
        dense = factor.solve(right[:, start : start + _CHUNK].toarray())
        dense[np.abs(dense) <= _ROUNDING * np.abs(dense).max(axis=0)] = 0.0
        parts.append(sparse.csr_array(dense))
    return sparse.csr_array(sparse.hstack(parts, format="csr"))


def _without_rounding(factor: SuperLU, hanging: FloatArray) -> FloatArray:
    """How dependent rows follow from the others; what is only rounding would carry others' totals into them."""
    dependence = factor.solve(hanging.T, "T").T
    largest = np.abs(dependence).max(axis=1, initial=0.0, keepdims=True)
    return np.where(np.abs(dependence) > _ROUNDING * largest, dependence, 0.0)


def _unit_columns(size: int, at: IntArray) -> FloatArray:
    found = np.zeros((size, at.size))
    found[at, np.arange(at.size)] = 1.0
    return found


def _classes(
    measured: BoolArray, fixed: BoolArray, basic: IntArray, free: IntArray, follows: sparse.csr_array
) -> tuple[Knowledge, ...]:
    hangs = abs(follows[:, np.flatnonzero(~measured[free])]).sum(axis=1) > 0
    checked = abs(follows[np.flatnonzero(measured[basic])]).sum(axis=0) > 0
    found = [Knowledge.FIXED if each else Knowledge.UNOBSERVABLE for each in fixed.tolist()]
    for at, variable in enumerate(basic.tolist()):
        if measured[variable]:
            found[variable] = Knowledge.REDUNDANT
        elif not hangs[at]:
            found[variable] = Knowledge.OBSERVABLE
    for at, variable in enumerate(free.tolist()):
        if measured[variable]:
            found[variable] = Knowledge.REDUNDANT if checked[at] else Knowledge.NON_REDUNDANT
    return tuple(found)
