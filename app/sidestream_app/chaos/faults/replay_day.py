"""Fault 21."""

from __future__ import annotations

import random

from sidestream_app.chaos.faults.base import Done, Fault
from sidestream_app.chaos.rig import Rig
from sidestream_app.chaos.schedule import Track
from sidestream_app.chaos.wire import Wire

_MOST = 400


def _inject(rig: Rig, draw: random.Random, _room_s: float) -> Done:
    rig.until(lambda: len(rig.tap.frames()) > 0, 10)
    captured = rig.tap.frames()
    chosen = draw.sample(captured, min(_MOST, len(captured)))
    wire = Wire(rig.broker_port, "chaos-replay")
    try:
        rig.until(lambda: wire.is_up, 10)
        sent = sum(wire.publish(frame.topic, frame.payload, frame.pairs) for frame in chosen)
        rig.stop.wait(0.3)  # the last of them leave the socket
    finally:
        wire.close()
    return Done("ingest", f"{sent} of {len(captured)} captured frames published again, shuffled", ok=sent > 0)


FAULT = Fault(
    21,
    "captured day replayed",
    "frames heard on the line in this run are published again with the same properties",
    "every one is in the ledger already and brings nothing",
    Track.MESSAGES,
    _inject,
)
