"""Flows, temperatures and heats that close every balance and move the meters least.

Successive linearisation (Knepper & Gorman 1980; Narasimhan & Jordache 2000, ch. 5): the balances as they lie at the last
estimate are reconciled as linear ones, again and again. A step that would neither bring the balances nearer to closing
nor the meters nearer to their readings is shortened (filter line search, Fletcher & Leyffer 2002). What can't be told
at all is moved only as far as the balances ask. The problem is not convex: a second start is made elsewhere, and if it
ends in another place the better one is taken and ``one_optimum`` says so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from sidestream_twin.core.arrays import FloatArray
from sidestream_twin.core.energy_reconcile.balances import Balances
from sidestream_twin.core.energy_reconcile.network import EnergyNetwork
from sidestream_twin.core.energy_reconcile.start import first_guess, reaches
from sidestream_twin.core.errors import ModelError
from sidestream_twin.core.reconcile import Estimate, LinearSystem, reconcile

_MOST_STEPS = 80
_CLOSED = 1e-9
"""Balances are closed when none misses by more than this share of what a deviation of its meters would make it miss."""
_NEARLY = 1e-6
_SETTLED = 1e-7
"""Nothing moves any more: the last step, in deviations."""
_ROUNDING = 1e-13
_SHORTEST = 2.0**-12
_FILTER = 1e-5
_SAME = 1e-6
_FURTHEST_K = 150.0


@dataclass(frozen=True, slots=True, eq=False)
class EnergyEstimate:
    """The reconciled network. ``estimate`` is the linear problem at the solution: values, deviations, classes, tests.

    ``x`` are all unknowns as ``balances.ids``, those that can't be told among them at a place where balances close.
    ``objective`` is Σ(adjustment/sd)². ``one_optimum``: a start from elsewhere came to the same; None: it got nowhere.
    """

    balances: Balances
    x: FloatArray
    estimate: Estimate
    objective: float
    steps: int
    one_optimum: bool | None

    def misses(self) -> dict[str, float]:
        """Return by how much each balance misses zero: kg/s, W or K."""
        rows, _ = self.balances.at(self.x)
        return dict(zip(rows.names, rows.misses, strict=True))


def reconcile_energy(network: EnergyNetwork) -> EnergyEstimate:
    """Return the weighted-least-squares estimate of a heat network; its balances close to rounding.

    Raises ModelError when exact numbers contradict each other, or when no start leads to closed balances.
    """
    balances = Balances(network)
    guess = first_guess(balances)
    scale = reaches(balances, guess)
    found = [_descend(balances, start, scale) for start in (guess, _elsewhere(balances, guess, scale))]
    settled = [each for each in found if each is not None]
    if not settled:
        raise ModelError(
            f"no flows and temperatures near the measured ones close the balances (sought in {_MOST_STEPS} steps from two "
            "starts); look for a wrong unit, a stream that runs against its direction, or a deviation that is far too small"
        )
    best = min(settled, key=lambda each: each[1])
    x, objective, estimate, steps = best
    values = [each[1] for each in settled]
    agreed = None if len(values) < 2 else abs(values[0] - values[1]) <= _SAME * (1.0 + min(values))
    return EnergyEstimate(balances, x, estimate, objective, steps, agreed)


Found = tuple[FloatArray, float, Estimate, int]


def _descend(balances: Balances, start: FloatArray, scale: FloatArray) -> Found | None:
    measured, count = _Measured.of(balances), len(balances.network.streams)

    def worth(x: FloatArray) -> tuple[float, float]:
        return _missed(balances, x, scale), measured.objective(x)

    x, seen = start, list[tuple[float, float]]()
    for step in range(1, _MOST_STEPS + 1):
        estimate, toward = _linear_step(balances, measured, x, scale)
        moved = float(np.max(np.abs(toward / scale), initial=0.0))
        missed, objective = worth(x)
        if missed <= _CLOSED and moved <= _SETTLED:
            return x, objective, estimate, step
        seen.append((missed, objective))
        furthest = float(np.max(np.abs(toward[count : 2 * count])))
        x = _searched(x, toward, min(1.0, _FURTHEST_K / max(furthest, 1e-300)), worth, seen)
        if not np.isfinite(x).all():
            return None
    return None


@dataclass(frozen=True, slots=True, eq=False)
class _Measured:
    """What is measured of the unknowns, as arrays in their order; NaN where nothing is."""

    value: FloatArray
    sd_random: FloatArray
    sd_systematic: FloatArray

    @classmethod
    def of(cls, balances: Balances) -> _Measured:
        given = [variable.measured for variable in balances.variables]
        return cls(
            np.array([np.nan if each is None else each.value for each in given]),
            np.array([0.0 if each is None else each.sd_random for each in given]),
            np.array([0.0 if each is None else each.sd_systematic for each in given]),
        )

    def objective(self, x: FloatArray) -> float:
        variance = self.sd_random**2 + self.sd_systematic**2
        counted = ~np.isnan(self.value) & (variance > 0)
        return float(np.sum((x - self.value)[counted] ** 2 / variance[counted]))


def _linear_step(
    balances: Balances, measured: _Measured, x: FloatArray, scale: FloatArray
) -> tuple[Estimate, FloatArray]:
    """The reconciled linear problem at x, and the way from x to its solution."""
    rows, slopes = balances.at(x)
    totals = slopes @ x - np.array(rows.misses)
    totals[np.abs(totals) <= _ROUNDING * (abs(slopes) @ np.abs(x))] = 0.0  # or a closed loop would seem to leak it
    alike = 1.0 / np.maximum(abs(slopes) @ scale, 1e-300)  # a kilogram's row and a watt's weigh the same
    system = _system(balances, measured, rows.names, sparse.diags_array(alike) @ slopes, alike * totals)
    estimate = reconcile(system)
    toward = estimate.value - x
    unknown = np.flatnonzero(np.isnan(toward))
    toward[unknown] = 0.0
    if unknown.size:
        left = -(np.array(rows.misses) + slopes @ toward)
        part = (slopes[:, unknown] @ sparse.diags_array(scale[unknown])).toarray()
        weight = 1.0 / np.maximum(np.abs(part).max(axis=1), 1e-300)
        concerned = np.abs(part).max(axis=1) > 0
        part, left = part[concerned] * weight[concerned, None], left[concerned] * weight[concerned]
        toward[unknown] = scale[unknown] * np.linalg.lstsq(part, left, rcond=1e-10)[0]
    return estimate, toward


def _system(
    balances: Balances, measured: _Measured, names: list[str], slopes: sparse.csr_array, totals: FloatArray
) -> LinearSystem:
    free = np.full(len(balances.ids), np.inf)
    return LinearSystem(
        ids=balances.ids,
        constraint_ids=tuple(names),
        matrix=slopes,
        totals=totals,
        measured=measured.value,
        sd_random=measured.sd_random,
        sd_systematic=measured.sd_systematic,
        lower=-free,
        upper=free,
    )


def _missed(balances: Balances, x: FloatArray, scale: FloatArray) -> float:
    """The worst miss of a balance, in what its unknowns' usual moves would change it by."""
    rows, slopes = balances.at(x)
    size = np.maximum(abs(slopes) @ scale, 1e-300)
    return float(np.max(np.abs(np.array(rows.misses)) / size, initial=0.0))


def _searched(
    x: FloatArray,
    toward: FloatArray,
    share: float,
    worth: Callable[[FloatArray], tuple[float, float]],
    seen: list[tuple[float, float]],
) -> FloatArray:
    """The longest part of the step, from ``share`` on, that no guess seen so far beats in both respects."""
    while share > _SHORTEST:
        missed, objective = worth(x + share * toward)
        better = (missed <= (1 - _FILTER) * m or objective <= o - _FILTER * m for m, o in seen)
        if missed <= _NEARLY or all(better):
            return x + share * toward
        share /= 2
    seen.clear()
    return x + toward


def _elsewhere(balances: Balances, guess: FloatArray, scale: FloatArray) -> FloatArray:
    """Another start: measured values two deviations off, to either side in turn, the others further away still."""
    turn = np.where(np.arange(guess.size) % 2, 1.0, -1.0)
    exact = np.array([v.measured is not None and v.measured.sd == 0 for v in balances.variables])
    return np.where(exact, guess, guess + 2.0 * turn * scale)
