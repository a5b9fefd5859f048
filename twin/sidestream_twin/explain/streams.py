"""What a stream carried in a step: from the readings of one meter, derived again with the core."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

import numpy as np

from sidestream_store.explain import figures as store
from sidestream_store.explain.figures import Figure as Stored
from sidestream_store.explain.readings import known_then
from sidestream_store.twin.hub import HubSensor
from sidestream_store.twin.readings import Raw
from sidestream_store.twin.values import Subject
from sidestream_twin.core.errors import ModelError
from sidestream_twin.explain import rules
from sidestream_twin.explain.address import Address
from sidestream_twin.explain.figures import at_step, compared, find, told
from sidestream_twin.explain.readings import dropped, explain_inputs
from sidestream_twin.explain.scope import Scope, instant, step_of
from sidestream_twin.explain.tree import Check, Explained
from sidestream_twin.figures import Figure
from sidestream_twin.plan import Plan
from sidestream_twin.steps import Span
from sidestream_twin.stream_figures import compute_figure, gap_of
from sidestream_twin.stream_pass import readings_for

Readings = Mapping[int, Raw]


def explain_flow(scope: Scope, address: Address, subject: Subject) -> Explained:
    """The figure of one step, down to the readings of the meter that tells it."""
    stored = find(scope, address, subject)
    return of_stored(scope, address, subject, stored)


def of_stored(scope: Scope, address: Address, subject: Subject, stored: Stored) -> Explained:
    """A stored figure of a stream with its way down."""
    version = stored.inputs.get("hub_version")
    plan = scope.plan(version)
    said = told(scope, address, subject, stored, f"{subject.quantity} of stream {subject.id}")
    figure = next((f for f in plan.figures if f.subject == subject), None)
    if figure is None:
        why = "hub.yaml no longer says how it is measured, and the version that did can't be read"
        return replace(said, check=Check("not_possible", why))
    step = step_of(stored.time, plan.hub.step_s)
    readings = _readings(scope, plan, figure, stored, step)
    said = replace(said, rule=rules.FIGURES[figure.kind], check=_check(scope, plan, figure, stored, readings))
    if not scope.goes_on:
        return said
    inner = scope.deeper()
    inputs = tuple(_input(inner, sensor, readings.get(sensor.sensor_id), said) for sensor in figure.sensors)
    return replace(said, inputs=(*inputs, scope.configuration(version)))


def _readings(scope: Scope, plan: Plan, figure: Figure, stored: Stored, step: int) -> Readings:
    now = scope.pass_at(plan, step + 1)
    found = readings_for(now, figure, Span(step, step + 1))
    if stored.superseded_at is None:
        return found
    # As it was known when it was computed: what had arrived, corrected as was in force then.
    ends = [end for raw in found.values() for end in (raw.at_s.min(), raw.at_s.max())]
    around = 2 * gap_of(figure)
    first, last = step * plan.hub.step_s - around, (step + 1) * plan.hub.step_s + around
    numbers = [sensor.sensor_id for sensor in figure.sensors]
    rows = known_then(
        scope.connection, numbers, instant(min([*ends, first])), instant(max([*ends, last]) + 1e-6), stored.computed_at
    )
    then: dict[int, Raw] = {}
    for number in numbers:
        mine = np.array([(at_s, value) for n, at_s, value in rows if n == number]).reshape(-1, 2)
        if mine.size:
            then[number] = Raw(mine[:, 0], mine[:, 1])
    return then


def _check(scope: Scope, plan: Plan, figure: Figure, stored: Stored, readings: Readings) -> Check:
    step, ids = step_of(stored.time, plan.hub.step_s), [sensor.id for sensor in figure.sensors]
    gone = [text for sensor in ids for text in dropped(scope, sensor, stored.time)]
    if gone:
        return Check("not_possible", gone[0])
    count = sum(raw.at_s.size for raw in readings.values())
    inputs = f"{count} readings of {', '.join(ids)}"
    try:
        derived = at_step(compute_figure(figure, Span(step, step + 1), readings, plan.hub).values, step)
    except ModelError as error:
        return Check("differs", f"derived again from {inputs}, it can't be computed: {error}")

    def why() -> str:
        if stored.superseded_at is not None:
            return "readings or hub.yaml were others when it was computed"
        end = instant((step + 1) * plan.hub.step_s)
        if store.waiting(scope.connection, ids, stored.time, end):
            return "readings changed since, and the twin has not computed it again yet"
        return "nothing says why; please report it"

    return compared(stored, derived, inputs, why)


def _input(scope: Scope, sensor: HubSensor, raw: Raw | None, step: Explained) -> Explained:
    """The sensor's readings within the step, and the one before and after it that its edges rest on."""
    assert step.from_at is not None
    assert step.to_at is not None
    times = sorted({instant(at_s) for at_s in raw.at_s.tolist()}) if raw is not None else []
    first, last = _edges(times, step.from_at, step.to_at)
    used = [at for at in times if first <= at <= last]
    return explain_inputs(scope, sensor, first, last, used)


def _edges(times: Sequence[datetime], from_at: datetime, to_at: datetime) -> tuple[datetime, datetime]:
    before = [at for at in times if at <= from_at]
    after = [at for at in times if at >= to_at]
    return (before[-1] if before else from_at), (after[0] if after else to_at)
