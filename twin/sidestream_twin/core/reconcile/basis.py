"""Which variables follow from which: a basis of the constraints, sparse and well conditioned.

Gaussian elimination takes the columns by rank: first what is not measured, then what is measured worst. Each pivot makes
its variable a consequence of better known ones, so a recirculation of 10⁹ beside a trickle of 10⁻⁶ loses no digits.
On a network the pivots grow a maximum-weight spanning tree (Kruskal), and all coefficients stay exactly 0 or ±1.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from sidestream_twin.core.arrays import FloatArray, IntArray

_CANCELLED = 1e-11
"""What is left of a coefficient, relative to what it was, that counts as zero."""
_THRESHOLD = 0.1
"""How small, against the largest of its column, a pivot may be for the sake of sparsity (Markowitz)."""


@dataclass(frozen=True, slots=True, eq=False)
class Basis:
    """Pivot k is at (``rows[k]``, ``columns[k]``); ``dependent`` rows follow from the others and bring no pivot."""

    rows: IntArray
    columns: IntArray
    dependent: IntArray


def choose_basis(matrix: sparse.csr_array, rank: FloatArray) -> Basis:
    """Return independent columns of the matrix (m × n), those of high ``rank`` (n) first, and a row for each."""
    rows, holders = _as_dicts(matrix)
    pivots: list[tuple[int, int]] = []
    for column in np.argsort(-rank, kind="stable").tolist():
        if holders[column]:
            pivot = _best_row(rows, holders[column], column)
            _eliminate(rows, holders, pivot, column)
            pivots.append((pivot, column))
    taken = np.array(pivots, dtype=np.int64).reshape(-1, 2)
    dependent = np.setdiff1d(np.arange(len(rows)), taken[:, 0])
    return Basis(taken[:, 0], taken[:, 1], dependent)


def _as_dicts(matrix: sparse.csr_array) -> tuple[list[dict[int, float]], list[set[int]]]:
    rows: list[dict[int, float]] = []
    holders: list[set[int]] = [set() for _ in range(matrix.shape[1])]
    starts, columns, values = matrix.indptr.tolist(), matrix.indices.tolist(), matrix.data.tolist()
    for row, (start, end) in enumerate(itertools.pairwise(starts)):
        largest = max(map(abs, values[start:end]), default=1.0)
        rows.append({columns[at]: values[at] / largest for at in range(start, end) if values[at] != 0.0})
        for column in rows[-1]:
            holders[column].add(row)
    return rows, holders


def _best_row(rows: list[dict[int, float]], among: set[int], column: int) -> int:
    largest = max(abs(rows[row][column]) for row in among)
    good = (row for row in among if abs(rows[row][column]) >= _THRESHOLD * largest)
    return min(good, key=lambda row: (len(rows[row]), row))


def _eliminate(rows: list[dict[int, float]], holders: list[set[int]], pivot: int, column: int) -> None:
    """Take the pivot's row out of play and its column out of all other rows."""
    source = rows[pivot]
    for each in source:
        holders[each].discard(pivot)
    head = source[column]
    for other in holders[column]:
        target = rows[other]
        factor = target.pop(column) / head
        for each, value in source.items():
            if each == column:
                continue
            old, change = target.get(each, 0.0), factor * value
            new = old - change
            if abs(new) > _CANCELLED * max(abs(old), abs(change)):
                target[each] = new
                holders[each].add(other)
            elif each in target:
                del target[each]
                holders[each].discard(other)
    holders[column].clear()
