"""Flows, temperatures and heats that close every balance and move the meters least.

Successive linearisation (Knepper & Gorman 1980; Narasimhan & Jordache 2000, ch. 5): the balances as they lie at the last
estimate are closed at the least cost, again and again, by a sparse factorisation of the optimality conditions. A step that would neither bring the balances nearer to closing
nor the meters nearer to their readings is shortened (filter line search, Fletcher & Leyffer 2002). What can't be told
at all is moved only as far as the balances ask. The problem is not convex: a second start is made elsewhere, and if it
ends in another place the better one is taken and ``one_optimum`` says so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import splu

from sidestream_twin.core.arrays import BoolArray, FloatArray
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
_HELD = 1e-6
"""Weight of an unknown that no meter shows, against 1 of a meter's."""
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
    guess, measured = first_guess(balances), _Measured.of(balances)
    scale = reaches(balances, guess)
    starts = (guess, _elsewhere(balances, guess, scale))
    settled = [found for start in starts if (found := _descend(balances, measured, start, scale)) is not None]
    if not settled:
        _linearised(balances, measured, guess, scale)  # says so if what is given as exact contradicts itself
        raise ModelError(
            f"no flows and temperatures near the measured ones close the balances (sought in {_MOST_STEPS} steps from two "
            "starts); look for a wrong unit, a stream that runs against its direction, or a deviation that is far too small"
        )
    x, objective, steps = min(settled, key=lambda each: each[1])
    values = [each[1] for each in settled]
    agreed = None if len(values) < 2 else abs(values[0] - values[1]) <= _SAME * (1.0 + min(values))
    return EnergyEstimate(balances, x, _linearised(balances, measured, x, scale), objective, steps, agreed)


Found = tuple[FloatArray, float, int]


def _descend(balances: Balances, measured: _Measured, start: FloatArray, scale: FloatArray) -> Found | None:
    count = len(balances.network.streams)

    def worth(x: FloatArray) -> tuple[float, float]:
        return _missed(balances, x, scale), measured.objective(x)

    x, seen = start, list[tuple[float, float]]()
    for step in range(1, _MOST_STEPS + 1):
        toward = _toward(balances, measured, x, scale)
        if not np.isfinite(toward).all():
            return None
        missed, objective = worth(x)
        if missed <= _CLOSED and float(np.max(np.abs(toward / scale), initial=0.0)) <= _SETTLED:
            return x, objective, step
        seen.append((missed, objective))
        furthest = float(np.max(np.abs(toward[count : 2 * count])))
        x = _searched(x, toward, min(1.0, _FURTHEST_K / max(furthest, 1e-300)), worth, seen)
    return None


def _toward(balances: Balances, measured: _Measured, x: FloatArray, scale: FloatArray) -> FloatArray:
    """The way from x to the least-squares solution of the balances as they lie there, by their optimality conditions.

    What nothing tells has a weight so small that it only keeps such unknowns where they are; the same for balances that
    follow from others. Two refinements take what these weights leave behind out again.
    """
    rows, slopes = balances.at(x)
    free = ~measured.is_exact
    alike = 1.0 / np.maximum(abs(slopes) @ scale, 1e-300)
    part = (sparse.diags_array(alike) @ slopes @ sparse.diags_array(scale)).tocsc()[:, free]
    counted = measured.is_counted[free]
    pull = np.where(counted, (measured.value - x)[free] / scale[free], 0.0)
    goal = np.concatenate([pull, -alike * np.array(rows.misses)])
    weights = sparse.diags_array(np.where(counted, 1.0, _HELD))
    exact = sparse.block_array([[weights, part.T], [part, None]], format="csc")
    slack = np.concatenate([np.zeros(counted.size), np.full(alike.size, _HELD**2)])
    try:
        factor = splu(sparse.csc_array(exact - sparse.diags_array(slack)))
    except RuntimeError:  # singular to the last digit: this way leads nowhere
        return np.full(x.shape, np.nan)
    found = factor.solve(goal)
    for _ in range(2):
        found += factor.solve(goal - exact @ found)
    toward = np.zeros(x.size)
    toward[free] = scale[free] * found[: counted.size]
    return toward


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

    @property
    def variance(self) -> FloatArray:
        return np.asarray(self.sd_random**2 + self.sd_systematic**2)

    @property
    def is_counted(self) -> BoolArray:
        """Measured with a deviation."""
        return np.asarray(~np.isnan(self.value) & (self.variance > 0))

    @property
    def is_exact(self) -> BoolArray:
        return np.asarray(~np.isnan(self.value) & (self.variance == 0))

    def objective(self, x: FloatArray) -> float:
        counted = self.is_counted
        return float(np.sum((x - self.value)[counted] ** 2 / self.variance[counted]))


def _linearised(balances: Balances, measured: _Measured, x: FloatArray, scale: FloatArray) -> Estimate:
    """The balances as they lie at x, reconciled as linear ones: classes, deviations, tests."""
    rows, slopes = balances.at(x)
    totals = slopes @ x - np.array(rows.misses)
    totals[np.abs(totals) <= _ROUNDING * (abs(slopes) @ np.abs(x))] = 0.0  # or a closed loop would seem to leak it
    alike = 1.0 / np.maximum(abs(slopes) @ scale, 1e-300)  # a kilogram's row and a watt's weigh the same
    return reconcile(_system(balances, measured, rows.names, sparse.diags_array(alike) @ slopes, alike * totals))


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
