"""Fault 28."""

from __future__ import annotations

import random
import time
from functools import partial

from sidestream_app.chaos import plant
from sidestream_app.chaos.bodies import readings
from sidestream_app.chaos.faults.base import Done, Fault
from sidestream_app.chaos.faults.outcome import wrongly_kept
from sidestream_app.chaos.rig import Rig
from sidestream_app.chaos.schedule import Track
from sidestream_app.chaos.sender import Parcel

_GOOD = 30


def _inject(rig: Rig, draw: random.Random, _room_s: float) -> Done:
    now_us = time.time_ns() // 1000
    place = draw.randrange(_GOOD)
    parcels = []
    for n in range(_GOOD):
        rows = [(sensor, now_us + n, round(draw.uniform(0, 100), 3)) for sensor in plant.EXTRA_SENSORS]
        if n == place:
            rows[draw.randrange(len(rows))] = (draw.choice(plant.EXTRA_SENSORS), now_us + n, plant.POISON)
        parcels.append(Parcel(readings(rows), tuple(rows)))
    hashes = rig.sender.send(parcels, draw)
    did = f"a reading of {plant.POISON} that only the database refuses (CHECK of this run), in one of {_GOOD} frames"
    return Done(plant.EXTRA, did, later=partial(wrongly_kept, {hashes[place]: "database_refused"}))


FAULT = Fault(
    28,
    "poison row",
    "a reading that passes every check and that the database refuses, by a CHECK constraint added for the run",
    "its batch is split until it stands alone; that frame is in quarantine, every other lands",
    Track.MESSAGES,
    _inject,
)
