"""Lines for `edge.yaml` that map what a birth brought and nobody mapped, ready to be pasted under `sensors:`."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from sidestream_contracts.errors import ContractError
from sidestream_edge.drivers.sparkplug.node import Key
from sidestream_edge.drivers.sparkplug.wire import Metric, number

MOST = 20
_LONGEST = 31


def draft(node: str, unmapped: Sequence[tuple[Key, Metric]]) -> str:
    """A sentence that counts the metrics, and a line for each of the first 20 that is a number."""
    lines = [line(node, key, metric) for key, metric in unmapped if _is_number(metric)]
    left = len(unmapped) - len(lines)
    said = f"{len(unmapped)} metrics of its birth are not mapped" + (f", {left} of them no numbers" if left else "")
    return ". ".join([said, *(["Add to sensors: " + " ".join(lines[:MOST])] if lines else [])])


def line(node: str, key: Key, metric: Metric) -> str:
    """`- {id: …, node: …, device: …, metric: …, unit: …}`."""
    device, name = key
    parts = {"id": proposed_id(device, name), "node": node, "device": device, "metric": name, "unit": metric.unit}
    return "- {" + ", ".join(f"{k}: {json.dumps(v)}" for k, v in parts.items() if v is not None) + "}"


def proposed_id(device: str | None, name: str) -> str:
    """A valid id made of device and metric."""
    plain = re.sub(r"[^a-z0-9]+", "-", f"{device or ''}-{name}".lower()).strip("-")
    named = plain if plain[:1].isalpha() else f"m-{plain}".rstrip("-")
    if len(named) <= _LONGEST:
        return named
    return named[-_LONGEST:].lstrip("-0123456789") or named[:_LONGEST]


def _is_number(metric: Metric) -> bool:
    try:
        number(metric.raw if metric.raw is not None else 0, metric.datatype)
    except ContractError:
        return False
    return True
