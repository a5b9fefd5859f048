"""The values that close every constraint and move the meters least, in units of their deviations; with covariance.

With r = y_checks + T·y_free − offset (what the balances miss), S = cov(r) and weights V: the adjustment of y is
V·Fᵀ·S⁻¹·r (F: what an error of each meter does to r), and its covariance W = V·Fᵀ·S⁻¹·F·V. That is
V·Aᵀ(A·V·Aᵀ)⁻¹·A·y after projecting out what isn't measured (Kuehn & Davidson 1961; Crowe 1983), in a basis in which S is
well conditioned. Basic variables are then computed from the constraints, so these hold to rounding.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.linalg.lapack import dpotrf, dpotri

from sidestream_twin.core.arrays import FloatArray, IntArray
from sidestream_twin.core.errors import ModelError
from sidestream_twin.core.reconcile.structure import Knowledge, Structure, analyse, check_fits
from sidestream_twin.core.reconcile.system import LinearSystem

_AGREE = 1e-9
"""Exact numbers contradict each other when they differ by more than this share of their size."""


@dataclass(frozen=True, slots=True, eq=False)
class Estimate:
    """What the variables are, as well as can be told; arrays are in the order of ``system.ids``, NaN: can't be told.

    ``sd_random`` and ``sd_systematic`` keep apart what averages out over intervals and what does not; of what stems from
    the same meters the systematic parts are correlated. The rest is what the tests of module ``screening`` need:
    ``imbalance`` r (checks), ``precision`` S⁻¹, ``signatures`` F (checks × n; zero for what is not redundant).
    """

    system: LinearSystem
    structure: Structure
    value: FloatArray
    sd: FloatArray
    sd_random: FloatArray
    sd_systematic: FloatArray
    imbalance: FloatArray
    precision: FloatArray
    signatures: sparse.csc_array

    @property
    def adjustment(self) -> FloatArray:
        """Measured − reconciled; NaN where nothing is measured."""
        return np.asarray(self.system.measured - self.value)

    def covariance_with(self, variables: IntArray) -> FloatArray:
        """Return cov(all, these), n × k, without the n × n matrix; NaN rows and columns for what can't be told."""
        spread = _functionals(self.structure)
        variance = sparse.diags_array(self.system.variance[self.structure.free])
        weighted = (variance @ spread[variables].T).toarray()
        seen = self.structure.follows[self.structure.checks]
        return np.asarray(spread @ (weighted - variance @ (seen.T @ (self.precision @ (seen @ weighted)))))


def reconcile(system: LinearSystem, structure: Structure | None = None) -> Estimate:
    """Return the unbounded weighted-least-squares estimate; the constraints hold to rounding.

    ``structure`` from an earlier interval with the same variables measured saves the analysis. Raises ModelError when
    what is given as exact contradicts itself, naming the constraints.
    """
    if structure is None:
        structure = analyse(system)
    check_fits(structure, system)
    free, checks = structure.free, structure.checks
    known = np.where(structure.is_fixed, system.measured, 0.0)
    totals = system.totals - system.matrix @ known
    offsets = structure.offsets(totals)
    _check_consistent(system, structure, totals, known)
    shown = np.where(structure.is_measured[free], system.measured[free], 0.0)
    seen = structure.follows[checks]
    imbalance = system.measured[structure.basic[checks]] + seen @ shown - offsets[checks]
    carried = _carried(seen, system.variance[free])
    precision = _inverse(carried + np.diag(system.variance[structure.basic[checks]]))
    reconciled = shown - system.variance[free] * (seen.T @ (precision @ imbalance))
    value = np.array(system.measured)
    value[free] = reconciled
    value[structure.basic] = offsets - structure.follows @ reconciled
    unknown = np.array([each is Knowledge.UNOBSERVABLE for each in structure.knowledge], dtype=np.bool_)
    value[unknown] = np.nan
    sd, sd_random = _deviations(system, structure, precision, carried)
    sd[unknown] = sd_random[unknown] = np.nan
    return Estimate(
        system=system,
        structure=structure,
        value=value,
        sd=sd,
        sd_random=sd_random,
        sd_systematic=np.sqrt(np.maximum(sd**2 - sd_random**2, 0.0)),
        imbalance=imbalance,
        precision=precision,
        signatures=_signatures(structure, seen),
    )


