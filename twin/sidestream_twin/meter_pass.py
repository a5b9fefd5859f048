"""What meters did beside measuring: events of registers, and values that a check doubts, in the steps that changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from sidestream_store.twin.hub import HubSensor
from sidestream_store.twin.meters import Event, Mark, Seen, save_events, save_marks
from sidestream_store.twin.readings import Raw
from sidestream_twin.context import Pass
from sidestream_twin.core.register import RegisterEvent, register_events
from sidestream_twin.sensing import REGISTERS, Doubted, counter_rules, register_series, sensed
from sidestream_twin.steps import Span


def look_at_meters(now: Pass, looks: Sequence[tuple[HubSensor, Span]], raw: Mapping[int, Raw]) -> None:
    """Events and marks in these spans are those of the readings; give as many as a figure's steps there would need."""
    events, marks = [], []
    for sensor, span in looks:
        seen = Seen(sensor.sensor_id, span.first, span.stop)
        if sensor.role in REGISTERS:
            events.append((seen, list(_events(sensor, span, raw.get(sensor.sensor_id), now.step_s))))
        else:
            doubted = sensed(sensor, raw.get(sensor.sensor_id)).doubted
            marks.append((seen, [mark for part in doubted for mark in _marks(part, span, now.step_s)]))
    save_events(now.connection, events, now.step_s)
    save_marks(now.connection, marks, now.step_s)


def _events(sensor: HubSensor, span: Span, raw: Raw | None, step_s: int) -> Iterator[Event]:
    for found in register_events(register_series(sensor, raw), counter_rules(sensor)):
        if span.first * step_s <= found.at_s < span.stop * step_s:
            yield _told(found, sensor.si_factor)


def _told(found: RegisterEvent, si_factor: float) -> Event:
    before, after, rise = (
        None if shown is None else shown / si_factor for shown in (found.before, found.after, found.rise)
    )
    return Event(
        str(found.kind), found.at_s, found.from_s, found.to_s, before, after, rise, found.unseen_from_s, found.unseen_to_s
    )  # fmt: skip


def _marks(doubted: Doubted, span: Span, step_s: int) -> Iterator[Mark]:
    """One mark for each step of the span in which a reading is doubted."""
    step = np.floor_divide(doubted.at_s, step_s).astype(np.int64)
    for one in np.unique(step[(step >= span.first) & (step < span.stop)]).tolist():
        at_s, value = doubted.at_s[step == one], doubted.value[step == one]
        yield Mark(
            int(one), doubted.kind, int(at_s.size), float(at_s[0]), float(at_s[-1]), float(value.min()),
            float(value.max()), doubted.left_out,
        )  # fmt: skip
