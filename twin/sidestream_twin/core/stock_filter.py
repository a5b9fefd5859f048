"""Mass of one stock: what flowed in and out, corrected by each level, weighing or count.

A Kalman filter with one state, the mass. Its error has a random part with variance P, and a part per systematic
source k that is known in size only: b_k kilograms per standard deviation of that source. Flows add ± their systematic
deviation to b_k *linearly*, because a meter that reads 1 % high does so every hour: the drift since the last level
grows with what flowed, not with its root. A level with its own systematic c_k then takes the gain

    K = (P + Σ b_k (b_k - c_k)) / (P + R + Σ (b_k - c_k)²)      (b, c zero for sources they lack)

and leaves P ← (1 - K)² P + K² R and b_k ← (1 - K) b_k + K c_k. So a level wipes out the flows' drift, and a thousand
levels of one sensor still carry that sensor's bias. This is the Schmidt-Kalman ("consider") filter: biases are
accounted for and not estimated (S. F. Schmidt 1966; G. J. Bierman, Factorization Methods, 1977, ch. VIII). Estimating
them makes each b_k a state; the checkpoint has them by name for that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from math import erf, sqrt

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
    state, estimates = start, []
    for step in sorted(steps, key=lambda step: step.from_s):
        if step.from_s != state.at_s or not step.to_s > step.from_s:
            msg = (
                f"a step from {step.from_s} to {step.to_s} s does not follow on the stock's state at {state.at_s} s; "
                "lay the steps end to end and say unseen flows by a movement of mass None"
            )
            raise ModelError(msg)
        moved = _predict(stock, state, step)
        state, updates = _observe_all(stock, moved, step.observations)
        estimates.append(_estimate(stock, state, step, updates))
    return StockRun(tuple(estimates), state)


def _predict(stock: Stock, state: StockState, step: StockStep) -> StockState:
    duration = step.to_s - step.from_s
    unknown = state.mass_kg is None or (_is_blind(step) and stock.blind_sd_kg_s is None)
    if state.mass_kg is None or unknown:
        return StockState(step.to_s)
    mass, variance = state.mass_kg, state.variance_kg2 + stock.loss_sd_kg_per_sqrt_s**2 * duration
    effects = dict(state.systematic_kg)
    for movement in sorted(step.movements, key=_movement_order):
        source, moved = movement.source, movement.mass
        if moved is None:
            source, moved = f"unseen:{source}", Uncertain(0.0, 0.0, (stock.blind_sd_kg_s or 0.0) * duration)
        mass += movement.direction.sign * moved.value
        variance += moved.sd_random**2
        effects[source] = effects.get(source, 0.0) + movement.direction.sign * moved.sd_systematic
    return StockState(step.to_s, mass, variance, _frozen(effects), state.rejected_in_row)


def _observe_all(
    stock: Stock, state: StockState, observations: tuple[Observation, ...]
) -> tuple[StockState, tuple[Update, ...]]:
    updates = []
    for observation in sorted(observations, key=_observation_order):
        state, update = _observe(stock, state, observation)
        updates.append(update)
    return state, tuple(updates)


def _observe(stock: Stock, state: StockState, seen: Observation) -> tuple[StockState, Update]:
    if not seen.mass.sd > 0:
        msg = f"observation by {seen.source} has no uncertainty; no scale is perfect: give its class or resolution"
        raise ModelError(msg)
    if state.mass_kg is None:
        return _anchored(state, seen), Update(seen.source, Verdict.ANCHORED, None, None)
    innovation = seen.mass.value - state.mass_kg
    apart = dict(state.systematic_kg)
    apart[seen.source] = apart.get(seen.source, 0.0) - seen.mass.sd_systematic
    spread = sqrt(state.variance_kg2 + seen.mass.sd_random**2 + sum(effect**2 for effect in apart.values()))
    if abs(innovation) <= stock.gate_sd * spread:
        verdict, after = Verdict.ACCEPTED, _corrected(state, seen, apart, spread)
    elif state.rejected_in_row < stock.rejections_allowed:
        verdict, after = Verdict.REJECTED, replace(state, rejected_in_row=state.rejected_in_row + 1)
    else:
        verdict, after = Verdict.REANCHORED, _anchored(state, seen)
    return after, Update(seen.source, verdict, innovation, spread)


def _corrected(state: StockState, seen: Observation, apart: Mapping[str, float], spread: float) -> StockState:
    """Schmidt-Kalman update; the gain is kept within 0-1, where it stays a weighing of the two even if errors are shared."""
    mass = state.mass_kg or 0.0
    effects = dict(state.systematic_kg)
    shared = sum(effects.get(source, 0.0) * effect for source, effect in apart.items())
    gain = min(max((state.variance_kg2 + shared) / spread**2, 0.0), 1.0) if spread > 0 else 0.0
    variance = (1 - gain) ** 2 * state.variance_kg2 + gain**2 * seen.mass.sd_random**2
    after = {source: (1 - gain) * effect for source, effect in effects.items()}
    after[seen.source] = after.get(seen.source, 0.0) + gain * seen.mass.sd_systematic
    return StockState(state.at_s, mass + gain * (seen.mass.value - mass), variance, _frozen(after))


def _anchored(state: StockState, seen: Observation) -> StockState:
    return StockState.known(state.at_s, seen.source, seen.mass)


def _estimate(stock: Stock, state: StockState, step: StockStep, updates: tuple[Update, ...]) -> StockEstimate:
    quantity = state.quantity
    flags = StockFlag.BLIND if _is_blind(step) else StockFlag.NONE
    verdicts = {update.verdict for update in updates}
    flags |= StockFlag.REJECTED if Verdict.REJECTED in verdicts else StockFlag.NONE
    flags |= StockFlag.REANCHORED if Verdict.REANCHORED in verdicts else StockFlag.NONE
    if quantity is None:
        return StockEstimate(state.at_s, None, None, None, None, flags, updates)
    flags |= StockFlag.OVERFLOW if quantity.value > stock.max_kg else StockFlag.NONE
    flags |= StockFlag.RUN_DRY if quantity.value < stock.min_kg else StockFlag.NONE
    below = _probability_below(quantity, stock.min_kg)
    above = 1.0 - _probability_below(quantity, stock.max_kg)
    return StockEstimate(state.at_s, quantity, _origin(step, updates), below, above, flags, updates)


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


def _frozen(effects: Mapping[str, float]) -> tuple[tuple[str, float], ...]:
    return tuple(sorted(effects.items()))
