"""Fault 23."""

from __future__ import annotations

import random
import time

from sidestream_app.chaos import plant
from sidestream_app.chaos.bodies import readings
from sidestream_app.chaos.faults.base import Done, Fault
from sidestream_app.chaos.rig import Rig
from sidestream_app.chaos.schedule import Track
from sidestream_app.chaos.sender import Parcel

_DAYS_US = 30 * 86_400_000_000
_FRAMES, _ROWS = 40, 25


def _inject(rig: Rig, draw: random.Random, _room_s: float) -> Done:
    begin_us = time.time_ns() // 1000 - _DAYS_US
    parcels = []
    for n in range(_FRAMES):
        rows = [
            (draw.choice(plant.EXTRA_SENSORS), begin_us + (n * _ROWS + k) * 1_000, round(draw.uniform(0, 100), 3))
            for k in range(_ROWS)
        ]
        parcels.append(Parcel(readings(rows), tuple(rows)))
    rig.sender.send(parcels, draw)
    return Done(plant.EXTRA, f"{_FRAMES} frames with {_FRAMES * _ROWS} readings of 30 days ago, in random order")


FAULT = Fault(
    23,
    "late by 30 days, shuffled",
    "frames whose readings are 30 days old, in random order",
    "all of them land, each once",
    Track.MESSAGES,
    _inject,
)
