"""Fault 10."""

from __future__ import annotations

import random
import time
from functools import partial

import psutil

from sidestream_app.chaos import plant
from sidestream_app.chaos.faults.base import Done, Fault
from sidestream_app.chaos.rig import Rig
from sidestream_app.chaos.schedule import Track

_MOST_MORE = 3
"""Threads or descriptors that an edge may have more than before: a connection being made has some of its own."""
_LONGEST_LIFE_S = 0.12
_SETTLE_S = 5.0
_START_S = 25.0
"""What an edge that was killed just before may need to stand again on a busy machine; before that it is small."""


def _inject(rig: Rig, draw: random.Random, room_s: float) -> Done:
    rig.until(lambda: all(_linked(rig, edge) for edge in plant.EDGES), _START_S)
    before = {edge: _size(rig, edge) for edge in plant.EDGES}
    flaps = 0
    end_s = time.monotonic() + max(1.5, room_s * 0.7)
    while time.monotonic() < end_s and not rig.stop.wait(draw.uniform(0.0, _LONGEST_LIFE_S)):
        for edge in plant.EDGES:
            flaps += rig.proxies[edge].reset()
    grown = [edge for edge in plant.EDGES if not rig.until(partial(_same, rig, edge, before[edge]), _SETTLE_S)]
    after = {edge: _size(rig, edge) for edge in plant.EDGES}
    told = "; ".join(f"{edge} threads {_told(before[edge])} → {_told(after[edge])}" for edge in plant.EDGES)
    return Done(
        ", ".join(plant.EDGES), f"{flaps} connections reset soon after they stood; {told}", ok=flaps > 0 and not grown
    )


def _linked(rig: Rig, edge: str) -> bool:
    """Whether it has a connection to the broker, so that all of its threads run."""
    pid = rig.supervisor.pids().get(edge)
    try:
        return pid is not None and any(
            link.status == psutil.CONN_ESTABLISHED and link.raddr and link.raddr.port == rig.proxies[edge].port
            for link in psutil.Process(pid).net_connections("tcp")
        )
    except psutil.NoSuchProcess:
        return False


def _size(rig: Rig, edge: str) -> tuple[int, int, int] | None:
    """Pid, threads and descriptors; None while it is not alive."""
    pid = rig.supervisor.pids().get(edge)
    try:
        process = psutil.Process(pid) if pid else None
        return (process.pid, process.num_threads(), process.num_fds()) if process else None
    except psutil.NoSuchProcess:
        return None


def _same(rig: Rig, edge: str, before: tuple[int, int, int] | None) -> bool:
    now = _size(rig, edge)
    if now is None or before is None or now[0] != before[0]:
        return before is None or now is not None  # another process: there is nothing to compare it with
    return now[1] <= before[1] + _MOST_MORE and now[2] <= before[2] + _MOST_MORE


def _told(size: tuple[int, int, int] | None) -> str:
    return f"{size[1]}, descriptors {size[2]}" if size else "none"


FAULT = Fault(
    10,
    "link flaps",
    "every connection of every edge is reset within a tenth of a second, again and again",
    "nothing is lost or doubled; threads and descriptors of the edges don't grow",
    Track.LINE,
    _inject,
)
