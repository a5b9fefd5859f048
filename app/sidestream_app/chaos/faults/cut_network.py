"""Fault 8."""

from __future__ import annotations

import random

from sidestream_app.chaos import plant
from sidestream_app.chaos.faults.base import Done, Fault
from sidestream_app.chaos.proxy import Proxy
from sidestream_app.chaos.rig import Rig
from sidestream_app.chaos.schedule import Track

_WAYS = ("refused", "deaf", "delayed", "reset", "cut at a byte")
_SHORTEST_S = 0.3
_LONGEST_S = 2.0
_MOST_BYTES = 5_000


def _inject(rig: Rig, draw: random.Random, room_s: float) -> Done:
    edge = draw.choice(plant.EDGES)
    proxy = rig.proxies[edge]
    cut_before, accepted_before = proxy.traffic.cut, proxy.traffic.accepted
    told = []
    for way in draw.sample(_WAYS, len(_WAYS)):
        for_s = max(_SHORTEST_S, min(_LONGEST_S, room_s / len(_WAYS) * draw.uniform(0.6, 1.0)))
        told.append(f"{_break(proxy, way, draw)} {for_s:.1f} s")
        rig.stop.wait(for_s)
        proxy.mend()
    back = rig.until(lambda: proxy.traffic.accepted > accepted_before, 10)
    cut = proxy.traffic.cut - cut_before
    return Done(edge, f"{', '.join(told)}: {cut} connections cut, reconnected {back}", ok=back and cut > 0)


def _break(proxy: Proxy, way: str, draw: random.Random) -> str:
    if way == "refused":
        proxy.refuse()
    elif way == "deaf":
        proxy.go_deaf()
    elif way == "delayed":
        proxy.slow_down(delay_s := draw.uniform(0.05, 0.4))
        return f"delayed by {delay_s * 1000:.0f} ms"
    elif way == "reset":
        proxy.reset()
    else:
        proxy.cut_after(size := draw.randrange(1, _MOST_BYTES))
        return f"cut after {size} bytes"
    return way


FAULT = Fault(
    8,
    "network cut",
    "the line between one edge and the broker is refused, deaf, delayed, reset and cut in mid-packet, in random order",
    "the edge keeps everything and drains when the line is back; order per lane holds",
    Track.LINE,
    _inject,
)
