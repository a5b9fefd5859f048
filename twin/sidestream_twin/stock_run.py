"""One stock from a checkpoint on: flows and observations per step become filter steps, and estimates become figures. Pure.

Time in which nothing was heard of a stock at all is one long step, however long it is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf, sqrt
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from sidestream_store.twin.hub import HubNode, HubStream
from sidestream_store.twin.stocks import Checkpoint, Flowed, Seen
from sidestream_store.twin.values import StepValue
from sidestream_twin.core.quality import Origin
from sidestream_twin.core.stock import (
    Direction,
    Movement,
    Observation,
    Stock,
    StockEstimate,
    StockFlag,
    StockState,
    StockStep,
    Verdict,
)
from sidestream_twin.core.stock_filter import run_stock
from sidestream_twin.core.uncertain import Uncertain
from sidestream_twin.lifecycle import live_at
from sidestream_twin.plan import StockPlan

GRID = 30
"""A checkpoint stays for every so many steps, so that late data costs at most as many steps more than it touches."""

_BIAS_LASTS_S = 30 * 86_400.0
"""A meter's bias may be another one after a month: dirt, wear, a new calibration."""
_RESOLUTION_KG = 1e-3
_NO_DEVIATION = Uncertain(0.0)


@dataclass(frozen=True, slots=True)
class Heard:
    """Flows and observations of a stock, in time order, all of the steps before `stop`."""

    flows: Sequence[Flowed]
    seen: Sequence[Seen]
    stop: int


@dataclass(frozen=True, slots=True)
class StockResult:
    """Figures from `first` on, and what to remember; empty when nothing was ever heard of the stock."""

    first: int
    values: list[StepValue]
    checkpoints: list[Checkpoint]


def run(plan: StockPlan, begun: Checkpoint | None, heard: Heard, step_s: int, zone: ZoneInfo) -> StockResult | None:
    """The stock in each step in which something was heard of it after the checkpoint; None when there is no such step.

    Raises ModelError when the hub's limits contradict each other.
    """
    steps = _heard_steps(plan, begun, heard, step_s)
    if not steps:
        return None
    stock = _stock(plan)
    first = steps[0] if begun is None else begun.step
    state = _start(plan.node, first, step_s) if begun is None else state_of(begun, step_s)
    values, checkpoints = [], []
    for step, parts in _filter_steps(plan, first, steps, heard, _Clock(step_s, zone)):
        found = run_stock(stock, state, parts)
        state = found.state
        estimate = found.estimates[-1]
        if estimate.quantity is not None:
            values.append(_value(step, estimate, parts[-1]))
        if (step + 1) % GRID == 0 or step == steps[-1]:
            checkpoints.append(checkpoint_of(state, step + 1))
    return StockResult(first, values, checkpoints)


def state_of(checkpoint: Checkpoint, step_s: int) -> StockState:
    """The filter's memory, to the last bit; that of a version which didn't estimate biases in the form of now."""
    kept, at_s = checkpoint.state, float(checkpoint.step * step_s)
    if "systematic_kg" in kept:
        return _with_biases(at_s, kept)
    covariance = tuple(tuple(row) for row in kept["covariance"])
    sources, biases = tuple(kept["sources"]), tuple(kept["biases"])
    rejected = tuple((source, count) for source, count in kept["rejected"])
    return StockState(at_s, kept["mass_kg"], sources, biases, covariance, kept["rejected_in_row"], rejected)


def _with_biases(at_s: float, kept: Mapping[str, Any]) -> StockState:
    """Effects of biases of which only the size was known are their covariances with the mass, the sign turned."""
    if kept["mass_kg"] is None:
        return StockState(at_s)
    effects = {source: effect for source, effect in kept["systematic_kg"] if effect}
    sources = tuple(sorted(effects))
    total = kept["variance_kg2"] + sum(effects[source] ** 2 for source in sources)
    first = (total, *(-effects[source] for source in sources))
    rest = ((first[1 + n], *(float(n == m) for m in range(len(sources)))) for n in range(len(sources)))
    return StockState(at_s, kept["mass_kg"], sources, (0.0,) * len(sources), (first, *rest), kept["rejected_in_row"])


def checkpoint_of(state: StockState, step: int) -> Checkpoint:
    """What must be kept to go on from the start of `step`."""
    kept: dict[str, Any] = {
        "mass_kg": state.mass_kg,
        "sources": list(state.sources),
        "biases": list(state.biases),
        "covariance": [list(row) for row in state.covariance],
        "rejected_in_row": state.rejected_in_row,
        "rejected": [list(pair) for pair in state.rejected],
    }
    return Checkpoint(step, kept)


def _stock(plan: StockPlan) -> Stock:
    node = plan.node
    widths = [
        (sensor.range_high - sensor.range_low) * abs(sensor.si_factor)
        for sensor in plan.meters.values()
        if sensor.range_low is not None and sensor.range_high is not None
    ]
    return Stock(
        min_kg=node.min_kg or 0.0,
        max_kg=inf if node.max_kg is None else node.max_kg,
        blind_sd_kg_s=max(widths) / sqrt(12.0) if widths else None,
        bias_lasts_s=_BIAS_LASTS_S,
    )


