"""Fault 13."""

from __future__ import annotations

import random
import time

from sidestream_app.chaos.faults.base import Done, Fault
from sidestream_app.chaos.rig import Rig
from sidestream_app.chaos.schedule import Track

_LONGEST_S = 4.0
_UNNOTICED_S = 12.0
"""So long it stays full where the database has not yet wanted to write more than it has room for."""
_TOP_UP_S = 0.1
_SAID = b"No space left on device"


def _inject(rig: Rig, draw: random.Random, room_s: float) -> Done:
    if rig.disk.why_not is not None:
        return Done("postgres", f"skipped: this machine lets us have no small disk ({rig.disk.why_not})", ok=None)
    begin = rig.postgres.log.stat().st_size
    room_before = rig.disk.free_mb()
    full_s = min(_LONGEST_S, max(1.5, room_s * draw.uniform(0.5, 0.8)))
    begin_s, complaints = time.monotonic(), 0
    try:
        while not rig.stop.is_set() and time.monotonic() - begin_s < (full_s if complaints else _UNNOTICED_S):
            rig.disk.fill()
            rig.stop.wait(_TOP_UP_S)
            complaints = _complaints(rig, begin)
    finally:
        rig.disk.empty()
    rig.database.wait_ready(timeout_s=20)
    did = f"its disk of {rig.disk.size_mb} MB ({room_before:.0f} MB free) full to the last byte for {time.monotonic() - begin_s:.1f} s"
    return Done("postgres", f"{did}; the database said so {complaints} times", ok=complaints > 0)


def _complaints(rig: Rig, begin: int) -> int:
    with rig.postgres.log.open("rb") as log:
        log.seek(begin)
        return log.read().count(_SAID)


FAULT = Fault(
    13,
    "database disk full",
    "the small disk on which the database lies is filled to the last byte for seconds, then freed",
    "nothing is acknowledged that is not committed; ingest goes on by itself when there is room",
    Track.HUB,
    _inject,
)
