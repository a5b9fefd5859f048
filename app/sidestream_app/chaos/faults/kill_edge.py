"""Fault 1."""

from __future__ import annotations

import random

from sidestream_app.chaos import plant
from sidestream_app.chaos.faults.base import Done, Fault, kill_process
from sidestream_app.chaos.rig import Rig
from sidestream_app.chaos.schedule import Track


def _inject(rig: Rig, draw: random.Random, _room_s: float) -> Done:
    return kill_process(rig, draw.choice(plant.EDGES))


FAULT = Fault(
    1,
    "kill -9 edge",
    "SIGKILL to one edge agent under load; it is started again",
    "what its outbox had taken is delivered, under the old epoch; the new start has an epoch of its own",
    Track.LINE,
    _inject,
)