def _start(node: HubNode, first: int, step_s: int) -> StockState:
    """The counted start holds until Sidestream first hears of the stock: what moved before is not on its watch."""
    at_s = float(first * step_s)
    if node.start_kg is None or node.start_at is None or node.start_at.timestamp() > at_s:
        return StockState(at_s)
    return StockState.known(at_s, "start", _counted(node))


def _counted(node: HubNode) -> Uncertain:
    return Uncertain(node.start_kg or 0.0, 0.0, node.start_sd_kg or 0.0)


@dataclass(frozen=True, slots=True)
class _Clock:
    step_s: int
    zone: ZoneInfo


def _start_step(plan: StockPlan, step_s: int) -> int | None:
    node = plan.node
    if node.start_kg is None or node.start_at is None:
        return None
    return int(-(-node.start_at.timestamp() // step_s)) - 1


def _heard_steps(plan: StockPlan, begun: Checkpoint | None, heard: Heard, step_s: int) -> list[int]:
    steps = {f.step for f in heard.flows} | {s.step for s in heard.seen}
    if not steps:
        return []
    since = min(steps) if begun is None else begun.step
    counted = _start_step(plan, step_s)
    if counted is not None and since <= counted < heard.stop:
        steps.add(counted)
    return sorted(step for step in steps if since <= step < heard.stop)


def _filter_steps(
    plan: StockPlan,
    first: int,
    steps: Sequence[int],
    heard: Heard,
    clock: _Clock,
) -> Iterator[tuple[int, list[StockStep]]]:
    step_s = clock.step_s
    flows: dict[int, dict[str, Flowed]] = defaultdict(dict)
    for flow in heard.flows:
        flows[flow.step][flow.stream] = flow
    seen: dict[int, list[Seen]] = defaultdict(list)
    for sight in heard.seen:
        seen[sight.step].append(sight)
    starts_s = np.array([step * step_s for step in steps], dtype=np.float64)
    live = {stream.id: live_at(stream, starts_s, clock.zone) for stream in plan.streams}
    counted, until = _start_step(plan, step_s), first
    for n, step in enumerate(steps):
        flowing = [stream for stream in plan.streams if live[stream.id][n]]
        moved = tuple(_movement(plan, s, flows[step].get(s.id), step_s) for s in flowing)
        parts = [
            StockStep(
                float(step * step_s), float((step + 1) * step_s), moved, _observed(plan, seen[step], step == counted)
            )
        ]
        if step > until:
            unseen = tuple(_movement(plan, stream, None, step_s) for stream in flowing)
            parts.insert(0, StockStep(float(until * step_s), float(step * step_s), unseen))
        yield step, parts
        until = step + 1


def _movement(plan: StockPlan, stream: HubStream, flow: Flowed | None, step_s: int) -> Movement:
    direction = Direction.IN if stream in plan.inflows else Direction.OUT
    source = plan.meters[stream.id].id if stream.id in plan.meters else stream.id
    if flow is None or flow.value is None:
        return Movement(source, direction, None)
    mean = Uncertain(flow.value, flow.sd_random or 0.0, flow.sd_systematic or 0.0)
    return Movement(source, direction, mean.scaled(step_s))


def _observed(plan: StockPlan, seen: Sequence[Seen], counted: bool) -> tuple[Observation, ...]:
    people = {sensor.id for sensor in plan.observers if sensor.manual}
    by_sensor = [
        # A load cell at zero kilograms with a class in % alone would claim to be exact; no scale is finer than a gram.
        Observation(
            s.sensor,
            Uncertain(s.mass_kg, max(s.sd_random, _RESOLUTION_KG), s.sd_systematic),
            Origin.MANUAL if s.sensor in people else Origin.MEASURED,
        )
        for s in seen
    ]
    if counted:
        by_sensor.append(Observation("start", _counted(plan.node), Origin.MANUAL))
    return tuple(by_sensor)


def _value(step: int, estimate: StockEstimate, last: StockStep) -> StepValue:
    quantity = estimate.quantity or _NO_DEVIATION
    known = [movement.mass is not None for movement in last.movements]
    return StepValue(
        step=step,
        value=quantity.value,
        sd_random=quantity.sd_random,
        sd_systematic=quantity.sd_systematic,
        origin=str(estimate.origin or Origin.ESTIMATED),
        completeness=sum(known) / len(known) if known else 1.0,
        n=len(last.observations),
        flags=(*(str(flag.name).lower() for flag in StockFlag if flag & estimate.flags), *_named(estimate)),
    )


def _named(estimate: StockEstimate) -> tuple[str, ...]:
    """Which instrument was not believed, or reads further off than its class allows."""
    rejected = {update.source for update in estimate.updates if update.verdict is Verdict.REJECTED}
    return (
        *(f"rejected:{source}" for source in sorted(rejected)),
        *(f"biased:{source}" for source in estimate.suspects),
    )