def _check_consistent(system: LinearSystem, structure: Structure, totals: FloatArray, known: FloatArray) -> None:
    """Rows without a pivot must follow from the others in their totals too."""
    if not structure.dependent.size:
        return
    sizes = np.abs(system.totals) + abs(system.matrix) @ np.abs(known)
    missed = totals[structure.dependent] - structure.dependence @ totals[structure.rows]
    size = sizes[structure.dependent] + np.abs(structure.dependence) @ sizes[structure.rows]
    for at in np.flatnonzero(np.abs(missed) > _AGREE * size).tolist():
        row = structure.dependent[at]
        others = structure.rows[np.abs(structure.dependence[at]) > _AGREE]
        names = ", ".join(repr(structure.constraint_ids[each]) for each in sorted({row, *others}))
        raise ModelError(
            f"what is given as exact contradicts itself: the balances of {names} miss each other by {missed[at]:.6g} and "
            "nothing in them may be adjusted; give a deviation above 0 to what was measured"
        )


def _carried(seen: sparse.csr_array, variance: FloatArray) -> FloatArray:
    """T·V·Tᵀ: the deviations of the free variables, carried into the checks."""
    if not seen.shape[0]:
        return np.zeros((0, 0))
    return np.asarray((seen @ sparse.diags_array(variance) @ seen.T).toarray())


def _inverse(matrix: FloatArray) -> FloatArray:
    """Inverse of a positive definite matrix, scaled to a unit diagonal first."""
    if not matrix.size:
        return matrix
    scale = 1.0 / np.sqrt(np.diag(matrix))
    factor, failed = dpotrf(matrix * np.outer(scale, scale), lower=1)
    if failed:
        raise ModelError(
            "the deviations span so many orders of magnitude that the balances can't be told apart; "
            "check the units, and give what is exact a deviation of 0"
        )
    lower, _ = dpotri(factor, lower=1, overwrite_c=1)
    full = np.tril(lower) + np.tril(lower, -1).T
    return np.asarray(full * np.outer(scale, scale))


def _functionals(structure: Structure) -> sparse.csr_array:
    """Each variable's error as a combination of the free ones': identity for these, −T for the basic ones (n × n′)."""
    count = structure.free.size
    follows = structure.follows.tocoo()
    rows = np.concatenate([structure.free, structure.basic[follows.row]])
    columns = np.concatenate([np.arange(count), follows.col])
    data = np.concatenate([np.ones(count), -follows.data])
    return sparse.csr_array((data, (rows, columns)), shape=(len(structure.ids), count))


def _deviations(
    system: LinearSystem, structure: Structure, precision: FloatArray, carried: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Standard deviations of the estimate: total, and its random part."""
    if not structure.checks.size:
        squares = _functionals(structure) ** 2
        free = structure.free
        return np.sqrt(squares @ system.variance[free]), np.sqrt(squares @ system.sd_random[free] ** 2)
    seen = structure.follows[structure.checks]
    total = np.sqrt(np.maximum(_variances(system, structure, precision, carried), 0.0))
    if not system.sd_systematic.any():
        return total, np.array(total)
    random = system.sd_random**2
    functionals = _functionals(structure)
    free_random = sparse.diags_array(random[structure.free])
    free_total = sparse.diags_array(system.variance[structure.free])
    gain = precision @ (seen @ free_total @ functionals.T).toarray()
    own = (functionals**2) @ random[structure.free]
    cross = np.sum((seen @ free_random @ functionals.T).toarray() * gain, axis=0)
    spread = _carried(seen, random[structure.free]) + np.diag(random[structure.basic[structure.checks]])
    part = own - 2.0 * cross + np.sum(gain * (spread @ gain), axis=0)
    return total, np.sqrt(np.clip(part, 0.0, total**2))


def _variances(system: LinearSystem, structure: Structure, precision: FloatArray, carried: FloatArray) -> FloatArray:
    """Each kind by the formula that subtracts least."""
    seen = structure.follows[structure.checks]
    variance = system.variance
    found = np.zeros(len(system.ids))
    free = variance[structure.free]
    found[structure.free] = free - free**2 * np.asarray(seen.multiply(precision @ seen).sum(axis=0)).ravel()
    checking = structure.basic[structure.checks]
    found[checking] = variance[checking] * np.einsum("kl,lk->k", precision, carried)
    silent = np.setdiff1d(np.arange(structure.basic.size), structure.checks)
    told = structure.follows[silent]
    effect = (seen @ sparse.diags_array(free) @ told.T).toarray()
    found[structure.basic[silent]] = (told**2) @ free - np.sum(effect * (precision @ effect), axis=0)
    return found


def _signatures(structure: Structure, seen: sparse.csr_array) -> sparse.csc_array:
    count = structure.checks.size
    seen = seen.tocoo()
    rows = np.concatenate([np.arange(count), seen.row])
    columns = np.concatenate([structure.basic[structure.checks], structure.free[seen.col]])
    data = np.concatenate([np.ones(count), seen.data])
    return sparse.csc_array((data, (rows, columns)), shape=(count, len(structure.ids)))
