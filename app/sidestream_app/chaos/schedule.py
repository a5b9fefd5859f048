"""Which fault strikes when: drawn from the seed alone, so that a run can be had again. Pure.

Faults of one track never overlap, because two of them would hide each other (a broker can't be wiped while it is being
killed); the tracks run side by side, so that a broker may die while the database is away.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

_USUAL_ROOM_S = 10.0
_SHARE_OF_ROOM = 0.3
"""How far into its room a fault may begin; the rest of the room is its own."""


class Track(Enum):
    """Where a fault strikes."""

    LINE = "edges, network and broker"
    HUB = "ingest and database"
    MESSAGES = "what arrives"


@dataclass(frozen=True, slots=True)
class Step:
    """Fault `number` begins `at_s` seconds after the load and should be over within `room_s`."""

    at_s: float
    room_s: float
    number: int
    track: Track


def plan(tracks: Mapping[int, Track], *, from_s: float, to_s: float, seed: int) -> list[Step]:
    """Every fault of `tracks` at least once between `from_s` and `to_s`, in random order; again while there is room."""
    draw = random.Random(seed)  # noqa: S311 - a seeded plan, no secret
    steps: list[Step] = []
    for track in Track:
        mine = sorted(number for number, where in tracks.items() if where is track)
        if mine:
            steps += _of_track(track, mine, from_s, to_s, draw)
    return sorted(steps, key=lambda step: (step.at_s, step.number))


def _of_track(track: Track, numbers: list[int], from_s: float, to_s: float, draw: random.Random) -> list[Step]:
    count = max(len(numbers), int((to_s - from_s) / _USUAL_ROOM_S))
    order: list[int] = []
    while len(order) < count:
        order += draw.sample(numbers, len(numbers))
    room_s = (to_s - from_s) / count
    return [
        Step(from_s + room_s * (n + draw.uniform(0.0, _SHARE_OF_ROOM)), room_s * (1 - _SHARE_OF_ROOM), number, track)
        for n, number in enumerate(order[:count])
    ]
