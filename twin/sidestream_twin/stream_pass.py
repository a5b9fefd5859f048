"""Recomputes what streams carried, and what stock sensors saw, in the steps that changed readings can have touched."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil

from sidestream_store.twin import readings as store_readings
from sidestream_store.twin.dirty import Changed
from sidestream_store.twin.hub import HubSensor
from sidestream_store.twin.readings import Raw, Wanted
from sidestream_store.twin.stocks import SeenRange, save_observations
from sidestream_store.twin.values import Computed, save_values
from sidestream_twin.context import Pass
from sidestream_twin.core.errors import ModelError
from sidestream_twin.figures import Figure
from sidestream_twin.meter_pass import look_at_meters
from sidestream_twin.observations import observe
from sidestream_twin.sensing import REGISTERS, is_checked, looks_for_spikes, max_gap_s, max_register_gap_s
from sidestream_twin.steps import Span, merged
from sidestream_twin.stream_figures import compute_figure, gap_of

_MINUTE_S = 60.0

Touched = Mapping[int, Sequence[Span]]
"""Steps in which readings of a sensor changed, by sensor number."""


@dataclass(frozen=True, slots=True)
class StreamPass:
    """What was computed, the first step at which each stock sensor's sight changed, the steps in which one did, problems."""

    computed: tuple[Computed, ...]
    figures: int
    seen_from: dict[str, int]
    seen: tuple[Span, ...]
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Task:
    """A span of steps to compute and the readings that takes, per sensor, in seconds since 1970 UTC."""

    span: Span
    wanted: tuple[Wanted, ...]


def update_streams(now: Pass, changed: Sequence[Changed]) -> StreamPass:
    """Figures and observations in every step that the changes can have touched are those of the readings as they are."""
    touched: dict[int, list[Span]] = defaultdict(list)
    for part in changed:
        touched[part.sensor_id].append(Span(part.first, part.stop))
    figures = [(f, task) for f in now.plan.figures for task in _figure_tasks(now, f, touched)]
    observers = [s for stock in now.plan.stocks for s in stock.observers]
    sights = [(s, task) for s in observers for task in _near_tasks(now, (s,), max_gap_s(s), touched)]
    looks = [(s, task) for s in now.plan.hub.sensors for task in _meter_tasks(now, s, touched)]
    tasks = [task for _, task in (*figures, *sights, *looks)]
    raw = store_readings.load_readings(now.connection, [want for task in tasks for want in task.wanted])
    raw = store_readings.with_own_sd(now.connection, raw, [s.sensor_id for s in now.plan.hub.sensors if s.manual])
    computed, problems = _compute(now, figures, raw)
    count = save_values(now.connection, computed, now.step_s, now.now_at)
    look_at_meters(now, [(sensor, task.span) for sensor, task in looks], raw)
    seen = tuple(task.span for _, task in sights)
    return StreamPass(tuple(computed), count, _see(now, sights, raw), seen, tuple(problems))


def readings_for(now: Pass, figure: Figure, span: Span) -> Mapping[int, Raw]:
    """The readings that a figure's steps in the span rest on, and no fewer than a pass would load for them."""
    if figure.sensors[0].role in REGISTERS:
        (reach,) = _until_neighbours(now, figure.sensors, [span])
        wanted = [_want(sensor, reach, now.step_s, _MINUTE_S) for sensor in figure.sensors]
    else:
        wanted = [_want(sensor, span, now.step_s, 2 * gap_of(figure)) for sensor in figure.sensors]
    raw = store_readings.load_readings(now.connection, wanted)
    return store_readings.with_own_sd(now.connection, raw, [s.sensor_id for s in figure.sensors if s.manual])


def _figure_tasks(now: Pass, figure: Figure, touched: Touched) -> list[_Task]:
    if figure.sensors[0].role not in REGISTERS:
        return _near_tasks(now, figure.sensors, gap_of(figure), touched)
    spans = merged(span for sensor in figure.sensors for span in touched.get(sensor.sensor_id, ()))
    return _register_tasks(now, figure.sensors, spans)


