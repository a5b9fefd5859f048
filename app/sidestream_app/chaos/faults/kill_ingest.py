"""Fault 2."""

from __future__ import annotations

import random

from sidestream_app.chaos.faults.base import Done, Fault, kill_process
from sidestream_app.chaos.rig import WORKERS, Rig
from sidestream_app.chaos.schedule import Track

_BOTH = 0.3
"""Share of the draws in which both workers die."""


def _inject(rig: Rig, draw: random.Random, _room_s: float) -> Done:
    workers = WORKERS if draw.random() < _BOTH else (draw.choice(WORKERS),)
    done = [kill_process(rig, worker) for worker in workers]
    return Done(", ".join(workers), "; ".join(d.did for d in done), ok=all(d.ok for d in done))


FAULT = Fault(
    2,
    "kill -9 ingest",
    "SIGKILL to one ingest worker, or to both",
    "a frame is committed with everything it brings or not at all; what was not acknowledged comes again",
    Track.HUB,
    _inject,
)
