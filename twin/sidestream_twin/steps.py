"""Steps of the twin as numbers, and how much of what changed one pass takes on. Pure.

Step n covers [n·step_s, (n + 1)·step_s) seconds since the Unix epoch. Only steps that have ended are computed, so a
figure is a function of the readings and not of the moment at which someone computed it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from sidestream_store.twin.dirty import Changed

LIVE_STEPS = 60
"""The newest steps, which no backlog holds up."""


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """Steps `first` to before `stop`."""

    first: int
    stop: int

    def widened(self, steps: int) -> Span:
        """The span with as many more steps on either side."""
        return Span(self.first - steps, self.stop + steps)


def merged(spans: Iterable[Span]) -> tuple[Span, ...]:
    """The same steps in spans that neither overlap nor touch, ascending; empty ones are left out."""
    found: list[Span] = []
    for span in sorted(span for span in spans if span.first < span.stop):
        if found and span.first <= found[-1].stop:
            found[-1] = Span(found[-1].first, max(found[-1].stop, span.stop))
        else:
            found.append(span)
    return tuple(found)


def ended_before(now_at: datetime, settle_s: float, step_s: int) -> int:
    """The first step that has not ended `settle_s` before `now_at`."""
    return int((now_at.timestamp() - settle_s) // step_s)


@dataclass(frozen=True, slots=True)
class Work:
    """What to compute now; what ended too recently; what is postponed because the pass has enough to do."""

    now: tuple[Changed, ...]
    running: tuple[Changed, ...]
    postponed: tuple[Changed, ...]


def share_out(changed: Sequence[Changed], horizon: int, cost: Mapping[int, float], budget: float) -> Work:
    """Everything before `horizon` that is live or affordable is done now, the oldest of the rest first.

    `cost` is how many readings a sensor brings per step, `budget` how many a pass may load; one step is always taken.
    """
    running = _clipped(changed, horizon, None)
    ended = _clipped(changed, None, horizon)
    live = _clipped(ended, horizon - LIVE_STEPS, None)
    old = _clipped(ended, None, horizon - LIVE_STEPS)
    until = _affordable_until(old, cost, budget)
    return Work((*_clipped(old, None, until), *live), running, _clipped(old, until, None))


def _clipped(changed: Iterable[Changed], first: int | None, stop: int | None) -> tuple[Changed, ...]:
    parts = (
        Changed(
            part.sensor_id,
            part.first if first is None else max(part.first, first),
            part.stop if stop is None else min(part.stop, stop),
        )
        for part in changed
    )
    return tuple(part for part in parts if part.first < part.stop)


def _affordable_until(changed: Iterable[Changed], cost: Mapping[int, float], budget: float) -> int:
    change: dict[int, float] = defaultdict(float)
    for part in changed:
        change[part.first] += cost.get(part.sensor_id, 1.0)
        change[part.stop] -= cost.get(part.sensor_id, 1.0)
    edges = sorted(change)
    per_step, left = 0.0, budget
    for edge, following in pairwise(edges):
        per_step += change[edge]
        if per_step * (following - edge) > left:
            return max(edge + int(left / per_step), edges[0] + 1)
        left -= per_step * (following - edge)
    return edges[-1] if edges else 0
