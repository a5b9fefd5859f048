"""Bounds on the reconciled values, by a dual active set (Goldfarb & Idnani 1983).

Starts from the unbounded optimum, takes up one violated bound after another and drops those that stop binding, which ends
in finitely many steps at the optimum. Only covariances with the variables at their bounds are needed, so a plant of
thousands of flows with a few at zero costs little more than without bounds.

The deviations stay those of the unbounded estimate: that a flow can't be negative tells nothing about its meter.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import inf

import numpy as np

from sidestream_twin.core.arrays import FloatArray, IntArray
from sidestream_twin.core.errors import ModelError
from sidestream_twin.core.reconcile.estimate import Estimate

_TOUCHES = 1e-10
"""Share of its deviation by which a value may lie beyond its bound: rounding."""
_EXACT = 1e-12
"""Share of a variance that counts as none."""


@dataclass(frozen=True, slots=True)
class Bounded:
    """The estimate within its bounds, and the names of the variables that are at one."""

    estimate: Estimate
    at_bound: tuple[str, ...]


def within_bounds(estimate: Estimate, start: tuple[str, ...] = ()) -> Bounded:
    """Return the weighted-least-squares estimate within all bounds; what can't be told has none.

    ``start`` names variables that were at a bound in the interval before: tried first. Raises ModelError when the bounds
    contradict the balances or each other, naming the variable and those that hold it.
    """
    system = estimate.system
    search = _Search(estimate, np.array(estimate.value))
    for name in start:
        at = system.ids.index(name) if name in system.ids else -1
        if at >= 0 and search.excess(at) > 0.0:
            search.take_up(at)
    while (worst := search.worst()) is not None:
        search.take_up(worst)
    names = tuple(system.ids[at] for at in sorted(search.active))
    return Bounded(replace(estimate, value=search.value) if names else estimate, names)


@dataclass(slots=True)
class _Search:
    estimate: Estimate
    value: FloatArray
    active: list[int] = field(default_factory=list)
    force: list[float] = field(default_factory=list)
    """Multipliers of the active bounds, never negative."""
    columns: dict[int, FloatArray] = field(default_factory=dict)

    def excess(self, at: int) -> float:
        """How far the value is beyond its bound; NaN compares as not at all."""
        system = self.estimate.system
        return max(float(system.lower[at] - self.value[at]), float(self.value[at] - system.upper[at]))

    def worst(self) -> int | None:
        """The variable that is beyond a bound by most of its deviations."""
        system = self.estimate.system
        beyond = np.fmax(system.lower - self.value, self.value - system.upper)
        sizes = np.abs(self.value)
        unit = self.estimate.sd + _TOUCHES * sizes
        bad = np.nan_to_num(beyond - _TOUCHES * (self.estimate.sd + sizes), nan=-inf)
        bad[self.active] = -inf
        if not bad.size or bad.max() <= 0.0:
            return None
        return int(np.argmax(np.where(bad > 0.0, beyond / np.where(unit > 0.0, unit, 1.0), -inf)))

    def take_up(self, new: int) -> None:
        """Move to the optimum on the bound of ``new`` as well, dropping bounds that then pull the wrong way."""
        system = self.estimate.system
        sign = 1.0 if self.value[new] < system.lower[new] else -1.0
        target = system.lower[new] if sign > 0 else system.upper[new]
        pull = 0.0
        while True:
            direction, pushes = self._direction(new, sign)
            rate = sign * float(direction[new])
            own = float(self._column(new)[new])
            full = abs(float(target - self.value[new])) / rate if rate > _EXACT * own else inf
            blocks = [force / push if push > _EXACT else inf for force, push in zip(self.force, pushes, strict=True)]
            first = min(blocks, default=inf)
            step = min(full, first)
            if step == inf:
                raise self._contradiction(new, float(target))
            self.value = self.value + step * direction
            self.force = [force - step * push for force, push in zip(self.force, pushes, strict=True)]
            pull += step
            if full <= first:
                self.value[new] = target
                self.active.append(new)
                self.force.append(pull)
                return
            self._drop(blocks.index(first))

    def _direction(self, new: int, sign: float) -> tuple[FloatArray, list[float]]:
        """Where the values go per unit of force on ``new`` while active bounds hold, and how their forces fall."""
        column = sign * self._column(new)
        if not self.active:
            return column, []
        signs = np.array([1.0 if self._at_lower(at) else -1.0 for at in self.active])
        held = np.stack([self._column(at) for at in self.active], axis=1) * signs
        pushes = np.linalg.solve(signs[:, None] * held[self.active], signs * column[self.active])
        return np.asarray(column - held @ pushes), pushes.tolist()

    def _at_lower(self, at: int) -> bool:
        system = self.estimate.system
        return bool(abs(self.value[at] - system.lower[at]) <= abs(self.value[at] - system.upper[at]))

    def _column(self, at: int) -> FloatArray:
        if at not in self.columns:
            which: IntArray = np.array([at])
            self.columns[at] = self.estimate.covariance_with(which)[:, 0]
        return self.columns[at]

    def _drop(self, place: int) -> None:
        del self.active[place], self.force[place]

    def _contradiction(self, new: int, target: float) -> ModelError:
        ids = self.estimate.system.ids
        held = ", ".join(repr(ids[at]) for at in self.active)
        why = f"with {held} at their bounds the balances" if held else "exact values and the balances"
        return ModelError(
            f"{ids[new]!r} can't reach its bound {target:g}: {why} make it {self.value[new]:.6g}; "
            "widen a bound, or give what is exact a deviation"
        )
