"""The values that close every constraint and move the meters least, in units of their deviations; with covariance.

With r = y_checks + T·y_free − offset (what the balances miss), S = cov(r) and weights V: the adjustment of y is
V·Fᵀ·S⁻¹·r (F: what an error of each meter does to r), and its covariance W = V·Fᵀ·S⁻¹·F·V. That is
V·Aᵀ(A·V·Aᵀ)⁻¹·A·y after projecting out what isn't measured (Kuehn & Davidson 1961; Crowe 1983), in a basis in which S is
well conditioned. Basic variables are then computed from the constraints, so these hold to rounding.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg.lapack import dpotrf, dpotri

from sidestream_twin.core.arrays import FloatArray, IntArray
from sidestream_twin.core.errors import ModelError
from sidestream_twin.core.reconcile.operators import Matrix, dense, scaled, weighed_products
from sidestream_twin.core.reconcile.structure import Knowledge, Structure, analyse, check_fits
from sidestream_twin.core.reconcile.system import LinearSystem

_AGREE = 1e-9
"""Exact numbers contradict each other when they differ by more than this share of their size."""


@dataclass(frozen=True, slots=True, eq=False)
class Estimate:
    """What the variables are, as well as can be told; arrays are in the order of ``system.ids``, NaN: can't be told.

    ``sd_random`` and ``sd_systematic`` keep apart what averages out over intervals and what does not; of what stems from
    the same meters the systematic parts are correlated. The rest is what the tests of module ``screening`` need:
    ``imbalance`` r (checks), ``precision`` S⁻¹ and the structure's ``signatures`` F (zero for what is not redundant).
    """

    system: LinearSystem
    structure: Structure
    value: FloatArray
    sd: FloatArray
    sd_random: FloatArray
    sd_systematic: FloatArray
    imbalance: FloatArray
    precision: FloatArray

    @property
    def signatures(self) -> Matrix:
        """F, checks × n."""
        return self.structure.operators.signatures

    @property
    def adjustment(self) -> FloatArray:
        """Measured − reconciled; NaN where nothing is measured."""
        return np.asarray(self.system.measured - self.value)

    def covariance_with(self, variables: IntArray) -> FloatArray:
        """Return cov(all, these), n × k, without the n × n matrix; NaN rows and columns for what can't be told."""
        spread, seen = self.structure.operators.functionals, self.structure.operators.seen
        variance = self.system.variance[self.structure.free]
        weighted = dense(scaled(spread[variables], variance)).T
        return np.asarray(spread @ (weighted - variance[:, None] * (seen.T @ (self.precision @ (seen @ weighted)))))


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
    seen = structure.operators.seen
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


def _carried(seen: Matrix, variance: FloatArray) -> FloatArray:
    """T·V·Tᵀ: the deviations of the free variables, carried into the checks."""
    return dense(scaled(seen, variance) @ seen.T)


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


def _deviations(
    system: LinearSystem, structure: Structure, precision: FloatArray, carried: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Standard deviations of the estimate: total, and its random part."""
    functionals, seen = structure.operators.functionals, structure.operators.seen
    random = system.sd_random**2
    free_random, free_total = random[structure.free], system.variance[structure.free]
    own = functionals**2 @ free_random
    if not structure.checks.size:
        return np.sqrt(functionals**2 @ free_total), np.sqrt(own)
    total = np.sqrt(np.maximum(_variances(system, structure, precision, carried), 0.0))
    if not system.sd_systematic.any():
        return total, np.array(total)
    gain = precision @ dense(scaled(seen, free_total) @ functionals.T)
    cross = np.sum(dense(scaled(seen, free_random) @ functionals.T) * gain, axis=0)
    spread = _carried(seen, free_random) + np.diag(random[structure.basic[structure.checks]])
    part = own - 2.0 * cross + np.sum(gain * (spread @ gain), axis=0)
    return total, np.sqrt(np.clip(part, 0.0, total**2))


def _variances(system: LinearSystem, structure: Structure, precision: FloatArray, carried: FloatArray) -> FloatArray:
    """Each kind by the formula that subtracts least."""
    seen, told = structure.operators.seen, structure.operators.told
    variance = system.variance
    found = np.zeros(len(system.ids))
    free = variance[structure.free]
    found[structure.free] = free - free**2 * weighed_products(seen, precision @ seen)
    checking = structure.basic[structure.checks]
    found[checking] = variance[checking] * np.einsum("kl,lk->k", precision, carried)
    effect = dense(scaled(seen, free) @ told.T)
    found[structure.basic[structure.operators.silent]] = told**2 @ free - np.sum(effect * (precision @ effect), axis=0)
    return found
