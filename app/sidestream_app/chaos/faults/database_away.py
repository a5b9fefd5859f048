"""Fault 6."""

from __future__ import annotations

import random

from sidestream_app.chaos.faults.base import Done, Fault
from sidestream_app.chaos.rig import Rig
from sidestream_app.chaos.schedule import Track

_LONGEST_S = 5.0


def _inject(rig: Rig, draw: random.Random, room_s: float) -> Done:
    away_s = min(_LONGEST_S, room_s * draw.uniform(0.5, 0.8))
    rig.database.stop()
    rig.stop.wait(away_s)
    rig.database.start()
    return Done("postgres", f"shut down and away for {away_s:.1f} s, then started")


FAULT = Fault(
    6,
    "database away",
    "PostgreSQL is shut down for seconds (they stand for hours: the outboxes grow and drain alike)",
    "ingest waits and acknowledges nothing; edges keep everything; memory stays bounded",
    Track.HUB,
    _inject,
)
