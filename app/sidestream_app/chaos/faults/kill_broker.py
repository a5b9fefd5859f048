"""Fault 3."""

from __future__ import annotations

import random

from sidestream_app.chaos.faults.base import Done, Fault, kill_server
from sidestream_app.chaos.rig import Rig
from sidestream_app.chaos.schedule import Track


def _inject(rig: Rig, _draw: random.Random, _room_s: float) -> Done:
    return kill_server(rig, "broker")


FAULT = Fault(
    3,
    "kill -9 broker",
    "SIGKILL to the broker, which keeps nothing on disk: messages it had acknowledged are gone",
    "the broker's word counts for nothing; edges send again until the hub has committed",
    Track.LINE,
    _inject,
)
