"""Fault 20."""

from __future__ import annotations

import random

from sidestream_app.chaos import plant
from sidestream_app.chaos.faults.base import Done, Fault
from sidestream_app.chaos.rig import Rig
from sidestream_app.chaos.schedule import Track
from sidestream_app.chaos.wire import Wire

_SAID = b"our identity"
_FIGHT_S = 4.0


def _inject(rig: Rig, draw: random.Random, _room_s: float) -> Done:
    edge = draw.choice(plant.EDGES)
    where = plant.address(edge)
    log = rig.log(edge)
    begin = log.stat().st_size
    lines = rig.proxies[edge].traffic.accepted
    twin = Wire(rig.broker_port, f"{where.hub}.{where.party}.{where.device}")
    try:
        rig.stop.wait(_FIGHT_S)
        rig.until(lambda: twin.connects > 0, 5)
    finally:
        twin.close()
    named = rig.until(lambda: _SAID in log.read_bytes()[begin:], 5)
    thrown_out = rig.proxies[edge].traffic.accepted - lines
    did = f"a stranger took its client id {twin.connects} times, and it came back {thrown_out} times"
    return Done(
        edge, f"{did}; the edge said what it may be: {named}", ok=twin.connects > 0 and thrown_out > 0 and named
    )


FAULT = Fault(
    20,
    "duplicate client id",
    "a second client connects with the edge's client id, and both throw each other out for seconds",
    "the edge says that somebody has its identity; nothing is lost or doubled",
    Track.LINE,
    _inject,
)
