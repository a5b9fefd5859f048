"""Frames as a device would send them, for tests: body, key and topic made consistent unless a test breaks them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from sidestream_contracts.frame import FrameKey, Lane, payload_hash
from sidestream_contracts.topics import DeviceAddress

GATEWAY = DeviceAddress("h", "a", "gw")
EPOCH = "0123456789abcdef0123456789abcdef"
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
NOW_US = int(NOW.timestamp()) * 1_000_000


def readings_body(*rows: tuple[str, int, Any], **changes: Any) -> bytes:
    """A readings frame of (sensor, time µs, value) rows, quality good."""
    sensors = sorted({row[0] for row in rows})
    frame = {
        "v": 1,
        "kind": "readings",
        "sensors": sensors,
        "i": [sensors.index(row[0]) for row in rows],
        "t": [row[1] for row in rows],
        "val": [row[2] for row in rows],
        "q": [0] * len(rows),
        "clock": "live",
    }
    return json.dumps({**frame, **changes}).encode()


def scans_body(*rows: tuple[str, int, str], **changes: Any) -> bytes:
    """A scans frame of (sensor, time µs, code) rows."""
    return readings_body(*rows, **{"kind": "scans", **changes})


def key_of(payload: bytes, seq: int = 1, lane: Lane = "live", epoch: str = EPOCH) -> FrameKey:
    """The key under which an honest edge sends `payload`."""
    return FrameKey(epoch, lane, seq, payload_hash(payload))
