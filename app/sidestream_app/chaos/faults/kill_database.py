"""Fault 5."""

from __future__ import annotations

import random

from sidestream_app.chaos.faults.base import Done, Fault, kill_server
from sidestream_app.chaos.rig import Rig
from sidestream_app.chaos.schedule import Track


def _inject(rig: Rig, _draw: random.Random, _room_s: float) -> Done:
    return kill_server(rig, "postgres")


FAULT = Fault(
    5,
    "kill -9 database",
    "SIGKILL to PostgreSQL's postmaster; it recovers from its log",
    "whatever was acknowledged is in the database afterwards",
    Track.HUB,
    _inject,
)
