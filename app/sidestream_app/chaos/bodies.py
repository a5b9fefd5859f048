"""Bodies of frames, written by hand so that they may also be wrong."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sidestream_app.demo.counting import Measurement


def body(rows: Sequence[Measurement]) -> dict[str, Any]:
    """A frame of live readings, whatever its values are."""
    sensors = sorted({sensor for sensor, _, _ in rows})
    return {
        "v": 1,
        "kind": "readings",
        "sensors": sensors,
        "i": [sensors.index(sensor) for sensor, _, _ in rows],
        "t": [t for _, t, _ in rows],
        "val": [value for _, _, value in rows],
        "q": [0] * len(rows),
        "clock": "live",
    }


def readings(rows: Sequence[Measurement]) -> bytes:
    """The same as it goes on the wire."""
    return json.dumps(body(rows)).encode()
