"""Bounds of streams that can't be known: whether anything within them fits the others at all.

An unobservable stream has no value that could be moved to its bound, yet its bounds may contradict the rest: two unmetered
outlets that may not turn round can't both be right where more flows out by meters than in. A linear programme (HiGHS)
looks for any values within the bounds, with the least that they must be broken by.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.optimize import linprog
from scipy.sparse.csgraph import connected_components

from sidestream_twin.core.arrays import FloatArray, finite
from sidestream_twin.core.reconcile.estimate import Estimate

_TOUCHES = 1e-7
"""Share of the sizes around it by which a bound may be broken: rounding of the programme."""


def unmet_bounds(estimate: Estimate) -> tuple[tuple[str, ...], ...]:
    """Return the groups of unobservable variables that can't all lie within their bounds while the others are as estimated.

    Each group hangs together by its balances and names its bounded members. Empty: there is a way, or no such bounds.
    """
    system = estimate.system
    open_ = np.flatnonzero(np.isnan(estimate.value))
    is_bounded = np.isfinite(system.lower[open_]) | np.isfinite(system.upper[open_])
    if not is_bounded.any():
        return ()
    matrix = sparse.csr_array(system.matrix[:, open_])
    rows = np.flatnonzero(np.diff(matrix.indptr))
    matrix = sparse.csr_array(matrix[rows])
    known = np.nan_to_num(estimate.value)
    wanted = (system.totals - system.matrix @ known)[rows]
    broken = _least_broken(matrix, wanted, system.lower[open_], system.upper[open_])
    rounding = _TOUCHES * (abs(matrix).T @ (abs(system.matrix) @ np.abs(known))[rows])
    _, group = connected_components(sparse.csr_array(abs(matrix).T @ abs(matrix)), directed=False)
    return tuple(
        tuple(system.ids[at] for at in open_[(group == each) & is_bounded])
        for each in np.unique(group[broken > rounding])
    )


def _least_broken(matrix: sparse.csr_array, wanted: FloatArray, lower: FloatArray, upper: FloatArray) -> FloatArray:
    """By how much each bound must be broken, in sum as little as possible, for matrix·x = wanted; 0 if that can't be told."""
    count = lower.size
    within = [(finite(low), finite(high)) for low, high in zip(lower.tolist(), upper.tolist(), strict=True)]
    found = linprog(
        np.repeat([0.0, 1.0, 1.0], count),
        A_eq=sparse.hstack([matrix, matrix, -matrix], format="csr"),
        b_eq=wanted,
        bounds=[*within, *[(0.0, None)] * (2 * count)],
    )
    return np.zeros(count) if found.status else np.asarray(found.x[count : 2 * count] + found.x[2 * count :])
