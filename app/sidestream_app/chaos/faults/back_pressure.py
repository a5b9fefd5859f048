"""Fault 34."""

from __future__ import annotations

import random
import signal
import time
from functools import partial

from sidestream_app.chaos import plant
from sidestream_app.chaos.faults.base import Done, Fault
from sidestream_app.chaos.rig import WORKERS, Rig
from sidestream_app.chaos.schedule import Track
from sidestream_app.demo.counting import measurements
from sidestream_app.supervise import tree_memory_mb

_READINGS = 30_000
_SAID = b"nothing of lane"
_MOST_GROWTH_MB = 20.0
_HELD_S = 1.0
_FULL_S = 25.0


def _inject(rig: Rig, draw: random.Random, room_s: float) -> Done:
    number = len(rig.bursts)
    if number >= plant.MOST_BURSTS:
        return Done("edge", f"skipped: {number} bursts are enough for one run", ok=None)
    frozen = [rig.supervisor.send(worker, signal.SIGSTOP) for worker in WORKERS]
    try:
        device = rig.start_burst(number, _csv(draw), _READINGS)
        full = rig.until(lambda: _SAID in rig.log(device).read_bytes(), _FULL_S)
        memory_mb = _memory_mb(rig, device)
        rig.stop.wait(max(_HELD_S, room_s * 0.2))
        grown_mb = _memory_mb(rig, device) - memory_mb
    finally:
        for worker in WORKERS:
            rig.supervisor.send(worker, signal.SIGCONT)
    did = (
        f"ingest {frozen} frozen while it played {_READINGS} readings into an outbox of {plant.OUTBOX_CAP_MB} MB; "
        f"it refused more: {full}; its memory grew by {grown_mb:.1f} MB while held"
    )
    return Done(device, did, ok=full and grown_mb < _MOST_GROWTH_MB, later=partial(_all_taken, device))


def _csv(draw: random.Random) -> str:
    """Readings at a rate of 1 kHz that ended a minute ago."""
    begin_ms = time.time_ns() // 1_000_000 - 60_000 - _READINGS
    return (
        "time,value\n" + "\n".join(f"{begin_ms + n},{draw.randrange(100_000) / 1000}" for n in range(_READINGS)) + "\n"
    )


def _memory_mb(rig: Rig, device: str) -> float:
    pid = rig.supervisor.pids().get(device)
    return tree_memory_mb(pid) if pid else 0.0


def _all_taken(device: str, rig: Rig) -> str | None:
    from sidestream_edge.outbox import read_journal

    taken = sum(1 for payload in read_journal(rig.outbox(device)) for _ in measurements(payload))
    return None if taken == _READINGS else f"{device} took {taken} of {_READINGS} readings of its file"


FAULT = Fault(
    34,
    "queue cap reached",
    "all of ingest stands still while a new edge plays a file as fast as it can into an outbox with little room",
    "the outbox refuses more, the driver waits, memory stays; then everything drains",
    Track.HUB,
    _inject,
)