def _meter_tasks(now: Pass, sensor: HubSensor, touched: Touched) -> list[_Task]:
    if sensor.role in REGISTERS:
        return _register_tasks(now, (sensor,), merged(touched.get(sensor.sensor_id, ())))
    return _near_tasks(now, (sensor,), max_gap_s(sensor), touched) if is_checked(sensor) else []


def _near_tasks(now: Pass, sensors: Sequence[HubSensor], gap_s: float, touched: Touched) -> list[_Task]:
    """A reading tells about time up to `gap_s` from it; whether it is believed depends on readings as far away again."""
    judged = any(looks_for_spikes(sensor) for sensor in sensors)
    around = ceil((2 if judged else 1) * gap_s / now.step_s)
    spans = merged(span.widened(around) for sensor in sensors for span in touched.get(sensor.sensor_id, ()))
    return [
        _Task(span, tuple(_want(sensor, span, now.step_s, 2 * gap_s) for sensor in sensors))
        for span in _ended(spans, now.horizon)
    ]


def _register_tasks(now: Pass, sensors: Sequence[HubSensor], spans: Sequence[Span]) -> list[_Task]:
    """A register's reading tells about all the time since the one before and until the one after."""
    minute = ceil(_MINUTE_S / now.step_s)
    wide = merged(span.widened(minute) for span in _until_neighbours(now, sensors, spans))
    final = _ended(wide, now.horizon)
    return [
        _Task(span, tuple(_want(sensor, reach, now.step_s, _MINUTE_S) for sensor in sensors))
        for span, reach in zip(final, _until_neighbours(now, sensors, final), strict=True)
    ]


def _until_neighbours(now: Pass, sensors: Sequence[HubSensor], spans: Sequence[Span]) -> list[Span]:
    """Each span widened until it holds the readings before and after it of every sensor."""
    if not spans:
        return []
    step_s = now.step_s
    wanted = [_want(sensor, span, step_s, 0.0) for span in spans for sensor in sensors]
    within = [max_register_gap_s(sensor) for _ in spans for sensor in sensors]
    found = iter(store_readings.neighbours(now.connection, wanted, within))
    wide = []
    for span in spans:
        beside = [next(found) for _ in sensors]
        before = [n.before_s // step_s for n in beside if n.before_s is not None]
        after = [n.after_s // step_s + 1 for n in beside if n.after_s is not None]
        wide.append(Span(int(min([span.first, *before])), int(max([span.stop, *after]))))
    return wide


def _ended(spans: Iterable[Span], horizon: int) -> list[Span]:
    return [Span(span.first, min(span.stop, horizon)) for span in spans if span.first < horizon]


def _want(sensor: HubSensor, span: Span, step_s: int, around_s: float) -> Wanted:
    # A microsecond more, so that a reading right at the end is among them.
    return Wanted(sensor.sensor_id, span.first * step_s - around_s, span.stop * step_s + around_s + 1e-6)


def _compute(
    now: Pass, figures: Sequence[tuple[Figure, _Task]], raw: Mapping[int, Raw]
) -> tuple[list[Computed], list[str]]:
    computed: list[Computed] = []
    problems: list[str] = []
    for figure, task in figures:
        try:
            computed.append(compute_figure(figure, task.span, raw, now.plan.hub))
        except ModelError as error:
            # One absurd meter must not keep the others from being computed; its own figures go, because they are wrong.
            problems.append(f"{figure.stream.id}/{figure.quantity}: {error}")
            computed.append(Computed(figure.subject, task.span.first, task.span.stop, (), {}))
    return computed, problems


def _see(now: Pass, sights: Sequence[tuple[HubSensor, _Task]], raw: Mapping[int, Raw]) -> dict[str, int]:
    ranges = []
    for sensor, task in sights:
        span = task.span
        vessel = now.plan.vessels.get(sensor.node or "")
        seen = observe(sensor, span, raw.get(sensor.sensor_id), now.step_s, vessel)
        ranges.append(SeenRange(str(sensor.node), sensor.id, span.first, span.stop, seen))
    save_observations(now.connection, ranges, now.step_s)
    seen_from: dict[str, int] = {}
    for part in ranges:
        seen_from[part.node] = min(part.first, seen_from.get(part.node, part.first))
    return seen_from
