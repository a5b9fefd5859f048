"""Fault 24."""

from __future__ import annotations

import random
import secrets
import time
from functools import partial

from sidestream_app.chaos import plant
from sidestream_app.chaos.bodies import readings
from sidestream_app.chaos.faults.base import Done, Fault
from sidestream_app.chaos.faults.outcome import wrongly_kept
from sidestream_app.chaos.rig import Rig
from sidestream_app.chaos.schedule import Track
from sidestream_app.chaos.sender import Parcel

_GOOD = 12
_DEEP = 50_000


def _inject(rig: Rig, draw: random.Random, _room_s: float) -> Done:
    now_us = time.time_ns() // 1000
    good = []
    for n in range(_GOOD):
        rows = [(sensor, now_us + n, round(draw.uniform(0, 100), 3)) for sensor in plant.EXTRA_SENSORS]
        good.append(Parcel(readings(rows), tuple(rows)))
    bad = _bodies(good[0].payload, draw)
    hashes = rig.sender.send([*good, *(Parcel(body) for body in bad)], draw)
    rig.sender.send_once(b"without a key", (("epoch", "no epoch"), ("seq", "none")))
    expected = dict(zip(hashes[len(good) :], _REASONS, strict=True))
    did = f"{len(bad)} unreadable bodies among {_GOOD} good frames of one device, and one without a key"
    return Done(plant.EXTRA, did, later=partial(wrongly_kept, expected))


def _bodies(good: bytes, draw: random.Random) -> list[bytes]:
    """One body for each of _REASONS, unlike any of an earlier time."""
    token = secrets.token_hex(4).encode()
    return [
        b"not JSON " + token,
        good[: draw.randrange(1, len(good) - 1)] + b" " + token,
        b'{"' + token + b'": ' + b"[" * _DEEP,
        b'{"v": 1, "v": 1, "kind": "readings", "note": "' + token + b'"}',
        good[:-1] + b', "note": "\xff\xfe' + token + b'"}',
        b'["an array", "' + token + b'"]',
    ]


_REASONS = ("not_json", "not_json", "not_json", "duplicate_key", "not_utf8", "not_json")

FAULT = Fault(
    24,
    "unreadable bodies",
    "not JSON, truncated, nested 50 000 deep, duplicate keys, no UTF-8, no object; and a message whose key can't be read",
    "each is in quarantine with its reason and is acknowledged; the good frames beside them land",
    Track.MESSAGES,
    _inject,
)
