"""What a stock sensor shows at the end of each step. Pure."""

from __future__ import annotations

import numpy as np

from sidestream_store.twin.hub import HubSensor
from sidestream_store.twin.readings import Raw
from sidestream_store.twin.stocks import Seen
from sidestream_twin.core.vessel import Vessel
from sidestream_twin.sensing import max_gap_s, sensed
from sidestream_twin.steps import Span


def observe(sensor: HubSensor, span: Span, raw: Raw | None, step_s: int, vessel: Vessel | None = None) -> list[Seen]:
    """The mass in kg at the end of each step in which the sensor was read, interpolated to that very moment.

    The last reading of the step stands for its end where the next one is too far off. A step without a reading of its
    own gives none: one reading must not correct the stock twice. A level becomes a mass by the shape of its `vessel`.
    """
    series = sensed(sensor, raw).series
    if sensor.role == "level" and vessel is not None:
        series = vessel.masses(series)
    bounds = np.arange(span.first, span.stop + 1, dtype=np.float64) * step_s
    last = np.searchsorted(series.at_s, bounds, side="right") - 1
    own = np.flatnonzero(last[1:] > last[:-1])
    if own.size == 0:
        return []
    at_end = series.interpolated(bounds[1:], max_gap_s(sensor))
    seen = []
    for index in own.tolist():
        known = np.isfinite(at_end.value[index])
        source, place = (at_end, index) if known else (series, last[index + 1])
        seen.append(
            Seen(
                span.first + index,
                sensor.id,
                float(source.value[place]),
                float(source.sd_random[place]),
                float(source.sd_systematic[place]),
            )
        )
    return seen
