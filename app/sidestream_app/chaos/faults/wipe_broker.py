"""Fault 4."""

from __future__ import annotations

import random

from sidestream_app.chaos.faults.base import Done, Fault
from sidestream_app.chaos.rig import Rig
from sidestream_app.chaos.schedule import Track

_LONGEST_S = 2.0


def _inject(rig: Rig, draw: random.Random, room_s: float) -> Done:
    away_s = draw.uniform(0.3, max(0.4, min(_LONGEST_S, room_s / 2)))
    rig.broker.stop()
    rig.stop.wait(away_s)
    rig.broker.start()
    return Done(
        "broker",
        f"stopped in good order, away for {away_s:.1f} s, started without queues, sessions, subscriptions and retained messages",
    )


FAULT = Fault(
    4,
    "broker's disk wiped",
    "the broker is stopped and started with nothing of what it held (ours keeps no file, so there is none to delete)",
    "everybody subscribes again without being asked, statuses are told again, nothing is lost",
    Track.LINE,
    _inject,
)
