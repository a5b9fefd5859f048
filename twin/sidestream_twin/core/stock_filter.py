"""Mass of one stock and the biases of its instruments: what flowed, corrected by each level, weighing or count.

A Kalman filter. Its states are the mass and one bias per source, so a flow meter that reads 1 % high does so every
hour, and the drift since the last level grows with what flowed, not with its root; a level wipes it out, teaches the
meter's bias, and keeps its own, which only another instrument can tell. An observation further off than the gate allows
is not believed. A row of them is: where no other instrument spoke against it, all that was learned is forgotten with
the mass; where another did, the two disagree for good, and that is a bias, to be shared out as their classes say.

A flow that nobody saw is a bias of its own, of an instrument that showed nothing: it lasts an hour or so, and is let go
when the flow is seen again, because the next gap hides another flow.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import erf, sqrt

from sidestream_twin.core.belief import Belief
from sidestream_twin.core.errors import ModelError
from sidestream_twin.core.quality import Origin, weakest
from sidestream_twin.core.stock import (
    Movement,
    Observation,
    Stock,
    StockEstimate,
    StockFlag,
    StockState,
    StockStep,
    Update,
    Verdict,
)
from sidestream_twin.core.uncertain import Uncertain

_UNSEEN = "unseen:"
_CLASS_LIMIT = sqrt(3.0)
_ANYTHING = 1e6
"""Variance of the bias of an instrument that was found out already: what it shows next tells of it, not of the mass."""


@dataclass(frozen=True, slots=True)
class StockRun:
    """Estimates at the end of each step, and the state to go on from."""

    estimates: tuple[StockEstimate, ...]
    state: StockState


def run_stock(stock: Stock, start: StockState, steps: Iterable[StockStep]) -> StockRun:
    """Return the stock after each step; the same to the last bit for any order given, and from any checkpoint.

    Without observations the mean changes by exactly what came in less what went out. Raises ModelError unless the
    steps, sorted, follow on each other from ``start.at_s``: unseen time must be said, by a Movement of mass None.
    """
    held, estimates = _Held(start.at_s, start.belief, start.rejected_in_row, start.rejected), []
    for step in sorted(steps, key=lambda step: step.from_s):
        if step.from_s != held.at_s or not step.to_s > step.from_s:
            msg = (
                f"a step from {step.from_s} to {step.to_s} s does not follow on the stock's state at {held.at_s} s; "
                "lay the steps end to end and say unseen flows by a movement of mass None"
            )
            raise ModelError(msg)
        held = _predict(stock, held, step)
        updates = []
        for observation in sorted(step.observations, key=_observation_order):
            held, update = _observe(stock, held, observation)
            updates.append(update)
        estimates.append(_estimate(stock, held, step, tuple(updates)))
    return StockRun(tuple(estimates), StockState.of(held.at_s, held.belief, held.rejected_in_row, held.rejected))


@dataclass(frozen=True, slots=True)
class _Held:
    """A state to compute with; ``belief`` None while the mass is unknown."""

    at_s: float
    belief: Belief | None
    rejected_in_row: int = 0
    rejected: tuple[tuple[str, int], ...] = ()

    def rejecting(self, source: str) -> _Held:
        counts = dict(self.rejected)
        counts[source] = counts.get(source, 0) + 1
        return replace(self, rejected_in_row=self.rejected_in_row + 1, rejected=tuple(sorted(counts.items())))

    def accepting(self, source: str, belief: Belief) -> _Held:
        return _Held(self.at_s, belief, 0, tuple(pair for pair in self.rejected if pair[0] != source))


def _predict(stock: Stock, held: _Held, step: StockStep) -> _Held:
    belief = held.belief
    if belief is None or (_is_blind(step) and stock.blind_sd_kg_s is None):
        return _Held(step.to_s, None)
    duration = step.to_s - step.from_s
    unseen = {_UNSEEN + movement.source for movement in step.movements if movement.mass is None}
    belief = belief.without([s for s in belief.sources if s.startswith(_UNSEEN) and s not in unseen])
    belief = belief.aged(duration, lambda s: stock.unseen_lasts_s if s.startswith(_UNSEEN) else stock.bias_lasts_s)
    for movement in sorted(step.movements, key=_movement_order):
        source, moved = movement.source, movement.mass
        if moved is None:
            source, moved = _UNSEEN + source, Uncertain(0.0, 0.0, (stock.blind_sd_kg_s or 0.0) * duration)
        sign = movement.direction.sign
        belief = belief.moved(sign * moved.value, moved.sd_random, source, sign * moved.sd_systematic)
    if stock.loss_sd_kg_per_sqrt_s:
        belief = belief.moved(0.0, stock.loss_sd_kg_per_sqrt_s * sqrt(duration), "", 0.0)
    return replace(held, at_s=step.to_s, belief=belief)


def _observe(stock: Stock, held: _Held, seen: Observation) -> tuple[_Held, Update]:
    if not seen.mass.sd > 0:
        msg = f"observation by {seen.source} has no uncertainty; no scale is perfect: give its class or resolution"
        raise ModelError(msg)
    if held.belief is None:
        return _anchored(held, seen), Update(seen.source, Verdict.ANCHORED, None, None)
    expected = held.belief.expecting(seen.mass.sd_random, seen.source, seen.mass.sd_systematic)
    innovation, spread = seen.mass.value - expected.value_kg, sqrt(max(expected.variance_kg2, 0.0))
    if abs(innovation) <= stock.gate_sd * spread:
        verdict, after = Verdict.ACCEPTED, held.accepting(seen.source, expected.met_by(seen.mass.value))
    elif held.rejected_in_row >= stock.rejections_allowed:
        verdict, after = Verdict.REANCHORED, _anchored(held, seen)
    elif dict(held.rejected).get(seen.source, 0) >= stock.rejections_allowed:
        known_bad = seen.source in _suspects(held.belief)
        changed = held.belief.forgetting(seen.source, _ANYTHING if known_bad else 1.0)
        anew = changed.expecting(seen.mass.sd_random, seen.source, seen.mass.sd_systematic)
        verdict, after = Verdict.RELEARNED, held.accepting(seen.source, anew.met_by(seen.mass.value))
    else:
        verdict, after = Verdict.REJECTED, held.rejecting(seen.source)
    return after, Update(seen.source, verdict, innovation, spread)


def _anchored(held: _Held, seen: Observation) -> _Held:
    return _Held(held.at_s, StockState.known(held.at_s, seen.source, seen.mass).belief)


def _estimate(stock: Stock, held: _Held, step: StockStep, updates: tuple[Update, ...]) -> StockEstimate:
    flags = StockFlag.BLIND if _is_blind(step) else StockFlag.NONE
    verdicts = {update.verdict for update in updates}
    flags |= StockFlag.REJECTED if Verdict.REJECTED in verdicts else StockFlag.NONE
    flags |= StockFlag.REANCHORED if Verdict.REANCHORED in verdicts else StockFlag.NONE
    flags |= StockFlag.RELEARNED if Verdict.RELEARNED in verdicts else StockFlag.NONE
    if held.belief is None:
        return StockEstimate(held.at_s, None, None, None, None, flags, updates)
    quantity, suspects = held.belief.quantity, _suspects(held.belief)
    flags |= StockFlag.BIASED if suspects else StockFlag.NONE
    flags |= StockFlag.OVERFLOW if quantity.value > stock.max_kg else StockFlag.NONE
    flags |= StockFlag.RUN_DRY if quantity.value < stock.min_kg else StockFlag.NONE
    below = _probability_below(quantity, stock.min_kg)
    above = 1.0 - _probability_below(quantity, stock.max_kg)
    return StockEstimate(held.at_s, quantity, _origin(step, updates), below, above, flags, updates, suspects)


def _suspects(belief: Belief) -> tuple[str, ...]:
    """A class limit is √3 of its standard deviations: no meter within its class has a bias beyond that."""
    suspects = []
    for source, bias in zip(belief.sources, belief.mean.tolist()[1:], strict=True):
        if abs(bias) > _CLASS_LIMIT and not source.startswith(_UNSEEN):
            _, sd = belief.bias(source)
            if abs(bias) - 2.0 * sd > _CLASS_LIMIT:
                suspects.append(source)
    return tuple(suspects)


def _origin(step: StockStep, updates: tuple[Update, ...]) -> Origin:
    """Seen in this very step: as good as its observation. Else it is carried forward by flows: estimated."""
    believed = {update.source for update in updates if update.verdict is not Verdict.REJECTED}
    origins = [observation.origin for observation in step.observations if observation.source in believed]
    return weakest(origins) if origins else Origin.ESTIMATED


def _probability_below(quantity: Uncertain, limit: float) -> float:
    if quantity.sd == 0:
        return 1.0 if quantity.value < limit else 0.0
    return 0.5 * (1.0 + erf((limit - quantity.value) / (quantity.sd * sqrt(2.0))))


def _is_blind(step: StockStep) -> bool:
    return any(movement.mass is None for movement in step.movements)


def _movement_order(movement: Movement) -> tuple[str, str, float, float, float]:
    mass = movement.mass or Uncertain(0.0)
    return (movement.source, movement.direction, mass.value, mass.sd_random, mass.sd_systematic)


def _observation_order(seen: Observation) -> tuple[str, float, float, float, int]:
    return (seen.source, seen.mass.value, seen.mass.sd_random, seen.mass.sd_systematic, seen.origin.rank)
