"""The hint that ingest gives over ZeroMQ PUB after a commit: which sensors changed. Values are read from the database.

A hint may be lost; whoever listens also polls.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

TOPIC = b"committed"
"""First part of the two-part ZeroMQ message; the second is the JSON body."""


def encode_hint(sensors: Iterable[str]) -> list[bytes]:
    """The two message parts for a commit that changed `sensors` (ids)."""
    return [TOPIC, json.dumps({"sensors": sorted(set(sensors))}, separators=(",", ":")).encode()]


def decode_hint(parts: list[bytes]) -> list[str]:
    """Sensor ids of a hint; an empty list for what is no hint, since hints may be ignored."""
    try:
        topic, body = parts
        sensors = json.loads(body)["sensors"] if topic == TOPIC else []
    except (ValueError, KeyError, TypeError):
        return []
    return [sensor for sensor in sensors if isinstance(sensor, str)] if isinstance(sensors, list) else []
