"""The ready line for hub.yaml that makes an unknown device or sensor known, as far as anybody has said what it is.

What nobody has said stands there in capitals (`STREAM`), for the person who adds the line to replace.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from sidestream_contracts.messages import AnnouncedSensor

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_./ ()-]*[A-Za-z0-9_)]|[A-Za-z]")
_WORDS = frozenset({"true", "false", "null"})
PLACEHOLDERS = {"quantity": "QUANTITY", "unit": "UNIT", "stream": "STREAM", "node": "NODE", "party": "PARTY"}


def sensor_entry(sensor: str, device: str, announced: AnnouncedSensor | None, *, scans: bool) -> dict[str, str]:
    """The keys of the sensor in hub.yaml; a scanner sits at a node, everything else measures a stream until told otherwise."""
    if scans:
        return {"id": sensor, "device": device, "name": sensor, "quantity": "scan", "role": "scan", "node": "NODE"}
    quantity = announced.quantity if announced and announced.quantity else "QUANTITY"
    unit = announced.unit if announced and announced.unit else "UNIT"
    return {"id": sensor, "device": device, "name": sensor, "quantity": quantity, "unit": unit, "stream": "STREAM"}


def device_entry(party: str, device: str) -> dict[str, str]:
    """The keys of the device in hub.yaml."""
    return {"id": device, "party": party, "name": device}


def as_line(entry: Mapping[str, str]) -> str:
    """The entry as one line of YAML: `{id: flow, device: gw, …}`; to stand after `- ` in a list."""
    return "{" + ", ".join(f"{key}: {scalar(value)}" for key, value in entry.items()) + "}"


def scalar(text: str) -> str:
    """The text as it may stand anywhere in YAML, quoted only where it must be."""
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS:
        return text
    return "'" + text.replace("'", "''") + "'"


def open_questions(entry: Mapping[str, str]) -> list[str]:
    """The keys of which nobody has said what stands there."""
    return [key for key, value in entry.items() if PLACEHOLDERS.get(key) == value]
