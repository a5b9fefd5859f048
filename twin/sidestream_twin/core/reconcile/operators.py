"""What an error of each free variable does to the others, held so that small plants don't pay for large ones' algebra.

A sparse product costs some 50 µs before the first number is multiplied, and an interval needs a dozen: for the tens of
flows of one balance whole arrays are many times faster, for thousands of flows they would not fit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from scipy import sparse

from sidestream_twin.core.arrays import FloatArray, IntArray

Matrix: TypeAlias = "sparse.csr_array | FloatArray"

_SMALL = 10_000
"""Entries up to which a matrix is held whole."""


@dataclass(frozen=True, slots=True, eq=False)
class Operators:
    """Made once for a set of meters, used for every interval; T as in module ``structure``.

    ``seen``: T of the checks; ``told``: T of the basic variables without a meter, which are ``silent``.
    ``functionals``: each variable's error as a combination of the free ones' (n × n′): identity for these, −T for the
    basic ones. ``signatures`` F: what an error of each meter does to the imbalances (checks × n).
    """

    seen: Matrix
    silent: IntArray
    told: Matrix
    functionals: Matrix
    signatures: Matrix


def operators(follows: sparse.csr_array, basic: IntArray, free: IntArray, checks: IntArray, count: int) -> Operators:
    """Return the operators of a structure of ``count`` variables."""
    seen = sparse.csr_array(follows[checks])
    silent = np.setdiff1d(np.arange(basic.size), checks)
    return Operators(
        seen=_held(seen),
        silent=silent,
        told=_held(sparse.csr_array(follows[silent])),
        functionals=_held(_functionals(follows, basic, free, count)),
        signatures=_held(_signatures(seen, basic[checks], free, count)),
    )


def dense(matrix: Matrix) -> FloatArray:
    """Return it as an array."""
    return matrix if isinstance(matrix, np.ndarray) else np.asarray(matrix.toarray())


def scaled(matrix: Matrix, factors: FloatArray) -> Matrix:
    """Return it with each column times its factor."""
    if isinstance(matrix, np.ndarray):
        return np.asarray(matrix * factors)
    return sparse.csr_array(matrix @ sparse.diags_array(factors))


def weighed_products(matrix: Matrix, other: FloatArray) -> FloatArray:
    """Return for each column the product of ``matrix`` and ``other`` of the same shape, summed: m_j·o_j."""
    if isinstance(matrix, np.ndarray):
        return np.asarray(np.einsum("ij,ij->j", matrix, other))
    return np.asarray(matrix.multiply(other).sum(axis=0)).ravel()


def _held(matrix: sparse.csr_array) -> Matrix:
    return np.asarray(matrix.toarray()) if matrix.shape[0] * matrix.shape[1] <= _SMALL else matrix


def _functionals(follows: sparse.csr_array, basic: IntArray, free: IntArray, count: int) -> sparse.csr_array:
    own = follows.tocoo()
    rows = np.concatenate([free, basic[own.row]])
    columns = np.concatenate([np.arange(free.size), own.col])
    data = np.concatenate([np.ones(free.size), -own.data])
    return sparse.csr_array((data, (rows, columns)), shape=(count, free.size))


def _signatures(seen: sparse.csr_array, checking: IntArray, free: IntArray, count: int) -> sparse.csr_array:
    own = seen.tocoo()
    rows = np.concatenate([np.arange(checking.size), own.row])
    columns = np.concatenate([checking, free[own.col]])
    data = np.concatenate([np.ones(checking.size), own.data])
    return sparse.csr_array((data, (rows, columns)), shape=(checking.size, count))
