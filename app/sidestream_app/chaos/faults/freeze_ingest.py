"""Fault 7."""

from __future__ import annotations

import random
import signal
import time

from sidestream_app.chaos import plant
from sidestream_app.chaos.faults.base import Done, Fault
from sidestream_app.chaos.rig import WORKERS, Rig
from sidestream_app.chaos.schedule import Track

_BACK_S = 10.0
_SHORTEST_S = 1.5 * plant.KEEPALIVE_S + 0.5
"""Also where the broker dies meanwhile and the line with it."""
_LONGEST_S = 14.0
"""Mosquitto looks for silent clients every five seconds only."""


def _inject(rig: Rig, draw: random.Random, _room_s: float) -> Done:
    worker = draw.choice(WORKERS)
    rig.until(lambda: bool(rig.lines_to_broker(worker)), _BACK_S)
    before = rig.lines_to_broker(worker)
    begin_s = time.monotonic()
    pid = rig.supervisor.send(worker, signal.SIGSTOP)
    given_up = rig.until(lambda: not rig.lines_of_broker() & before, _LONGEST_S)
    rig.stop.wait(max(begin_s + _SHORTEST_S - time.monotonic(), draw.uniform(0.0, 0.5)))
    rig.supervisor.send(worker, signal.SIGCONT)
    frozen_s = time.monotonic() - begin_s
    anew = rig.until(lambda: bool(rig.lines_to_broker(worker) - before), _BACK_S)
    did = f"pid {pid} frozen for {frozen_s:.1f} s with a keep-alive of {plant.KEEPALIVE_S} s"
    seen = f"the broker gave it up: {given_up}; on a new connection since: {anew}"
    return Done(worker, f"{did}; {seen}", ok=given_up and anew)


FAULT = Fault(
    7,
    "ingest frozen past keep-alive",
    "SIGSTOP to one worker until the broker has given it up and handed its messages to the other, then SIGCONT",
    "what it took before and acknowledges late acknowledges nothing of the new connection; each frame is applied once",
    Track.HUB,
    _inject,
)
