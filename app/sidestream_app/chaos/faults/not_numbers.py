"""Fault 26."""

from __future__ import annotations

import random
import time
from functools import partial

from sidestream_app.chaos import plant
from sidestream_app.chaos.bodies import readings
from sidestream_app.chaos.faults.base import Done, Fault
from sidestream_app.chaos.faults.outcome import missing_reasons
from sidestream_app.chaos.rig import Rig
from sidestream_app.chaos.schedule import Track
from sidestream_app.chaos.sender import Parcel

_BAD: tuple[float | str, ...] = (float("nan"), float("inf"), float("-inf"), 1e308, "12,5")
_REASONS = ("not_finite", "out_of_bounds", "not_a_number")
_FRAMES = 4


def _inject(rig: Rig, draw: random.Random, _room_s: float) -> Done:
    now_us = time.time_ns() // 1000
    parcels = []
    for n in range(_FRAMES):
        rows: list[tuple[str, int, float | str | None]] = [
            (sensor, now_us + n, round(draw.uniform(0, 100), 3)) for sensor in plant.EXTRA_SENSORS[: len(_BAD)]
        ]
        rows += [(sensor, now_us + n + 500, value) for sensor, value in zip(plant.EXTRA_SENSORS, _BAD, strict=False)]
        draw.shuffle(rows)
        parcels.append(Parcel(readings(rows), tuple(rows)))
    rig.sender.send(parcels, draw)
    did = f'{_FRAMES * len(_BAD)} readings of NaN, ±Inf, 1e308 and "12,5", each beside a good one in the same frame'
    return Done(plant.EXTRA, did, later=partial(missing_reasons, _REASONS))


FAULT = Fault(
    26,
    "numbers that are none",
    'NaN, Infinity, 1e308 and "12,5" among good readings of the same frame',
    "each is in quarantine with sensor and reason; its neighbours land; no sum is ever NaN",
    Track.MESSAGES,
    _inject,
)
