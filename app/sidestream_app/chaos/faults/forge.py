"""Fault 22."""

from __future__ import annotations

import json
import random
from functools import partial

from sidestream_app.chaos.faults.base import Done, Fault
from sidestream_app.chaos.rig import Rig
from sidestream_app.chaos.schedule import Track
from sidestream_app.chaos.tap import Heard
from sidestream_app.chaos.wire import Wire
from sidestream_contracts.errors import TransientError
from sidestream_contracts.frame import payload_hash

_FRAMES = 5
_FALSE_VALUE = 123_456.75
_MOST_TIMES = 10
_AGAIN_S = 1.5


def _inject(rig: Rig, draw: random.Random, _room_s: float) -> Done:
    """Only keys that the hub has acknowledged are forged: before that the first to come would rightly count."""
    rig.until(lambda: len(rig.tap.acknowledged(draw, _FRAMES)) == _FRAMES, 15)
    false = [_forged(frame) for frame in rig.tap.acknowledged(draw, _FRAMES)]
    wire = Wire(rig.broker_port, "chaos-forger")
    hashes = [payload_hash(frame.payload) for frame in false]
    rig.forged.update(hashes)
    times = 0
    try:
        while times < _MOST_TIMES and not _seen(rig, hashes) and not rig.stop.is_set():
            rig.until(lambda: wire.is_up, _AGAIN_S)
            sent = [wire.publish(frame.topic, frame.payload, frame.pairs) for frame in false]
            times += any(sent)
            rig.until(lambda: _seen(rig, hashes), _AGAIN_S)
    finally:
        wire.close()
    did = f"{len(false)} frames published under committed keys with other values, {times} times until they were seen"
    return Done("ingest", did, ok=bool(false) and times > 0, later=partial(_all_refused, hashes))


def _seen(rig: Rig, hashes: list[str]) -> bool:
    """Whether quarantine has one of them: other faults may swallow what is published just then."""
    from sidestream_store.fault_injection import kept

    try:
        return any(entry.hash in hashes for entry in kept(rig.dsn))
    except TransientError:
        return False


def _forged(frame: Heard) -> Heard:
    body = json.loads(frame.payload)
    body["val"][0] = _FALSE_VALUE if body["kind"] == "readings" else "FORGED"
    payload = json.dumps(body).encode()
    pairs = [(name, payload_hash(payload) if name == "hash" else value) for name, value in frame.pairs]
    return Heard(frame.topic, payload, pairs, frame.key)


def _all_refused(hashes: list[str], rig: Rig) -> str | None:
    """At least one was seen (a broker killed at that moment may have swallowed others), and none counted."""
    from sidestream_store.fault_injection import kept

    found = {entry.hash: entry for entry in kept(rig.dsn) if entry.hash in hashes}
    if not found:
        return "none of the forged frames is in quarantine"
    wrong = [entry.reason for entry in found.values() if entry.reason != "key_reused"]
    return f"forged frames are in quarantine for {wrong}, not key_reused" if wrong else None


FAULT = Fault(
    22,
    "same key, other content",
    "frames with the keys of committed ones and other values, honestly hashed",
    "quarantined as `key_reused`, naming the device; the first one counts",
    Track.MESSAGES,
    _inject,
)
